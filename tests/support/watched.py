"""Ports that announce each call before and after it, and end the process where they are told to."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

T = TypeVar("T")

STORE = (
    *(
        "admit",
        "readmit",
        "readdress",
        "repin",
        "begin",
        "adopt",
        "journal",
        "change",
        "mark_attempt",
    ),
    *("replan", "finish"),
)
COMMITS = (*STORE, "admit_failed", "save_samples", "observe", "move", "rename")
"""The same, and those that only say what was seen."""

HYPERVISOR = (
    *("ensure_defined", "ensure_running", "ensure_off", "ensure_undefined", "ensure_autostart"),
    *("ensure_volume", "ensure_content", "remove_volume", "ensure_filter", "remove_filter"),
    *("ensure_reservation", "remove_reservation", "ensure_record", "ensure_named"),
)


@dataclass
class Watch:
    """Counts the moments of one process and kills it at one of them."""

    kill_at: int | None = None
    moments: list[str] = field(default_factory=list)

    def moment(self, name: str) -> None:
        """Note a moment; the process may not outlive it."""
        if len(self.moments) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.moments.append(name)


class _Watched:
    def __init__(self, port: object, calls: tuple[str, ...], watch: Watch, kind: str) -> None:
        self._port = port
        self._calls = calls
        self._watch = watch
        self._kind = kind

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in self._calls:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            what = " ".join([self._kind, name, *(a for a in args if isinstance(a, str))])
            self._watch.moment(f"before {what[:120]}")
            result = found(*args, **kwargs)
            self._watch.moment(f"after {what[:120]}")
            return result

        return call


def watched(port: T, calls: tuple[str, ...], watch: Watch, kind: str) -> T:
    """Have these calls of a port announced."""
    return cast("T", _Watched(port, calls, watch, kind))
