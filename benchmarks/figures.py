"""What a benchmark finds: a figure, and the limit that it must keep."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def kept(self) -> bool:
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def __str__(self) -> str:
        limit = ""
        if self.at_most is not None:
            limit = f"  (at most {self.at_most:g})"
        if self.at_least is not None:
            limit = f"  (at least {self.at_least:g})"
        over = "" if self.kept else "  NOT KEPT"
        return f"{self.name:<64} {self.value:>10.3g} {self.unit}{limit}{over}"
