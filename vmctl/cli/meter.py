"""How far bytes are on their way: one line on a terminal, nothing where nobody looks."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vmctl.cli import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vmctl.cli.context import Context

_EACH = 0.2
_MIB = 1024**2


@contextmanager
def meter(context: Context, doing: str) -> Iterator[Callable[[int, int | None], None]]:
    """Say what is being done, and give what is told how far it is."""
    if context.options.quiet or not console.stderr_is_tty():
        yield lambda _done, _of: None
        return
    told = 0.0

    def tick(done: int, of: int | None) -> None:
        nonlocal told
        if time.monotonic() - told < _EACH and done != of:
            return
        told = time.monotonic()
        share = f"{100 * done // of} % of {of // _MIB} MiB" if of else f"{done // _MIB} MiB"
        sys.stderr.write(f"\r{doing}: {share}\x1b[K")
        sys.stderr.flush()

    try:
        yield tick
    finally:
        if told:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
