"""What the commands on events and operations have in common: who, the steps, what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.cli.cells import Shown
from vmctl.cli.server_words import stamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmctl.domain.action import StepRun
    from vmctl.domain.operation import Actor, Event


def who(actor: Actor | None) -> str | None:
    """Name the login, and whoever stands behind sudo."""
    if actor is None:
        return None
    return f"{actor.login} (sudo {actor.sudo_user})" if actor.sudo_user else actor.login


def fault_in(event: Event) -> str | None:
    """Give what an event says went wrong, or is not as it was meant to be."""
    fault = event.detail.get("fault")
    if isinstance(fault, str):
        return fault
    bare = event.detail.get("unenforced")
    if isinstance(bare, list) and bare:
        return f"security groups are not enforced on {', '.join(map(str, bare))}"
    return None


def reason_in(event: Event) -> str | None:
    """Give what whoever did it said it was for."""
    reason = event.detail.get("reason")
    return reason if isinstance(reason, str) and reason else None


def message(fault: str | None, reason: str | None) -> str | None:
    """Say what went wrong, and what it was for, as far as there is either."""
    if fault is None or reason is None:
        return fault or reason
    return f"{fault} (reason: {reason})"


def message_in(event: Event) -> str | None:
    """Say what an event has to say in words."""
    return message(fault_in(event), reason_in(event))


def steps_cell(runs: Iterable[StepRun]) -> Shown:
    """Make a cell of an operation's steps: when each began and ended, and how."""
    whole, words = [], []
    for run in runs:
        name = f"undo {run.step}" if run.undo else run.step
        result = None if run.finished is None else "Error" if run.failed else "Success"
        whole.append(
            {
                "event": name,
                "start_time": stamp(run.started),
                "finish_time": stamp(run.finished),
                "result": result,
                "details": run.detail or None,
            }
        )
        took = "" if run.finished is None else f" in {run.finished - run.started:.1f} s"
        detail = f": {run.detail}" if run.detail and run.failed else ""
        words.append(f"{name}: {result or 'not ended'}{took}{detail}")
    return Shown(whole, "\n".join(words))
