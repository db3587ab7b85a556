"""One host of the lab: its files, its start, its end."""

from __future__ import annotations

import contextlib
import grp
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.lab import wire
from tests.lab.plan import HostPlan
from tests.lab.shell import LabError, kill_all, namespaces, pids, run, signal_named, wait_for

HERE = Path(__file__).parent / "host"
POOL_SIZE = "8G"
OPS_UID, ADMIN_UID = 61001, 61002
PASSWD = f"""\
ops:x:{OPS_UID}:{OPS_UID}::/home/ops:/bin/bash
admin:x:{ADMIN_UID}:{ADMIN_UID}::/home/admin:/bin/sh
"""
GROUP = f"ops:x:{OPS_UID}:\nadmin:x:{ADMIN_UID}:\n"
SHADOW = "ops:*:19000:0:99999:7:::\nadmin:*:19000:0:99999:7:::\n"
SUDOERS = "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\nadmin ALL=(ALL:ALL) NOPASSWD: ALL\n"

# Debian's default limits stay: a lab without them would hide what they do to a client.
SSHD = """\
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
PidFile /run/sshd.pid
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
StrictModes no
MaxSessions 10
MaxStartups 10:30:100
Subsystem sftp internal-sftp
"""

LIBVIRTD = """\
host_uuid = "{uuid}"
unix_sock_group = "libvirt"
unix_sock_ro_perms = "0777"
unix_sock_rw_perms = "0770"
auth_unix_ro = "none"
auth_unix_rw = "none"
"""

QEMU = """\
security_driver = "none"
cgroup_controllers = []
namespaces = []
vnc_listen = "127.0.0.1"
"""


def make_files(host: HostPlan, authorized_key: str) -> None:
    """Write what this host finds in its own /etc, /var and /home; what its guests wrote stays."""
    root = host.dir / "root"
    for folder in (
        "etc/ssh",
        "etc/libvirt/qemu/networks",
        "var/lib/libvirt/images",
        "var/log/libvirt",
        "var/cache/libvirt/qemu",
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
    shutil.copytree("/etc/libvirt/nwfilter", root / "etc/libvirt/nwfilter", dirs_exist_ok=True)
    plain = {
        "etc/passwd": Path("/etc/passwd").read_text() + PASSWD,
        "etc/group": _group(Path("/etc/group").read_text()) + GROUP,
        "etc/hostname": f"{host.name}\n",
        "etc/hosts": _hosts(host),
        "etc/machine-id": host.uuid.replace("-", "") + "\n",
        "etc/ssh/sshd_config": SSHD,
        "etc/ssh/authorized_keys": authorized_key,
        "etc/libvirt/libvirtd.conf": LIBVIRTD.format(uuid=host.uuid),
        "etc/libvirt/qemu.conf": QEMU + _qemu_user(host),
        "etc/libvirt/virtlogd.conf": "",
    }
    for name, text in plain.items():
        (root / name).write_text(text)
    _write_private(root / "etc/shadow", Path("/etc/shadow").read_text() + SHADOW)
    (root / "etc/sudoers").write_text(SUDOERS)
    (root / "etc/sudoers").chmod(0o440)
    key = root / "etc/ssh/ssh_host_ed25519_key"
    if not key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host.name, "-f", key)
    disk = host.dir / "images.ext4"
    if not disk.exists():
        run("truncate", "-s", POOL_SIZE, disk)
        run("mke2fs", "-q", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=1", disk)


def power_on(host: HostPlan) -> None:
    """Start a host that is off; it is on when its pool, its network and its own guest are."""
    if is_on(host):
        return
    wire.unplug(host.netns)
    ready = host.dir / "root/var/log/libvirt/ready"
    ready.unlink(missing_ok=True)
    (host.dir / "root/boot_id").write_text(f"{uuid.uuid4()}\n")
    wire.plug_in(host)
    unshare = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc"]
    init = ["--kill-child", "bash", str(HERE / "init.sh"), str(host.dir), host.name]
    log = host.dir / "console.log"
    with log.open("ab") as output:
        started = subprocess.Popen(
            ["ip", "netns", "exec", host.netns, *unshare, *init],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def up() -> bool:
        if started.poll() is not None:
            said = log.read_text(errors="replace")[-800:]
            raise LabError(f"{host.name} died at its start; {log} ends with:\n{said}")
        return ready.exists()

    wait_for(f"{host.name} to start (see {log})", up, seconds=60)


def power_off(host: HostPlan) -> None:
    """Pull the plug: all that lives in the host dies at once, its links with it."""
    if host.netns in namespaces():
        kill_all(host.netns)
        wire.unplug(host.netns)


def is_on(host: HostPlan) -> bool:
    """Whether the host's first process lives and got to the end of its start."""
    if host.netns not in namespaces():
        return False
    return (host.dir / "root/var/log/libvirt/ready").exists() and first_process(host) is not None


def first_process(host: HostPlan) -> int | None:
    """The pid, as this machine sees it, of the host's own process 1."""
    for pid in pids(host.netns):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith("NSpid:") and line.split()[1:][-1] == "1" and len(line.split()) > 2:
                return pid
    return None


def inside(host: HostPlan, *argv: str, check: bool = True, stdin: str | None = None) -> str:
    """Run a command in the host as its root, as if at its keyboard: no ssh, no network."""
    pid = first_process(host)
    if pid is None:
        raise LabError(f"{host.name} is off")
    spaces = ["--mount", "--uts", "--ipc", "--net", "--pid"]
    env = ["env", "-i", "HOME=/root", "LANG=C.UTF-8", f"PATH={os.defpath}:/usr/sbin:/sbin"]
    return run(
        *["nsenter", "--target", str(pid), *spaces, "--", *env, *argv], check=check, stdin=stdin
    )


@contextlib.contextmanager
def without_daemon(host: HostPlan, comm: str) -> Iterator[None]:
    """A moment in which one of the host's daemons is down."""
    signal_named(host.netns, comm, signal.SIGKILL)

    def gone() -> bool:
        return signal_named(host.netns, comm, signal.SIGCONT) == 0

    wait_for(f"{comm} to end on {host.name}", gone, seconds=10)
    yield


def _group(text: str) -> str:
    """The machine's groups, with ops in libvirt."""
    lines = []
    for line in text.splitlines():
        if line.startswith("libvirt:"):
            members = [m for m in line.rsplit(":", 1)[1].split(",") if m]
            lines.append(line.rsplit(":", 1)[0] + ":" + ",".join([*members, "ops"]))
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _hosts(host: HostPlan) -> str:
    """Each host knows the others by name, on the network between hosts: migration needs it."""
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    for number in range(1, host.hosts + 1):
        base = host.inner_address.rsplit(".", 1)[0]
        lines.append(f"{base}.{10 + number} kvm{number}")
    return "\n".join(lines) + "\n"


def _qemu_user(host: HostPlan) -> str:
    """Where root logs in QEMU is root too; elsewhere it is its own user, as usual."""
    if host.login == "root":
        return 'user = "root"\ngroup = "root"\ndynamic_ownership = 0\n'
    group = "libvirt-qemu"
    with contextlib.suppress(KeyError):
        grp.getgrnam("libvirt-qemu")
        return f'user = "libvirt-qemu"\ngroup = "{group}"\ndynamic_ownership = 1\n'
    return 'user = "libvirt-qemu"\ngroup = "kvm"\ndynamic_ownership = 1\n'


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
