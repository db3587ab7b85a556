"""Making very many values that all live on: looking among them for garbage is wasted time."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def no_collecting() -> Iterator[None]:
    """Let the garbage collector rest meanwhile; it would take most of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            # What was made counts as old at once: the next round would look at all of it.
            gc.freeze()
            gc.unfreeze()
            gc.enable()
