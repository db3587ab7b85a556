from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.images import a_qcow2
from vmctl.domain.image_format import HEAD, Detected, detect
from vmctl.errors import UsageError


def judged(data: bytes, tail: bytes = b"") -> Detected:
    return detect(data[:HEAD], len(data), tail=tail)


def refusal(data: bytes, tail: bytes = b"") -> str:
    with pytest.raises(UsageError) as raised:
        judged(data, tail)
    return raised.value.message


@pytest.mark.parametrize("version", [2, 3])
def test_a_qcow2_tells_the_size_of_its_disk(version: int) -> None:
    data = a_qcow2(version=version, size=3 << 30)

    assert judged(data) == Detected(format="qcow2", virtual_size=3 << 30)


@pytest.mark.parametrize("bit", [0, 3, 4], ids=["dirty", "compression", "extended-l2"])
def test_features_that_stay_in_the_file_are_taken(bit: int) -> None:
    assert judged(a_qcow2(features=1 << bit)).format == "qcow2"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backing": 512}, "on top of another file"),
        ({"version": 2, "backing": 1}, "on top of another file"),
        ({"crypt": 1}, "encrypted"),
        ({"crypt": 2}, "encrypted"),
        ({"features": 1 << 2}, "data is in another file"),
        ({"extensions": ((0x44415441, b"/etc/shadow"),)}, "data is in another file"),
        (
            {"extensions": ((0x6803F857, b"x" * 48), (0x44415441, b"/etc/shadow"))},
            "data is in another file",
        ),
        ({"features": 1 << 1}, "marked corrupt"),
        ({"features": 1 << 5}, "unknown here (0x20)"),
        ({"features": 1 << 63}, "unknown here"),
        ({"version": 1}, "version 1"),
        ({"version": 4}, "version 4"),
        ({"cluster_bits": 8}, "damaged"),
        ({"cluster_bits": 22}, "damaged"),
        ({"size": 0}, "damaged"),
        ({"size": 1 << 63}, "damaged"),
        ({"table": 1 << 40}, "cut short"),
    ],
)
def test_a_qcow2_that_is_not_whole_and_plain_is_refused(change: dict[str, Any], words: str) -> None:
    assert words in refusal(a_qcow2(**change))


@pytest.mark.parametrize("length", [4, 8, 71, 72, 103])
def test_a_qcow2_that_ends_in_its_header_is_refused(length: int) -> None:
    assert "cut short" in refusal(a_qcow2()[:length])


def at(place: int, mark: bytes) -> bytes:
    return (b"\x01" * place + mark).ljust(4096, b"\x01")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (at(0, b"KDMV"), "is a VMDK"),
        (at(0, b"# Disk DescriptorFile\nversion=1"), "is a VMDK"),
        (at(64, struct.pack("<I", 0xBEDA107F)), "is a VDI"),
        (at(0, b"vhdxfile"), "is a VHDX"),
        (at(0, b"conectix"), "is a VHD,"),
        (at(0, b"QED\0"), "is a QED"),
        (at(0, b"LUKS\xba\xbe"), "encrypted (LUKS)"),
        (at(0, b"\x1f\x8b\x08"), "packed with gzip"),
        (at(0, b"\xfd7zXZ\0"), "packed with xz"),
        (at(0, b"PK\x03\x04"), "a ZIP archive"),
        (at(257, b"ustar"), "a tar archive"),
        (at(0, b"\n <!DOCTYPE html><title>404"), "is a web page"),
        (at(0, b"\xef\xbb\xbf<HTML>"), "is a web page"),
        (b"", "is empty"),
        (b"Not Found\n", "less than one sector"),
    ],
)
def test_what_is_no_qcow2_and_no_disk_is_called_by_its_name(data: bytes, words: str) -> None:
    assert words in refusal(data)


def test_a_vhd_of_fixed_size_is_known_by_its_end() -> None:
    assert "is a VHD," in refusal(b"\xeb" * 8192, tail=b"conectix".ljust(512, b"\0"))


@given(st.integers(1, 5000))
def test_all_else_is_raw_and_as_large_as_its_sectors(size: int) -> None:
    data = b"\xeb\x63\x90".ljust(size, b"\0")[:size]
    if size < 512:
        assert "less than one sector" in refusal(data)
        return

    found = judged(data)

    assert found.format == "raw"
    assert found.virtual_size % 512 == 0
    assert 0 <= found.virtual_size - size < 512


@given(st.binary(max_size=400), st.integers(0, 1 << 40))
def test_no_bytes_do_worse_than_be_refused(head: bytes, size: int) -> None:
    for start in (head, b"QFI\xfb" + head, b"QFI\xfb\0\0\0\3" + head):
        try:
            found = detect(start, size)
        except UsageError:
            continue
        assert found.virtual_size > 0


@given(st.data())
def test_a_changed_header_never_hides_another_file(data: st.DataObject) -> None:
    """Whatever else is broken in it, a header with a backing or a data file is never taken."""
    header = bytearray(a_qcow2())
    for place in data.draw(st.lists(st.integers(4, 111), max_size=6)):
        header[place] = data.draw(st.integers(0, 255))
    try:
        judged(bytes(header))
    except UsageError:
        return
    version, backing = struct.unpack_from(">IQ", header, 4)
    (features,) = struct.unpack_from(">Q", header, 72)
    assert not backing
    assert version == 2 or not features & 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), None),
        (("-o", "compat=0.10"), None),
        (("-o", "compression_type=zstd"), None),
        (("-o", "extended_l2=on"), None),
        (("-b", "base.img", "-F", "raw"), "on top of another file"),
        (("-o", "data_file=data.raw"), "data is in another file"),
    ],
)
def test_what_qemu_itself_makes_is_judged_rightly(
    tmp_path: Path, options: tuple[str, ...], words: str | None
) -> None:
    if shutil.which("qemu-img") is None:
        pytest.skip("there is no qemu-img here")
    (tmp_path / "base.img").write_bytes(b"\0" * (1 << 20))
    size = () if "-b" in options else ("1M",)
    made = subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", *options, "it.qcow2", *size],
        cwd=tmp_path,
        check=False,
    )
    if made.returncode:
        pytest.skip("this qemu-img knows no such option")
    data = (tmp_path / "it.qcow2").read_bytes()

    if words is None:
        assert judged(data) == Detected(format="qcow2", virtual_size=1 << 20)
    else:
        assert words in refusal(data)
