"""Breaking a host on purpose, and mending it: each fault is one function, `heal` undoes them all.

Power off and power on are in tests.lab.host.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

from tests.lab import wire
from tests.lab.host import first_process, inside, is_on, without_daemon
from tests.lab.plan import HostPlan
from tests.lab.shell import namespaces, run, signal_named, wait_for

FILLER = "/var/lib/libvirt/images/filler"
FILL = f"""
mkdir -p {FILLER}
for size in 1G 128M 16M 2M 256K 32K 4K; do
    n=0
    while fallocate -l $size {FILLER}/$size.$n 2>/dev/null; do n=$((n + 1)); done
done"""
KEY = "etc/ssh/ssh_host_ed25519_key"


def hang_ssh(host: HostPlan) -> None:
    """Let sshd's port accept a connection and then say nothing."""
    signal_named(host.netns, "sshd", signal.SIGSTOP)


def hang_libvirt(host: HostPlan) -> None:
    """Let libvirt's socket accept a connection and then say nothing."""
    signal_named(host.netns, "libvirtd", signal.SIGSTOP)


def resume(host: HostPlan) -> None:
    """Let what hangs go on."""
    for comm in ("sshd", "libvirtd"):
        signal_named(host.netns, comm, signal.SIGCONT)


def cut_off(host: HostPlan) -> None:
    """Pull the host's cables: nothing answers, nothing refuses."""
    wire.set_cables(host, "down")


def reconnect(host: HostPlan) -> None:
    """Put the host's cables back."""
    wire.set_cables(host, "up")


def fill_pool(host: HostPlan) -> None:
    """Leave no byte free in the pool."""
    inside(host, "sh", "-c", FILL, check=False)


def empty_pool(host: HostPlan) -> None:
    """Give the pool its room back; libvirt may have seen what filled it, and forgets it."""
    script = f"[ ! -e {FILLER} ] || {{ rm -rf {FILLER}; virsh -q pool-refresh default; }}"
    inside(host, "timeout", "10", "sh", "-c", script, check=False)


def restart_libvirt(host: HostPlan) -> None:
    """Kill libvirtd and start it again; its guests run on."""
    with without_daemon(host, "libvirtd"):
        inside(host, "libvirtd", "-d")
    wait_for(f"libvirtd of {host.name}", lambda: _libvirt_answers(host), seconds=15)


def wrong_key(host: HostPlan) -> None:
    """Let sshd come back with another host key than the one that was known."""
    root = host.dir / "root"
    if not (root / f"{KEY}.true").exists():
        for end in ("", ".pub"):
            (root / f"{KEY}{end}").rename(root / f"{KEY}.true{end}")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host.name, "-f", root / KEY)
        _restart_ssh(host)


def right_key(host: HostPlan) -> None:
    """Give sshd its true key back."""
    root = host.dir / "root"
    if (root / f"{KEY}.true").exists():
        # The private key moves last: while it is away, a second call still sees work to do.
        for end in (".pub", ""):
            (root / f"{KEY}.true{end}").rename(root / f"{KEY}{end}")
        _restart_ssh(host)


def heal(host: HostPlan) -> None:
    """Undo every fault but a power cut."""
    if host.netns not in namespaces():
        return
    resume(host)
    if first_process(host) is None or not is_on(host):
        return
    reconnect(host)
    empty_pool(host)
    right_key(host)
    if not _libvirt_answers(host):
        restart_libvirt(host)


FAULTS: dict[str, tuple[Callable[[HostPlan], None], Callable[[HostPlan], None]]] = {
    "hang-ssh": (hang_ssh, resume),
    "hang-libvirt": (hang_libvirt, resume),
    "cut-off": (cut_off, reconnect),
    "pool-full": (fill_pool, empty_pool),
    "wrong-key": (wrong_key, right_key),
}
"""Each lasting fault by its name: how it is caused, how it is mended."""


def _restart_ssh(host: HostPlan) -> None:
    if not is_on(host):
        return
    with without_daemon(host, "sshd"):
        inside(
            host, "/usr/sbin/sshd", "-f", "/etc/ssh/sshd_config", "-E", "/var/log/libvirt/sshd.log"
        )


def _libvirt_answers(host: HostPlan) -> bool:
    return bool(inside(host, "timeout", "5", "virsh", "-c", "qemu:///system", "uri", check=False))
