"""A whole Debian (or Ubuntu, where that is what this machine runs) with the real cloud-init.

It shows that a seed is what cloud-init wants, which the small guest can only pretend to know. It is
made of the machine's own release and apt sources; netplan and systemd-networkd hold its network.
"""

import platform
import re
import shutil
from pathlib import Path

from tests.lab.images.cache import HERE, built_once
from tests.lab.images.disk import boot_partition, qcow2, whole_disk
from tests.lab.images.packages import installed, kernel, offered, run

INCLUDED = (
    "cloud-init",
    "cloud-guest-utils",
    "fdisk",
    "e2fsprogs",
    "openssh-server",
    "qemu-guest-agent",
    "systemd-sysv",
    "dbus",
    "netplan.io",
    "systemd-resolved",
    "iproute2",
    "iputils-ping",
    "sudo",
    "udev",
    "initramfs-tools",
    "zstd",
)
"""What is asked for beside the kernel."""

COMMAND_LINE = (
    "root=/dev/vda2 rw console=tty0 console=ttyS0,115200 panic=-1 net.ifnames=0 mitigations=off "
    "tsc=reliable no_timer_check random.trust_cpu=on nokaslr loglevel=4"
)

MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "man-db.timer",
    "motd-news.timer",
)
"""What costs a short-lived guest time and gives it nothing."""

FILES = {
    "etc/fstab": "/dev/vda2 / ext4 defaults,noatime 0 1\n",
    "etc/hostname": "debian\n",
    "etc/machine-id": "",
    "etc/resolv.conf": "",
    "etc/cloud/cloud.cfg.d/90_lab.cfg": (
        "datasource_list: [ NoCloud, ConfigDrive, None ]\n"
        "apt: {preserve_sources_list: true}\n"
        "ssh_genkeytypes: [ed25519]\n"
        "locale: false\n"
        "grub_dpkg: {enabled: false}\n"
        "system_info: {network: {renderers: [netplan, networkd]}}\n"
    ),
}
BEFORE = {
    "etc/initramfs-tools/initramfs.conf": "MODULES=list\nBUSYBOX=auto\nCOMPRESS=lz4\n",
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\n",
}
"""Written before the kernel's package makes its initramfs: that one disk driver is all it needs."""


def debian_guest(cache: Path) -> Path:
    """The whole Debian's qcow2 in `cache`, built if it is not there (minutes, and a download)."""
    packages = kernel()
    used = installed("syslinux", "mmdebstrap") | {one.name: one.version for one in packages}
    # Asking apt costs half a second a package: beside the kernel only what the image is for counts.
    used |= {one.name: one.version for name in INCLUDED[:1] if (one := offered(name))}
    recipe = [HERE / f"{name}.py" for name in ("debian", "disk")]
    return built_once(
        cache, "debian", recipe, used, lambda folder: _build(folder, packages[0].name)
    )


def _build(folder: Path, kernel_name: str) -> Path:
    root = folder / "root"
    sources = folder / "machine.sources"
    sources.write_text(_sources(Path("/etc/apt")))
    before = folder / "before"
    _write(before, BEFORE)
    try:
        run(
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join([kernel_name, *INCLUDED])}",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            "--dpkgopt=force-confold",
            '--aptopt=Acquire::Languages "none"',
            f'--essential-hook=cp -r {before}/. "$1"',
            platform.freedesktop_os_release()["VERSION_CODENAME"],
            root,
            sources,
        )
        return _disk(folder, root)
    finally:
        # Removing a tree that something is still mounted in would reach beyond the tree.
        busy = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((path for path in busy if path.startswith(f"{root}/")), reverse=True):
            run("umount", mount)


def _disk(folder: Path, root: Path) -> Path:
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    _write(root, FILES)
    run("systemctl", f"--root={root}", "mask", *MASKED)
    run("systemctl", f"--root={root}", "enable", "systemd-networkd", "systemd-resolved", "ssh")
    (root / "etc/resolv.conf").unlink()
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    (linux,) = (root / "boot").glob("vmlinuz-*")
    (initrd,) = (root / "boot").glob("initrd.img-*")
    boot = boot_partition(folder, {"linux": linux, "initrd": initrd}, COMMAND_LINE, 64)
    filesystem = folder / "root.ext4"
    run("mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", root, filesystem, "1400M")
    shutil.rmtree(root)
    disk = whole_disk(folder, boot, filesystem)
    filesystem.unlink()
    return qcow2(disk)


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def _sources(apt: Path) -> str:
    """The machine's sources of its own release, in deb822 form; those of other makers stay out."""
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    stanzas = []
    for path in sorted(apt.glob("sources.list.d/*.sources")):
        stanzas += re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n", "", path.read_text()))
    for path in [apt / "sources.list", *sorted(apt.glob("sources.list.d/*.list"))]:
        lines = path.read_text().splitlines() if path.exists() else []
        stanzas += [stanza for line in lines if (stanza := _deb822(line))]
    suite = re.compile(rf"(?m)^Suites:\s*{codename}\b")
    ours = [stanza for stanza in stanzas if suite.search(stanza)]
    if not ours:
        raise RuntimeError(f"{apt} names no source of {codename}")
    return "\n\n".join(stanza.strip() for stanza in ours) + "\n"


def _deb822(line: str) -> str:
    found = re.match(r"deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)", line)
    if not found:
        return ""
    options, uri, suite, components = found.groups()
    signed = re.search(r"signed-by=(\S+)", options or "")
    more = f"\nSigned-By: {signed[1]}" if signed else ""
    return f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {components}{more}"
