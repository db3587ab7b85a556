"""CPUs of a host by their numbers: which are given out one by one, and which all others share.

A host's dedicated CPUs belong to one server each, to whom they are pinned; everybody else runs on
the remaining ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vmctl.errors import ClaimLost

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from vmctl.domain.host import Host
    from vmctl.domain.sample import HostSample

HIGHEST = 8191
"""No host's CPU has a higher number; one that is written has a digit too many."""

_PART = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", re.ASCII)
_WANTED = "CPUs are numbers and ranges of them, such as 2-7,10"


def parse_cpus(text: str) -> tuple[int, ...]:
    """Read CPUs as an operator writes them: `2-7,10`; a ValueError says what is wrong."""
    found: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part.strip()!r} is no CPU: {_WANTED}")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise ValueError(f"{match[0]} ends before it begins")
        if last > HIGHEST:
            raise ValueError(f"{last} is no CPU of any host: the highest is {HIGHEST}")
        found += range(first, last + 1)
    return tuple(found)


def read_cpus(text: str | None) -> frozenset[int]:
    """Read CPUs as kernels and libvirt write them, `0-3,^2` among it; what is no CPU is none."""
    there: set[int] = set()
    for part in (text or "").split(","):
        match = _PART.fullmatch(part.strip().removeprefix("^"))
        if match is None:
            continue
        span = range(int(match[1]), min(int(match[2] or match[1]), HIGHEST) + 1)
        there = there.difference(span) if part.strip()[0] == "^" else there.union(span)
    return frozenset(there)


def format_cpus(cpus: Iterable[int]) -> str:
    """Write CPUs as ranges: `2-7,10`."""
    spans: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if spans and spans[-1][1] == cpu - 1:
            spans[-1][1] = cpu
        else:
            spans.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def cpu_policy_of(properties: Mapping[str, object], extra_specs: Mapping[str, str]) -> str:
    """Say whose CPUs an image and a flavor ask for: `shared`, `dedicated`, or what nobody knows."""
    said = (extra_specs.get("hw:cpu_policy"), properties.get("hw_cpu_policy"))
    words = [str(one).strip().lower() for one in said if one is not None]
    return next((one for one in words if one != "shared"), "shared")


def dedicated_on(host: Host, sample: HostSample | None) -> tuple[int, ...]:
    """Give the CPUs that a host gives out one by one, as far as it has them."""
    if not host.dedicated_cpus:
        return ()  # as of most hosts, at no cost
    there = _online(sample)
    return tuple(one for one in host.dedicated_cpus if there is None or one in there)


def shared_on(host: Host, sample: HostSample | None) -> tuple[int, ...]:
    """Give the CPUs that servers on a host share, where it gives out others; else none are named.

    None are named either where the host did not say which it has.
    """
    there = _online(sample)
    if not host.dedicated_cpus or there is None:
        return ()
    return tuple(sorted(there.difference(host.dedicated_cpus)))


def choose(
    host: Host,
    sample: HostSample | None,
    need: int,
    taken: Collection[int],
    held: tuple[int, ...] = (),
) -> tuple[int, ...]:
    """Choose the CPUs of a server that needs so many of its own: the lowest that nobody has.

    Those that it `held` stay where they can. Raises ClaimLost where there are too few, and for a
    server that needs none where the host has none to share.
    """
    dedicated = dedicated_on(host, sample)
    if not need:
        if dedicated and _online(sample) == frozenset(dedicated):
            raise ClaimLost(f"host {host.name} cannot take the server: all its CPUs are dedicated")
        return ()
    free = [one for one in dedicated if one not in taken]
    if len(held) == need and set(held) <= set(free):
        return held
    if len(free) < need:
        raise ClaimLost(
            f"host {host.name} cannot take the server: {short(need, len(free), len(dedicated))}"
        )
    return tuple(free[:need])


def short(need: int, free: int, total: int) -> str:
    """Say in words that a server needs more CPUs of its own than a host has to give."""
    words = f"needs {need} dedicated CPU{'' if need == 1 else 's'}"
    if not total:
        return f"{words}, the host gives out none"
    if need > total:
        return f"{words}, the host has {total} in all"
    return f"{words}, {free} of {total} free"


def _online(sample: HostSample | None) -> frozenset[int] | None:
    """Give the CPUs that a host has; None where it did not say."""
    if sample is None:
        return None
    if sample.cpus_online is not None:
        return read_cpus(sample.cpus_online)
    return None if sample.cpus is None else frozenset(range(sample.cpus))
