"""A guest's screen as a real VNC viewer sees it, and the text on it, letter by letter.

A guest without a graphics driver draws in text mode, by the font that the VGA BIOS of its machine
has loaded. That font is read from the BIOS itself, so a cell is a letter only if all of its dots
are that letter's.
"""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

VGABIOS = Path("/usr/share/seabios/vgabios-stdvga.bin")
LETTER_A = bytes.fromhex("000010386cc6c6fec6c6c6c600000000")
ROWS, COLUMNS, HIGH, WIDE = 25, 80, 16, 9
LIMIT = 30.0
LIT = 80


@dataclass(frozen=True, kw_only=True)
class Shot:
    """How a viewer ended, what it said, and the lines that it saw; none if it was not let in."""

    code: int
    said: str
    lines: tuple[str, ...] = ()


def screenshot(port: int, password: str, folder: Path) -> Shot:
    """Have a viewer look at the screen behind a port of this machine, once."""
    picture = folder / f"screen-{port}.jpg"
    picture.unlink(missing_ok=True)
    code, said = _asked("vncsnapshot", f"127.0.0.1:{port - 5900}", str(picture), answer=password)
    if code != 0:
        return Shot(code=code, said=said)
    pixels = subprocess.run(["djpeg", "-pnm", picture], capture_output=True, check=True).stdout
    return Shot(code=code, said=said, lines=letters(pixels))


def letters(pnm: bytes) -> tuple[str, ...]:
    """Read a picture of a text screen; what is no letter of its font is a question mark."""
    head, _, body = pnm.partition(b"\n255\n")
    width, height = map(int, head.split(b"\n")[-1].split())
    assert (width, height) == (COLUMNS * WIDE, ROWS * HIGH), f"no text screen: {width}x{height}"
    assert head.startswith(b"P6"), head
    known = font()

    def cell(row: int, column: int) -> bytes:
        lines = bytearray()
        for y in range(row * HIGH, (row + 1) * HIGH):
            at = (y * width + column * WIDE) * 3
            dots = (max(body[at + x * 3 : at + x * 3 + 3]) > LIT for x in range(8))
            lines.append(sum(dot << 7 - x for x, dot in enumerate(dots)))
        return bytes(lines)

    return tuple(
        "".join(known.get(cell(row, column), "?") for column in range(COLUMNS)).rstrip()
        for row in range(ROWS)
    )


def font() -> dict[bytes, str]:
    """The dots of each letter, and the letter."""
    bios = VGABIOS.read_bytes()
    begin = bios.index(LETTER_A) - ord("A") * HIGH
    found: dict[bytes, str] = {}
    for code in range(32, 127):
        dots = bios[begin + code * HIGH : begin + (code + 1) * HIGH]
        assert dots not in found, f"{chr(code)} and {found.get(dots)} look the same"
        found[dots] = chr(code)
    return found


def _asked(*words: str, answer: str) -> tuple[int, str]:
    """Run a program that asks for a password at its terminal."""
    child, line = pty.fork()
    if child == 0:
        os.execvp(words[0], words)  # noqa: S606 - no shell is wanted
    said, answered, until = b"", False, time.monotonic() + LIMIT
    while select.select([line], [], [], max(until - time.monotonic(), 0))[0]:
        try:
            more = os.read(line, 4096)
        except OSError:
            break
        if not more:
            break
        said += more
        if b"assword:" in said and not answered:
            os.write(line, f"{answer}\n".encode())
            answered = True
    os.close(line)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.decode(errors="replace")
