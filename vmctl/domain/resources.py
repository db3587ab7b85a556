"""What a server needs and what a host has: vCPUs, dedicated CPUs, memory and disk in MiB."""

from __future__ import annotations

import re
from dataclasses import dataclass

_KIB_OF = {"K": 1, "M": 1024, "G": 1024**2, "T": 1024**3, "P": 1024**4}
_SIZE = re.compile(r"\s*(\d+)(?:\.(\d+))?\s*([KMGTP])(?:i?B)?\s*", re.ASCII | re.IGNORECASE)
_WANTED = "a size with its unit is wanted, such as 512MiB, 4GiB or 1.5T"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """An amount of vCPUs, memory in MiB and disk in MiB; a difference may be negative.

    Dedicated are the CPUs that are one server's own: they are no vCPUs, which are shared.
    """

    vcpus: int = 0
    memory: int = 0
    disk: int = 0
    dedicated: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            vcpus=self.vcpus + other.vcpus,
            memory=self.memory + other.memory,
            disk=self.disk + other.disk,
            dedicated=self.dedicated + other.dedicated,
        )

    def __sub__(self, other: Resources) -> Resources:
        return Resources(
            vcpus=self.vcpus - other.vcpus,
            memory=self.memory - other.memory,
            disk=self.disk - other.disk,
            dedicated=self.dedicated - other.dedicated,
        )

    def __le__(self, other: Resources) -> bool:
        """Whether each of the amounts is at most the other's."""
        return (
            self.vcpus <= other.vcpus
            and self.memory <= other.memory
            and self.disk <= other.disk
            and self.dedicated <= other.dedicated
        )


def parse_size(text: str) -> int:
    """Read a size such as `4GiB`, `512M` or `1.5TB` as MiB; every unit is binary.

    A ValueError says what is wanted: a bare number has no unit, and what is no whole number of
    MiB would be rounded behind the operator's back.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no size: {_WANTED}")
    whole, fraction, unit = match.groups()
    digits = fraction or ""
    scale: int = 1024 * 10 ** len(digits)
    size, rest = divmod(int(whole + digits) * _KIB_OF[unit.upper()], scale)
    if rest:
        raise ValueError(f"{text!r} is no whole number of MiB: {_WANTED}")
    return size


def format_size(size: float) -> str:
    """Say MiB in the largest unit that keeps it short: `8 GiB`, `3.2 GiB`, `-1.5 TiB`."""
    amount, unit = abs(size), "MiB"
    for larger in ("GiB", "TiB", "PiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{'-' if size < 0 else ''}{amount:.1f}".removesuffix(".0") + f" {unit}"
