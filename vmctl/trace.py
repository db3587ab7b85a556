"""The id of the operation that the running code works for, for every line of the debug log.

It is a context variable: each thread that runs an operation sets its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPERATION: ContextVar[str | None] = ContextVar("operation", default=None)


def current_operation() -> str | None:
    """Return the id of the operation under way in this thread, if there is one."""
    return _OPERATION.get()


@contextmanager
def operation(name: str) -> Iterator[None]:
    """Mark everything logged within as belonging to the operation with this id."""
    token = _OPERATION.set(name)
    try:
        yield
    finally:
        _OPERATION.reset(token)
