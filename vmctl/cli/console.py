"""The two streams of a run: results on stdout, everything else on stderr.

Both may be closed, full, or of an encoding that cannot say what we want to; none of that is a bug.
"""

from __future__ import annotations

import os
import sys

from vmctl.cli.text import neutral
from vmctl.errors import VmctlError


class PipeClosed(Exception):
    """Whoever read our output went away; there is nobody left to tell."""


def prepare() -> None:
    """Make the streams safe to write to, before anything else is opened."""
    # A closed descriptor 1 would be given to the next file opened, a database perhaps, and our
    # output would be written into it.
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            # Neither LANG=C nor a byte of argv that was no UTF-8 may end in an error.
            stream.reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Print results."""
    if sys.stdout is None:
        raise VmctlError("cannot write the output: stdout is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise PipeClosed from None
    except OSError as error:
        raise VmctlError(f"cannot write the output: {error.strerror}") from error


def write_bytes(data: bytes, *, to_stderr: bool = False) -> None:
    """Print what a command elsewhere wrote: as it is, or as a terminal may show it."""
    stream = sys.stderr if to_stderr else sys.stdout
    if not data or (stream is None and to_stderr):
        return
    if stream is None:
        raise VmctlError("cannot write the output: stdout is closed")
    try:
        if stream.isatty() or not hasattr(stream, "buffer"):
            stream.write(neutral(data.decode(errors="replace")))
        else:
            stream.flush()
            stream.buffer.write(data)
        stream.flush()
    except BrokenPipeError:
        raise PipeClosed from None
    except OSError as error:
        raise VmctlError(f"cannot write the output: {error.strerror}") from error


def tell(text: str) -> None:
    """Print a line for people; a stderr that cannot take it is nobody's failure."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:
        return


def let_go() -> None:
    """Drop what could not be written, which the interpreter would try once more at its end."""
    for fd, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, fd)
            os.close(null)


def stdout_is_tty() -> bool:
    """Tell whether results go to a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def stderr_is_tty() -> bool:
    """Tell whether messages go to a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def columns(environ_columns: str | None) -> int:
    """Return the width to fit tables into: COLUMNS, then the terminal, then 80."""
    if environ_columns and environ_columns.isdecimal() and int(environ_columns) > 0:
        return int(environ_columns)
    for fd in (1, 2, 0):
        try:
            wide = os.get_terminal_size(fd).columns
        except OSError:
            continue
        if wide > 0:
            return wide
    return 80
