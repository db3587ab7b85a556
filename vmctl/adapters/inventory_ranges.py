"""Names with ranges in them, such as `kvm[01:20]`, and the texts that depend on a host's number."""

from __future__ import annotations

import re
from itertools import product

MOST = 100_000
"""No fleet has more hosts; a name that stands for more is a slip of the finger."""

_RANGE = re.compile(r"\[([0-9]{1,9}):([0-9]{1,9})\]")
_FIELD = re.compile(r"\{([^{}]*)\}")
_NUMBER = re.compile(r"n([1-9]?)(?:\s*([+-])\s*([0-9]{1,9}))?")


def expand(pattern: str) -> list[tuple[str, tuple[int, ...]]]:
    """Give each name that a pattern stands for, and its numbers; a plain name stands for itself.

    The numbers are as wide as the first one is written. A ValueError says what is wrong.
    """
    parts = _RANGE.split(pattern)
    if "[" in "".join(parts[::3]) or "]" in "".join(parts[::3]):
        raise ValueError(f"{pattern!r} has no range such as [01:20] in its brackets")
    if len(parts) == 1:
        return [(pattern, ())]
    spans, total = [], 1
    for first, last in zip(parts[1::3], parts[2::3], strict=True):
        if int(first) > int(last):
            raise ValueError(f"{pattern!r}: [{first}:{last}] ends before it begins")
        if last.startswith("0") and len(last) != len(first):
            raise ValueError(f"{pattern!r}: [{first}:{last}] must have equally many digits")
        spans.append((int(first), int(last), len(first)))
        total *= int(last) - int(first) + 1
    if total > MOST:
        raise ValueError(f"{pattern!r} stands for {total} hosts; {MOST} is the limit")
    found = []
    for numbers in product(*(range(first, last + 1) for first, last, _ in spans)):
        words = [parts[0]]
        for count, number, (_, _, width) in zip(parts[3::3], numbers, spans, strict=True):
            words += [str(number).zfill(width), count]
        found.append(("".join(words), numbers))
    return found


def fill(template: str, name: str, numbers: tuple[int, ...]) -> str:
    """Put a host's name and numbers into a text: `{name}`, `{n}`, `{n+100}`, `{n2}`.

    `{n}` is the number of the name's first range, without its zeros; `{n2}` is the second's. A
    ValueError says what is wrong.
    """

    def value(match: re.Match[str]) -> str:
        field = match[1].strip()
        if field == "name":
            return name
        wanted = _NUMBER.fullmatch(field)
        if wanted is None:
            raise ValueError(f"{match[0]} in {template!r} must be {{name}}, {{n}} or {{n+10}}")
        at = int(wanted[1] or 1)
        if at > len(numbers):
            raise ValueError(f"{match[0]} in {template!r} needs a range: {name} has {len(numbers)}")
        offset = int(wanted[3] or 0)
        return str(numbers[at - 1] + (-offset if wanted[2] == "-" else offset))

    return _FIELD.sub(value, template)
