"""The small guest: the distribution's kernel, busybox, dropbear and a guest agent, up in seconds.

It boots from its disk under TCG with 128 MiB, takes a NoCloud seed or an OpenStack config drive,
and says so on the serial console when it answers ssh. Its root is the initramfs, new at every boot;
what must last is under /data. The folder guest/ holds what runs in it.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from tests.lab.images.cache import HERE, built_once
from tests.lab.images.cpio import Archive
from tests.lab.images.disk import boot_partition, qcow2, whole_disk
from tests.lab.images.packages import Package, installed, kernel, offered, run, unpack

COMMAND_LINE = (
    "console=tty0 console=ttyS0,115200 quiet loglevel=3 panic=-1 net.ifnames=0 mitigations=off "
    "tsc=reliable no_timer_check rcupdate.rcu_expedited=1 random.trust_cpu=on nokaslr"
)

RECIPE = ("small", "cpio", "disk")

MODULES = {
    "boot": "virtio_pci virtio_blk virtio_net virtio_console isofs button evdev",
    "rng": "virtio-rng",
    "balloon": "virtio_balloon",
    "scsi": "virtio_scsi sd_mod sr_mod",
    "input": "virtio_input",
    "vfat": "vfat nls_cp437 nls_iso8859-1 nls_ascii nls_utf8",
}
"""What guest/modules loads together; what the kernel has built in is left out."""

PROGRAMS = {
    "/usr/sbin/dropbear": "/usr/sbin/dropbear",
    "/usr/bin/dropbearkey": "/usr/bin/dropbearkey",
    "/usr/lib/sftp-server": "/usr/lib/openssh/sftp-server",
}
SCRIPTS = {
    "/etc/guest/start": 0o755,
    "/etc/guest/finish": 0o755,
    "/etc/guest/stop": 0o755,
    "/etc/guest/lease": 0o755,
    "/etc/guest/modules": 0o644,
    "/etc/guest/seed": 0o644,
    "/etc/guest/network": 0o644,
    "/etc/inittab": 0o644,
    "/etc/profile": 0o644,
    "/usr/bin/cloud-init": 0o755,
    "/usr/sbin/chpasswd": 0o755,
    "/sbin/shutdown": 0o755,
}
ENDINGS = ("reboot", "poweroff", "halt")
TEXTS = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000:guest:/home/guest:/bin/sh\n",
    "/etc/group": "root:x:0:\nguest:x:1000:\n",
    "/etc/shells": "/bin/sh\n",
    "/etc/issue": "vmctl lab guest, \\l\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
    "/etc/acpi/PWRF/00000080": "#!/bin/sh\nexec /sbin/poweroff\n",
}


def small_guest(cache: Path) -> Path:
    """The small guest's qcow2 in `cache`, built if it is not there."""
    packages = kernel()
    agent = offered("qemu-guest-agent")
    if agent is None:
        raise RuntimeError("apt offers no qemu-guest-agent")
    packages = (*packages, agent)
    used = installed(
        "busybox-static", "dropbear-bin", "openssh-sftp-server", "libc6", "syslinux", "kmod"
    )
    used |= {package.name: package.version for package in packages}
    recipe = [*(HERE / "guest").iterdir(), *(HERE / f"{name}.py" for name in RECIPE)]
    return built_once(cache, "small", recipe, used, lambda folder: _build(folder, packages))


def _build(folder: Path, packages: tuple[Package, ...]) -> Path:
    root = unpack(packages, folder)
    (vmlinuz,) = (root / "boot").glob("vmlinuz-*")
    release = vmlinuz.name.removeprefix("vmlinuz-")
    archive = Archive()
    _add_base(archive)
    _add_programs(archive, folder, root)
    _add_modules(archive, root, release)
    initrd = folder / "initrd"
    initrd.write_bytes(archive.whole())
    run("lz4", "-l", "-9", "-q", initrd, folder / "initrd.lz4")
    boot = boot_partition(
        folder, {"linux": vmlinuz, "initrd": folder / "initrd.lz4"}, COMMAND_LINE, 40
    )
    state = folder / "state.ext4"
    run("mke2fs", "-q", "-t", "ext4", "-L", "vmctl-state", state, "23M")
    return qcow2(whole_disk(folder, boot, state))


def _add_base(archive: Archive) -> None:
    for path in ("/proc", "/sys", "/run", "/state", "/mnt", "/var/log", "/usr/share/udhcpc"):
        archive.folder(path)
    archive.folder("/tmp", 0o1777)  # noqa: S108 (the guest's own)
    archive.folder("/root", 0o700)
    archive.folder("/root/.ssh", 0o700)
    archive.folder("/home")
    archive.folder("/home/guest", owner=1000)
    archive.folder("/home/guest/.ssh", 0o700, owner=1000)
    archive.file("/root/.ssh/authorized_keys", b"", 0o600)
    archive.file("/home/guest/.ssh/authorized_keys", b"", 0o600, owner=1000)
    archive.link("/data", "state/data")
    archive.link("/var/run", "../run")
    archive.device("/dev/console", 5, 1)
    for path, text in TEXTS.items():
        archive.file(path, text.encode(), 0o755 if text.startswith("#!") else 0o644)
    # Root has no password, so that a console can be tried; ssh refuses empty ones.
    archive.file("/etc/shadow", b"root::19000:0:99999:7:::\nguest:*:19000:0:99999:7:::\n", 0o600)
    for path, mode in SCRIPTS.items():
        archive.file(path, (HERE / "guest" / Path(path).name).read_bytes(), mode)
    for action in ENDINGS:
        archive.file(f"/sbin/{action}", (HERE / "guest/power").read_bytes(), 0o755)


def _add_programs(archive: Archive, folder: Path, root: Path) -> None:
    archive.file("/bin/busybox", Path("/bin/busybox").read_bytes(), 0o755)
    archive.link("/init", "bin/busybox")
    for applet in run("/bin/busybox", "--list").split():
        if applet not in {"busybox", *ENDINGS}:
            archive.link(f"/bin/{applet}", "busybox")
    for applet in ("init", "getty", "modprobe"):
        archive.link(f"/sbin/{applet}", "../bin/busybox")
    tool = folder / "seedtool"
    run("gcc", "-Os", "-s", "-o", tool, HERE / "guest" / "seedtool.c")
    programs = {name: Path(source) for name, source in PROGRAMS.items()}
    programs |= {"/usr/bin/seedtool": tool, "/usr/sbin/qemu-ga": root / "usr/sbin/qemu-ga"}
    for path, source in programs.items():
        archive.file(path, source.read_bytes(), 0o755)
    for library in sorted(_libraries(programs.values())):
        archive.file(library, Path(library).read_bytes(), 0o755)


def _libraries(programs: Iterable[Path]) -> set[str]:
    listing = run("ldd", *programs)
    return set(re.findall(r"(?:=> )?(/\S+) \(0x", listing))


def _add_modules(archive: Archive, root: Path, release: str) -> None:
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")
    base = root / "lib/modules" / release
    for suffix, unpacker in {".zst": ("zstd", "-dq", "--rm"), ".xz": ("xz", "-d")}.items():
        for module in base.rglob(f"*.ko{suffix}"):
            run(*unpacker, module)
    run("depmod", "-b", root, release)
    needs: dict[str, list[str]] = {}
    for line in (base / "modules.dep").read_text().splitlines():
        module_path, _, depends = line.partition(":")
        needs[module_path] = [*reversed(depends.split()), module_path]
    paths = {Path(path).stem.replace("_", "-"): path for path in needs}
    packed: set[str] = set()
    for group, names in MODULES.items():
        wanted = [paths.get(name.replace("_", "-"), "") for name in names.split()]
        order = dict.fromkeys(path for name in wanted if name for path in needs[name])
        for path in (path for path in order if path not in packed):
            archive.file(f"/lib/modules/{Path(path).name}", (base / path).read_bytes())
        packed |= order.keys()
        lines = "".join(f"/lib/modules/{Path(path).name}\n" for path in order)
        archive.file(f"/lib/modules/{group}", lines.encode())
