"""Grading a host step by step: what is well, what is not, and the very command that mends it.

A step rests on others. When one of them failed it is skipped with that reason: whoever reads the
list mends the first failure first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vmctl.domain.check_facts import Facts

Grade = Literal["pass", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one step of a check found; the remedy is a command, run on the host or here."""

    step: str
    grade: Grade
    text: str
    remedy: str | None = None
    where: Literal["host", "here"] = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: its name, the steps it rests on, and how the facts are graded."""

    name: str
    grade: Callable[[Facts], Iterable[Finding]]
    needs: tuple[str, ...] = ()


def run_steps(steps: Iterable[Step], facts: Facts) -> tuple[Finding, ...]:
    """Grade the facts by each step in order; one whose ground failed is skipped with the reason."""
    findings: list[Finding] = []
    broken: dict[str, str] = {}
    for step in steps:
        ground = next((broken[need] for need in step.needs if need in broken), None)
        if ground is not None:
            broken[step.name] = ground
            findings.append(
                Finding(step=step.name, grade="skip", text=f"not looked at: {ground!r} failed")
            )
            continue
        found = tuple(step.grade(facts))
        if any(one.grade == "fail" for one in found):
            broken[step.name] = step.name
        findings += found
    return tuple(findings)


def exit_code(findings: Iterable[Finding]) -> int:
    """Say how a check ends: 0 all is well, 16 there are warnings, 1 something fails."""
    grades = {finding.grade for finding in findings}
    return 1 if "fail" in grades else 16 if "warn" in grades else 0


def well(step: str, text: str) -> Finding:
    """Say that a step found all well."""
    return Finding(step=step, grade="pass", text=text)


def unknown(step: str, text: str, remedy: str | None = None) -> Finding:
    """Say that a step could not be judged, or has nothing to judge, and why."""
    return Finding(step=step, grade="skip", text=text, remedy=remedy)


def warning(step: str, text: str, remedy: str | None = None) -> Finding:
    """Say that something will do, and should be better."""
    return Finding(step=step, grade="warn", text=text, remedy=remedy)


def failure(
    step: str, text: str, remedy: str | None = None, *, where: Literal["host", "here"] = "host"
) -> Finding:
    """Say that something stands in the way."""
    return Finding(step=step, grade="fail", text=text, remedy=remedy, where=where)
