"""Asking hosts again and again, each at its own pace: one that hangs holds up itself alone."""

from __future__ import annotations

import contextvars
import threading
import time
from typing import TYPE_CHECKING, Self

from vmctl.errors import VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vmctl.domain.host import Host

AT_ONCE = 32
_TICK = 0.05


class Lookout:
    """Asks the hosts that are wanted, every so many seconds each, in threads that nobody awaits."""

    def __init__(
        self, ask: Callable[[Host], object], every: float, *, at_once: int = AT_ONCE
    ) -> None:
        self._ask = ask
        self._every = every
        self._at_once = at_once
        self._lock = threading.Lock()
        self._wanted: dict[str, Host] = {}
        self._due: dict[str, float] = {}
        self._busy: set[str] = set()
        self._failures: dict[str, str] = {}
        self._bug: Exception | None = None
        self._over = threading.Event()
        self.changed = threading.Event()

    def __enter__(self) -> Self:
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._run,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def want(self, hosts: Iterable[Host]) -> None:
        """Ask these from now on, and no others; what went wrong among the asking is raised."""
        with self._lock:
            if self._bug is not None:
                raise self._bug
            self._wanted = {host.name: host for host in hosts}
            for name in set(self._failures) - set(self._wanted):
                del self._failures[name]

    @property
    def failures(self) -> dict[str, str]:
        """Say of each host that failed when it was last asked, how."""
        with self._lock:
            return dict(sorted(self._failures.items()))

    def _run(self) -> None:
        while not self._over.wait(_TICK):
            for host in self._next():
                context = contextvars.copy_context()
                threading.Thread(target=context.run, args=(self._look, host), daemon=True).start()

    def _next(self) -> list[Host]:
        """Take the hosts whose time has come, those that have waited longest before the others."""
        now = time.monotonic()
        with self._lock:
            due = [
                (self._due.get(name, 0.0), name)
                for name in self._wanted
                if name not in self._busy and self._due.get(name, 0.0) <= now
            ]
            names = [name for _, name in sorted(due)][: self._at_once - len(self._busy)]
            self._busy.update(names)
            for name in names:
                self._due[name] = now + self._every
            return [self._wanted[name] for name in names]

    def _look(self, host: Host) -> None:
        failure: str | None = None
        bug: Exception | None = None
        try:
            self._ask(host)
        except VmctlError as error:
            failure = error.message
        except Exception as error:  # noqa: BLE001 - it is raised where somebody hears it
            bug = error
        with self._lock:
            self._busy.discard(host.name)
            self._failures.pop(host.name, None)
            if failure is not None:
                self._failures[host.name] = failure
            self._bug = self._bug or bug
        self.changed.set()
