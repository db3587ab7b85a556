"""What the steps of a server's workflow act on, and what they act through."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmctl.domain.cpus import shared_on
from vmctl.domain.record import ServerState
from vmctl.domain.sample_form import from_plain
from vmctl.domain.spec import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from vmctl.domain.build import Build
    from vmctl.domain.host import Host
    from vmctl.domain.network import Network
    from vmctl.domain.operation import Token
    from vmctl.domain.sample import HostSample
    from vmctl.domain.spec import GroupUse, ServerSpec
    from vmctl.ports import (
        BaseImages,
        Clock,
        HostLeases,
        Hypervisor,
        Hypervisors,
        Leases,
        Prober,
        Renderer,
        Store,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The ports that a server's life goes through."""

    store: Store
    leases: Leases
    hypervisors: Hypervisors
    host_leases: HostLeases
    bases: BaseImages
    renderer: Renderer
    prober: Prober
    clock: Clock
    sleep: Callable[[float], None]


@dataclass(slots=True, kw_only=True)
class Work:
    """One attempt at one server, in the hands of the process that holds its token.

    Only `build` may change on the way, where an address turns out to be taken before the domain is
    defined; what another system in the server's place changes, `spec` with it; and what is seen.
    """

    world: World
    token: Token
    host: Host
    spec: ServerSpec
    build: Build
    claim: Callable[[Work], None]
    """Have the last look at the host under its lease, and define the domain there."""

    settled: Callable[[Work], AbstractContextManager[None]] = lambda _: nullcontext()
    """Within it a domain that stands is defined anew: its own CPUs are nobody else's meanwhile.

    ClaimLost where others are bound to them, and too few are left. By default they are believed.
    """

    secrets: Secrets = field(default_factory=Secrets)
    networks: Mapping[str, Network] = field(default_factory=dict)
    groups: Mapping[str, GroupUse] = field(default_factory=dict)
    peers: tuple[Host, ...] = ()
    params: Mapping[str, object] = field(default_factory=dict)
    """What the operation was begun with: see NewOperation."""

    boot: str | None = None
    """The boot in which the host was last looked at under its lease, if it was in this work."""

    check: Callable[[], None] = lambda: None
    """Asked in a step that waits: raises Interrupted once someone has asked to stop."""

    tell: Callable[[str], None] = lambda _: None

    pressed: float | None = None
    """When the power button was pressed last, 0 if it was not; None where nobody can tell."""

    @property
    def hypervisor(self) -> Hypervisor:
        """The hypervisor of the attempt's host."""
        return self.world.hypervisors.on(self.host)

    @property
    def known_boot(self) -> str | None:
        """The host's boot as it was known last: what is done from now on is done in no earlier."""
        return self.boot or self.world.store.host(self.host.name).boot

    @property
    def shared_cpus(self) -> tuple[int, ...]:
        """The CPUs that servers on the host share, where it gives out others one by one."""
        if not self.host.dedicated_cpus:
            return ()
        plain = self.world.store.host(self.host.name).sample
        return self.shared_by(None if plain is None else from_plain(plain))

    def shared_by(self, sample: HostSample | None) -> tuple[int, ...]:
        """Give the same by a look at the host; what any claim still holds is not among them."""
        shared = shared_on(self.host, sample)
        claims = self.world.store.claims(self.host.name) if shared else ()
        held = {cpu for one in claims for cpu in one.cpus}
        return tuple(one for one in shared if one not in held)

    @property
    def ran(self) -> bool:
        """Whether the server ran before a deed was begun."""
        return bool(self.params.get("ran", self.params.get("was") == ServerState.ACTIVE))

    @property
    def obeys_until(self) -> float:
        """Until when a guest that was asked to shut down may be expected to; 0 if it was not."""
        pressed = self.number("at") if self.pressed is None else self.pressed
        return pressed + self.number("patience") if pressed else 0.0

    def number(self, name: str) -> float:
        """Give a number that the operation was begun with; 0 if it was not."""
        found = self.params.get(name)
        return float(found) if isinstance(found, int | float) else 0.0
