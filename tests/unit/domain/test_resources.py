from __future__ import annotations

import pytest

from vmctl.domain.resources import Resources, format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GiB", 4096),
        ("4G", 4096),
        ("4GB", 4096),
        ("4 gib", 4096),
        (" 512MiB ", 512),
        ("20g", 20480),
        ("1.5T", 1572864),
        ("0.5GiB", 512),
        ("2048KiB", 2),
        ("1024K", 1),
        ("0M", 0),
        ("2PB", 2 * 1024**3),
    ],
)
def test_a_size_is_read_in_binary_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["4096", "", "GiB", "-4GiB", "4GiBs", "four G", "1e3M", "4 G i B", "4Gb5", "\u0664GiB"]
)
def test_what_is_no_size_says_what_is_wanted(text: str) -> None:
    with pytest.raises(ValueError, match="is no size: a size with its unit is wanted"):
        parse_size(text)


@pytest.mark.parametrize("text", ["1KiB", "1025K", "0.3MiB", "1.0001G"])
def test_a_size_that_would_have_to_be_rounded_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no whole number of MiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 MiB"),
        (512, "512 MiB"),
        (1024, "1 GiB"),
        (3277, "3.2 GiB"),
        (16384, "16 GiB"),
        (1536 * 1024, "1.5 TiB"),
        (-2048, "-2 GiB"),
        (1023.75, "1023.8 MiB"),
        (3 * 1024**3, "3 PiB"),
        (5000 * 1024**3, "5000 PiB"),
    ],
)
def test_a_size_is_said_in_its_largest_short_unit(size: float, words: str) -> None:
    assert format_size(size) == words


def test_resources_add_and_subtract_each_amount() -> None:
    left = Resources(vcpus=2, memory=1024, disk=10)
    right = Resources(vcpus=1, memory=2048, disk=4)

    assert left + right == Resources(vcpus=3, memory=3072, disk=14)
    assert left - right == Resources(vcpus=1, memory=-1024, disk=6)


@pytest.mark.parametrize("amount", ["vcpus", "memory", "disk"])
def test_one_amount_too_many_does_not_fit(amount: str) -> None:
    room = Resources(vcpus=2, memory=2, disk=2)

    assert Resources(vcpus=2, memory=2, disk=2) <= room
    assert not Resources(**{"vcpus": 2, "memory": 2, "disk": 2, amount: 3}) <= room
