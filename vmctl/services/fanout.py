"""One callable over many things at once; a failure is a value, and no hung one is waited for."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from vmctl.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vmctl.ports import Named

R = TypeVar("R")
T = TypeVar("T", bound="Named")

_LOOKS = 0.1
"""How often the caller's thread looks up, in seconds.

A signal may be taken by any thread, and only the main one answers it: one that waited without end
would learn of a ^C when the first call has ended.
"""


@dataclass(frozen=True, slots=True)
class Ok(Generic[R]):
    """One of them succeeded, with this."""

    value: R


@dataclass(frozen=True, slots=True)
class Failed:
    """One of them failed, with this; a bug is carried like any other failure."""

    error: Exception


def fanout(
    fn: Callable[[T], R],
    things: Iterable[T],
    limit: int = 16,
    *,
    deadline: float | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> dict[str, Ok[R] | Failed]:
    """Call `fn` with each thing, so many at a time, and tell by name how each call ended.

    The order is that of the things. After `deadline` seconds what has not ended is a failure, and
    its thread is left behind: the threads are daemons, so a hung one never holds up the exit.
    What is to be done `meanwhile` is done in the caller's own thread; if it fails, all does.
    """
    todo = list(things)
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    ended: queue.SimpleQueue[tuple[str, Ok[R] | Failed]] = queue.SimpleQueue()
    over = threading.Event()
    for thing in todo:
        waiting.put(thing)

    def work() -> None:
        while not over.is_set():
            try:
                thing = waiting.get_nowait()
            except queue.Empty:
                return
            ended.put((thing.name, _call(fn, thing)))

    for _ in range(min(limit, len(todo))):
        # Each thread gets the caller's context, which names the operation in the debug log.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(work,), daemon=True).start()
    try:
        if meanwhile is not None:
            meanwhile()
        return _gather([thing.name for thing in todo], ended, deadline)
    finally:
        over.set()


def _call(fn: Callable[[T], R], thing: T) -> Ok[R] | Failed:
    try:
        return Ok(fn(thing))
    except Exception as error:  # noqa: BLE001 - one host's failure never ends the command
        return Failed(error)


def _gather(
    names: list[str],
    ended: queue.SimpleQueue[tuple[str, Ok[R] | Failed]],
    deadline: float | None,
) -> dict[str, Ok[R] | Failed]:
    until = None if deadline is None else time.monotonic() + deadline
    found: dict[str, Ok[R] | Failed] = {}
    while len(found) < len(names):
        left = None if until is None else until - time.monotonic()
        try:
            name, outcome = ended.get(timeout=_LOOKS if left is None else max(min(left, _LOOKS), 0))
        except queue.Empty:
            if left is not None and left <= 0:
                break
            continue
        found[name] = outcome
    late = Failed(TimedOut(f"no answer within {deadline or 0:g} s"))
    return {name: found.get(name, late) for name in names}
