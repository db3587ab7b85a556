"""Text as a terminal shows it: how wide it is, where it breaks, and nothing that it would obey."""

from __future__ import annotations

import re
import unicodedata

# C0 but tab and newline, DEL, C1; marks and overrides of direction; line separators; the halves of
# surrogate pairs, which are bytes of argv that were no UTF-8.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def neutral(text: str) -> str:
    """Spell out every control character but tab and newline, so that no terminal obeys it."""
    if text.isprintable():
        return text
    return _OBEYED.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def width(text: str) -> int:
    """Count the columns that a terminal gives to one line of text."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Fill a line up to this many columns; ``right`` sets the text against the right edge."""
    fill = " " * (columns - width(text))
    return fill + text if right else text + fill


def wrap(text: str, columns: int) -> list[str]:
    """Break text into lines of at most this many columns, at spaces where there are any."""
    lines: list[str] = []
    for line in text.split("\n"):
        if width(line) <= columns:
            lines.append(line)
            continue
        current = ""
        for word in line.split(" "):
            longer = f"{current} {word}" if current else word
            if width(longer) <= columns:
                current = longer
                continue
            if current:
                lines.append(current)
            *full, current = _chop(word, columns)
            lines.extend(full)
        lines.append(current)
    return lines


def _chop(word: str, columns: int) -> list[str]:
    """Cut one long word; a character wider than a whole line stands alone on one."""
    pieces = [""]
    used = 0
    for char in word:
        wide = _columns(char)
        if used + wide > columns and pieces[-1]:
            pieces.append("")
            used = 0
        pieces[-1] += char
        used += wide
    return pieces
