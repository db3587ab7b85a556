"""What else there is on hosts that are folders: base images, probes and leases."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.fake_effects import POOL, guest_of
from tests.support.fake_host import FakeFleet
from vmctl.domain.build import READY_SUFFIX, base_name
from vmctl.domain.cached import Cached
from vmctl.domain.host import Host
from vmctl.domain.sample import BASE_IMAGE_PREFIX, Depth, FoundNetwork, FoundPool, HostSample
from vmctl.domain.spec import ImageUse
from vmctl.errors import HostUnreachable, LeaseLost, TimedOut

MEMORY = 16 * 1024


@dataclass
class FakeBases:
    """Base images that come from nowhere, in the two steps in which they really come."""

    fleet: FakeFleet

    def ensure(
        self,
        host: Host,
        pool: str,
        image: ImageUse,
        *,
        peers: tuple[Host, ...] = (),
        tell: Callable[[str], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> str:
        del peers, tell
        check()
        name = base_name(image)
        there = self.fleet.on(host).volumes(pool)
        if name + READY_SUFFIX not in there:
            # One that is half there is made anew.
            facts = {"size": image.size, "format": image.format}
            self.fleet.act(host.name, "fetch", pool, name, facts)
            self.fleet.act(host.name, "volume", pool, name + READY_SUFFIX, {"size": 0})
        return f"{POOL}/{pool}/{name}"

    def ready(self, host: Host, pool: str) -> tuple[str, ...]:
        return tuple(
            one.removesuffix(READY_SUFFIX).rpartition("-")[2]
            for one in self.fleet.on(host).volumes(pool)
            if one.endswith(READY_SUFFIX)
        )


@dataclass
class FakeCache:
    """What is kept of base images on hosts that are folders."""

    fleet: FakeFleet

    def look(self, host: Host) -> tuple[Cached, ...]:
        with self.fleet.state(host.name) as state:
            texts = [one["xml"] for one in state["machines"].values()]
            found = {
                (pool, name): facts
                for pool, each in state["pools"].items()
                for name, facts in each["volumes"].items()
            }
        texts += [str(facts.get("backing")) for facts in found.values()]
        bases = {
            (pool, name.removesuffix(READY_SUFFIX))
            for pool, name in found
            if name.startswith(BASE_IMAGE_PREFIX)
        }
        return tuple(
            Cached(
                pool=pool,
                digest=name.removeprefix(BASE_IMAGE_PREFIX),
                whole={(pool, name), (pool, name + READY_SUFFIX)} <= set(found),
                used=any(name.removeprefix(BASE_IMAGE_PREFIX) in text for text in texts),
                since=found.get((pool, name), {}).get("since", 0.0),
            )
            for pool, name in sorted(bases)
        )

    def prune(
        self, host: Host, *, spare: Callable[[Cached], bool] = lambda _: False
    ) -> tuple[Cached, ...]:
        gone = tuple(one for one in self.look(host) if not one.used and not spare(one))
        for one in gone:
            for suffix in (READY_SUFFIX, ""):
                name = f"{BASE_IMAGE_PREFIX}{one.digest}{suffix}"
                self.fleet.on(host).remove_volume(one.pool, name)
        return gone


@dataclass
class FakeProber:
    """Looks at the hosts as a probe would."""

    fleet: FakeFleet

    def look(self, host: Host, *, depth: Depth, before: HostSample | None) -> HostSample:
        del depth, before
        with self.fleet.state(host.name) as state:
            guests = tuple(guest_of(uuid, each) for uuid, each in state["machines"].items())
            kind = state["pools"].get("default", {}).get("file_system", "ext4")
            networks = tuple(
                FoundNetwork(
                    name=name,
                    active=True,
                    bridge=each.get("bridge", f"virbr-{name}"),
                    forward=each.get("forward", "nat"),
                )
                for name, each in state["networks"].items()
            )
            boot, identity = state.get("boot"), state.get("identity")
        now = self.fleet.now()
        pool = FoundPool(
            name="default",
            type="dir",
            active=True,
            capacity=102_400,
            available=102_400,
            file_system=kind,
        )
        return HostSample(
            taken_at=now,
            facts_at=now,
            depth="full",
            boot_id=boot,
            machine_id=identity,
            libvirt_uuid=identity,
            arch="x86_64",
            virt_types=("kvm",),
            qemu_version="7.2.0",
            cpus=8,
            memory=MEMORY,
            pools=(pool,),
            networks=networks,
            guests=guests,
            bridge_filter=True,
            bridge_filter6=True,
        )


class Nobody:
    """Looks at hosts that do not answer."""

    def look(self, host: Host, *, depth: Depth, before: HostSample | None) -> HostSample:
        del depth, before
        raise HostUnreachable(host.name, f"{host.name} did not answer", reason="timeout")


@dataclass
class FakeLease:
    """A lease that is held by this process, as long as it lives."""

    host: str
    handle: int
    given_back: bool = field(default=False)

    @property
    def remaining(self) -> float:
        return 0.0 if self.given_back else 45.0

    def check(self, need: float = 5) -> None:
        if self.remaining < need:
            raise LeaseLost(self.host, f"{self.host}: the lease is lost", reason="lease")


@dataclass
class FakeLeases:
    """Locks on files in the hosts' folders: the kernel frees those of the dead."""

    fleet: FakeFleet

    @contextmanager
    def hold(self, host: Host, *, wait: float = 30, of: str = "host") -> Iterator[FakeLease]:
        with self.fleet.state(host.name):
            pass  # one that is down cannot be leased
        path = self.fleet.folder / host.name / f"lease-{of}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(handle)
            raise TimedOut(f"{host.name}: another operator holds the lease") from None
        lease = FakeLease(host.name, handle)
        try:
            about = "" if of == "host" else f" on {of}"
            self.fleet.on_effect(f"{host.name} lease{about} taken")
            yield lease
        finally:
            lease.given_back = True
            os.close(handle)
