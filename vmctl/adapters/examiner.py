"""Finding out about a host what only a try can tell: the way in, its rights, both ssh stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from vmctl.adapters.check import LIMIT, parse_trial, trial_script
from vmctl.adapters.probe import new_nonce
from vmctl.domain.check_facts import Contact, Reach, Tried
from vmctl.errors import HostError, HostKeyError, HostUnreachable, LoginRefused, VmctlError

if TYPE_CHECKING:
    from vmctl.adapters.libvirtd import LibvirtConnections
    from vmctl.adapters.shells import HostShells
    from vmctl.domain.check_facts import Trial
    from vmctl.domain.host import Host
    from vmctl.domain.sample import HostSample

TRIAL_LIMIT = LIMIT + 35.0
"""Seconds for everything that is tried on a host; the script ends by itself before that."""


class ShellExaminer:
    """Tries hosts, over the connections that everything else uses too."""

    def __init__(self, shells: HostShells, libvirts: LibvirtConnections) -> None:
        self._shells = shells
        self._libvirts = libvirts

    def contact(self, host: Host) -> Contact:
        """Enter the host and say how, or at which step that ended."""
        if host.connection == "local":
            return Contact()
        way = Contact()
        try:
            target = self._shells.route(host).target
            way = Contact(address=target.hostname, port=target.port, user=target.user)
            key = self._shells.ssh(host).verified_key()
        except VmctlError as error:
            failed, key_seen = _step(error), getattr(error, "fingerprint", "") or None
            return Contact(
                address=way.address,
                port=way.port,
                user=way.user,
                key=key_seen,
                failed=failed,
                said=error.message.removeprefix(f"{host.name}: "),
                reason=getattr(error, "reason", ""),
            )
        return Contact(address=way.address, port=way.port, user=way.user, key=key.fingerprint)

    def try_out(self, host: Host, sample: HostSample, *, kvm: bool) -> Trial:
        """Try the lease, a volume in each pool, and KVM if that is wanted."""
        nonce = new_nonce()
        answers = sample.libvirt_error is None
        script = trial_script(
            nonce=nonce,
            uri="qemu:///system" if answers else "",
            pools=[pool.name for pool in host.pools] if answers else (),
            emulator=sample.emulator if kvm else None,
        )
        done = self._shells.shell(host).run(script, timeout=TRIAL_LIMIT)
        return parse_trial(done.text, nonce, host=host.name)

    def library(self, host: Host) -> Tried:
        """Try libvirt's own connection, by the system's ssh."""
        try:
            self._libvirts.connection(host).getLibVersion()
        except VmctlError as error:
            return Tried(step="library", fault=error.message.removeprefix(f"{host.name}: "))
        return Tried(step="library")


def _step(error: VmctlError) -> Reach:
    """Say which step of reaching a host this failure belongs to."""
    match error:
        case HostKeyError():
            return "host key"
        case LoginRefused():
            return "login"
        case HostUnreachable(reason="name"):
            return "name"
        case HostError():
            return "tcp"
    return get_args(Reach)[0]  # type: ignore[no-any-return] # the first of its words
