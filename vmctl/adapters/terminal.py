"""The operator's own keys and screen at a guest's console, until they or the guest let go."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
from typing import TYPE_CHECKING, Self, TypeAlias

from vmctl.adapters import modes
from vmctl.errors import VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from vmctl.domain.window import Window
    from vmctl.ports import Console

    Ear: TypeAlias = "int | Console | _Bell"

_KEYS, _SCREEN = 0, 1
_PIECE = 4096
_MOST = 1 << 16
"""Bytes that wait for a guest that takes none, before no more are read."""

_QUIET = 0.3
"""Seconds of silence after which a prompt is one, and not a piece of something longer."""


def talk(console: Console, *, escape: bytes, window: Window | None = None) -> bool:
    """Pass keys to a console and what it says to the screen; True if the operator let go of it.

    On a terminal every key goes through but the one that lets go. What comes from a pipe goes
    through whole, and its end is no end: the guest may go on for as long as it likes. A screen
    that nobody reads any more raises BrokenPipeError.
    """
    if not os.isatty(_KEYS):
        with _Bell() as bell:
            return _Talk(console, b"", None).run(bell)
    with _resized() as bell, modes.kept(_KEYS) as mine, _stoppable(mine):
        # Only now that whatever stops us is met.
        mine.raw()
        try:
            return _Talk(console, escape, window).run(bell)
        finally:
            # Whatever comes next begins a line.
            with contextlib.suppress(OSError):
                if os.isatty(_SCREEN):
                    os.write(_SCREEN, b"\r\n")
            mine.restore()


class _Talk:
    def __init__(self, console: Console, escape: bytes, window: Window | None) -> None:
        self._console = console
        self._escape = escape
        self._window = window
        self._unsent = b""
        self._heard = True  # whether keys may still come

    def run(self, bell: _Bell) -> bool:
        self._look()
        while True:
            ready, free = self._wait(bell)
            if bell in ready:
                bell.answer()
                self._look()
            if self._console in ready and not self._listen():
                return False
            if _KEYS in ready and self._read():
                self._send()
                return True
            if self._console in free:
                self._send()

    def _wait(self, bell: _Bell) -> tuple[list[Ear], list[Ear]]:
        ears: list[Ear] = [self._console, bell]
        ears += [_KEYS] if self._heard and len(self._unsent) < _MOST else []
        mouths: list[Ear] = [self._console] if self._unsent else []
        telling = self._window is not None and self._window.ready
        ready, free, _ = select.select(ears, mouths, [], _QUIET if telling else None)
        if self._window is not None and telling and not ready and not free:
            self._unsent += self._window.line()
        return ready, free

    def _listen(self) -> bool:
        said = self._console.read()
        if said is None:
            return False
        if self._window is not None:
            self._window.said(said)
        _show(said)
        return True

    def _read(self) -> bool:
        """Take in what was typed; True if it lets go of the console."""
        try:
            typed = os.read(_KEYS, _PIECE)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return True  # the terminal is gone
        if not typed:
            self._heard = False
            # A terminal has an end when it is gone; a pipe when all was said.
            return os.isatty(_KEYS)
        if not self._escape:
            self._unsent += typed
            return False
        before, found, _ = typed.partition(self._escape)
        self._unsent += before
        return bool(found)

    def _send(self) -> None:
        self._unsent = self._unsent[self._console.write(self._unsent) :]

    def _look(self) -> None:
        if self._window is not None:
            size = os.get_terminal_size(_KEYS)
            self._window.sized(size.lines, size.columns)


def _show(said: bytes) -> None:
    rest = memoryview(said)
    while rest:
        try:
            rest = rest[os.write(_SCREEN, rest) :]
        except BlockingIOError:
            select.select([], [_SCREEN], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            raise VmctlError(f"cannot write the output: {error.strerror}") from error


class _Bell:
    """Any signal as something that can be waited for together with the rest.

    It may have been taken by another thread, and is answered once the main one looks up.
    """

    def __init__(self) -> None:
        self._ear, self._bell = os.pipe()
        os.set_blocking(self._ear, False)
        os.set_blocking(self._bell, False)

    def fileno(self) -> int:
        return self._ear

    def answer(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._ear, _PIECE)

    def __enter__(self) -> Self:
        self._before = signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._before)
        os.close(self._ear)
        os.close(self._bell)


@contextlib.contextmanager
def _resized() -> Iterator[_Bell]:
    """Give a bell that rings when the terminal's size has changed as well."""
    with _Bell() as bell, _handled(signal.SIGWINCH, lambda _number, _frame: None):
        yield bell


@contextlib.contextmanager
def _stoppable(mine: modes.Modes) -> Iterator[None]:
    """Have the terminal as it was while we are stopped, and raw again when we go on."""

    def go_on(_number: int, _frame: FrameType | None) -> None:
        mine.raw()

    def stop(number: int, frame: FrameType | None) -> None:
        mine.restore()
        with _handled(signal.SIGTSTP, signal.SIG_DFL):
            os.kill(os.getpid(), signal.SIGTSTP)
        go_on(number, frame)

    # SIGSTOP cannot be met; but what is done to a terminal meanwhile is undone.
    with _handled(signal.SIGTSTP, stop), _handled(signal.SIGCONT, go_on):
        yield


@contextlib.contextmanager
def _handled(
    number: signal.Signals, handler: Callable[[int, FrameType | None], None] | signal.Handlers
) -> Iterator[None]:
    """Handle a signal, unless we were started to ignore it."""
    before = signal.getsignal(number)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
