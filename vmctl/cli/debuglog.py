"""The debug log of one run: a file of its own in the state folder, opened by its first line.

Every line has the time, a level, the operation (or the run) that it belongs to, who says it, and
what. Nothing here may fail a command: a log that cannot be written is not written.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from vmctl.cli.console import tell
from vmctl.cli.text import neutral
from vmctl.trace import current_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from logging import LogRecord

    from vmctl.cli.redact import Redactor

KEEP_FILES = 50
KEEP_BYTES = 20_000_000

_DEBUG, _INFO, _WARNING, _ERROR = 10, 20, 30, 40
_LEVELS = {_DEBUG: "debug", _INFO: "info", _WARNING: "warning", _ERROR: "error"}


class DebugLog:
    """Where a run writes down what it does."""

    def __init__(
        self,
        folder: str,
        *,
        argv: Sequence[str] = (),
        run: str = "-",
        file: str | None = None,
        echo: int = _WARNING,
    ) -> None:
        self.run = run
        self.path: str | None = None
        """The file, once there is one."""
        self._folder = folder
        self._file = file
        self._echo = echo
        self._fd: int | None = None
        self._opened = False
        self._detach: Callable[[], None] | None = None
        self._argv = argv
        self._redactor: Redactor | None = None

    def hide(self, secret: str) -> None:
        """Never let this value be written to any log of this run."""
        self._redact().hide(secret)

    def begin(self) -> None:
        """Open the file and write down what was asked for, unless that was done."""
        if not self._opened:
            self._opened = True
            self._fd = self._open()
            self._put(self._lines(_INFO, "vmctl", f"vmctl {self._redact().argv}"))

    def write(self, level: int, name: str, message: str) -> None:
        """Write one record; a message of many lines becomes as many whole lines."""
        self.begin()
        clean = self._redact().clean(message)
        text = self._lines(level, name, clean)
        self._put(text)
        ours = name == "vmctl" or name.startswith("vmctl.")
        if self._echo <= _DEBUG:
            tell(text.rstrip("\n"))
        elif ours and level >= self._echo:
            tell(neutral(clean))

    def attach(self) -> None:
        """Take in what the standard library's logging is given, from here on."""
        if self._detach is not None:
            return
        import logging

        write = self.write

        class ToDebugLog(logging.Handler):
            def emit(self, record: LogRecord) -> None:
                message = record.getMessage()
                if record.exc_info:
                    message += "\n" + logging.Formatter().formatException(record.exc_info)
                write(record.levelno, record.name, message)

        # Other people's debug lines may hold commands and their secrets, and are many.
        root, ours, handler = logging.getLogger(), logging.getLogger("vmctl"), ToDebugLog()
        levels = root.level, ours.level
        root.setLevel(logging.INFO)
        ours.setLevel(logging.DEBUG)
        root.addHandler(handler)

        def detach() -> None:
            root.removeHandler(handler)
            root.setLevel(levels[0])
            ours.setLevel(levels[1])

        self._detach = detach

    def attach_if_used(self) -> None:
        """Attach where something has imported logging; never import it only for this."""
        if "logging" in sys.modules:
            self.attach()

    def close(self, exit_code: int) -> None:
        """End the log, if it was begun."""
        if self._detach is not None:
            self._detach()
            self._detach = None
        if self._fd is not None:
            self._put(self._lines(_INFO, "vmctl", f"exit code {exit_code}"))
            os.close(self._fd)
            self._fd = None

    def _redact(self) -> Redactor:
        # Its patterns take longer to compile than many a command takes to run.
        if self._redactor is None:
            from vmctl.cli.redact import Redactor

            self._redactor = Redactor(self._argv)
        return self._redactor

    def _lines(self, level: int, name: str, message: str) -> str:
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        operation = current_operation() or self.run
        kind = _LEVELS.get(level - level % 10, "error")
        head = f"{stamp}.{int(now % 1 * 1000):03d}Z {kind:<7} {operation} {name}: "
        return "".join(f"{head}{neutral(line)}\n" for line in message.split("\n"))

    def _put(self, text: str) -> None:
        if self._fd is not None:
            try:
                os.write(self._fd, text.encode("utf-8", "backslashreplace"))
            except OSError:
                return

    def _open(self) -> int | None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        now = time.time()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
        path = self._file or f"{self._folder}/{stamp}.{int(now % 1 * 1000):03d}-{os.getpid()}.log"
        try:
            if not self._file:
                os.makedirs(self._folder, mode=0o700, exist_ok=True)  # noqa: PTH103 - no pathlib here
                _prune(self._folder)
                flags |= os.O_EXCL | os.O_NOFOLLOW
            fd = os.open(path, flags, 0o600)
        except OSError as error:
            if self._file:
                tell(f"cannot write the log file {self._file}: {error.strerror}")
            return None
        self.path = path
        return fd


def _prune(folder: str) -> None:
    """Leave the newest logs only, with room for one more."""
    with os.scandir(folder) as entries:
        # Names begin with the time, so they sort by age.
        logs = sorted(
            (entry for entry in entries if entry.name.endswith(".log")),
            key=lambda entry: entry.name,
            reverse=True,
        )
        held = 0
        for place, entry in enumerate(logs, 1):
            try:
                held += entry.stat(follow_symlinks=False).st_size
                if place >= KEEP_FILES or held > KEEP_BYTES:
                    os.unlink(entry.path)  # noqa: PTH108 - no pathlib here
            except OSError:
                continue  # Another run pruned it first.
