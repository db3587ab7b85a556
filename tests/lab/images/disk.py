"""A bootable disk: a small FAT with SYSLINUX, the kernel and its initramfs, then one ext4."""

import struct
from collections.abc import Mapping
from pathlib import Path

from tests.lab.images.packages import run

MIB = 1 << 20
MBR = Path("/usr/lib/SYSLINUX/mbr.bin")
FAT, LINUX = 0x0E, 0x83


def boot_partition(folder: Path, files: Mapping[str, Path], command_line: str, size: int) -> Path:
    """A FAT of `size` MiB that boots the files' `linux` and `initrd` with no delay."""
    image, config = folder / "boot.fat", folder / "syslinux.cfg"
    config.write_text(
        "DEFAULT guest\nPROMPT 0\nTIMEOUT 1\n"
        f"LABEL guest\n  LINUX linux\n  INITRD initrd\n  APPEND {command_line}\n"
    )
    with image.open("wb") as disk:
        disk.truncate(size * MIB)
    # The boot sector must know how many sectors stand before it on the whole disk.
    run("mkfs.vfat", "-n", "GUESTBOOT", "-h", "2048", image)
    for name, source in {**files, "syslinux.cfg": config}.items():
        run("mcopy", "-i", image, source, f"::{name}")
    run("syslinux", "--install", image)
    return image


def whole_disk(folder: Path, boot: Path, root: Path) -> Path:
    """A raw disk with an MBR, the boot partition first and active, then the Linux one."""
    disk = folder / "disk.raw"
    start, entries = MIB, b""
    with disk.open("wb") as out:
        for kind, partition in ((FAT, boot), (LINUX, root)):
            size = partition.stat().st_size
            active = 0x80 if kind == FAT else 0
            # Cylinders and heads say "beyond": everything reads the sector numbers after them.
            entries += struct.pack(
                "<B3sB3sII", active, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", start >> 9, size >> 9
            )
            place = ("bs=1M", f"seek={start // MIB}", "conv=sparse,notrunc", "status=none")
            run("dd", f"if={partition}", f"of={disk}", *place)
            start += size
        out.truncate(start)
        out.seek(0)
        out.write(MBR.read_bytes()[:440].ljust(446, b"\0") + entries.ljust(64, b"\0") + b"\x55\xaa")
    return disk


def qcow2(raw: Path) -> Path:
    """The same disk, compressed."""
    image = raw.with_suffix(".qcow2")
    run("qemu-img", "convert", "-c", "-O", "qcow2", raw, image)
    return image
