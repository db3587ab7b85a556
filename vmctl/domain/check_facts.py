"""What a host check goes by: how the host was reached, its sample, and what was tried on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vmctl.domain.host import Host
    from vmctl.domain.network import Network
    from vmctl.domain.resources import Resources
    from vmctl.domain.sample import HostSample

Reach = Literal["name", "tcp", "host key", "login"]
"""The steps by which a host is reached, each behind the one before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How a host was reached, or at which step that ended and what was said there."""

    address: str | None = None
    port: int = 22
    user: str | None = None
    key: str | None = None  # the fingerprint of its host key, or of the one it showed
    failed: Reach | None = None
    said: str = ""
    reason: str = ""  # the word that the failure bears, such as `changed` or `silent`


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One thing that was tried: None as the fault means that it worked."""

    fault: str | None = None
    step: str = ""


BOOTED, HUNG = "a kernel booted", "a kernel hung"
"""What a trial of KVM says where it came to an end, and where it did not: true until the boot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmTrial:
    """Whether a kernel ran under KVM; alive is None where it could not be tried, said tells why."""

    alive: bool | None
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was tried on a host; None, or a pool that is missing, was not tried."""

    user: str | None = None
    groups: tuple[str, ...] = ()
    lease: Tried | None = None
    nwfilter: Tried | None = None
    volumes: tuple[tuple[str, Tried], ...] = ()
    kvm: KvmTrial | None = None
    whole: bool = True

    def volume(self, pool: str) -> Tried | None:
        """Give how a volume fared in the pool of that name."""
        return next((tried for name, tried in self.volumes if name == pool), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The machine that a name stood for when it was last seen."""

    machine: str | None = None
    libvirt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a flavor asks of a host, and what is free there where that is known."""

    flavor: str
    resources: Resources
    free: Resources | None = None
    uefi: bool = False
    secure_boot: bool = False
    tpm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that was gathered about one host.

    `networks` are those it should carry; `kvm` is what an earlier check found in the same boot.
    """

    host: Host
    contact: Contact
    sample: HostSample | None = None
    sample_fault: str | None = None
    trial: Trial | None = None
    kvm: KvmTrial | None = None
    library: Tried | None = None  # libvirt's own connection, by the system's ssh
    before: Identity | None = None
    same_machine: tuple[str, ...] = ()  # other hosts of the inventory that are this very machine
    same_machine_id: tuple[str, ...] = ()  # others that were installed from one image
    networks: tuple[Network, ...] = ()
    need: Need | None = None
