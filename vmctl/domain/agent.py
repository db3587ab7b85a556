"""What the agent in a guest is asked, and how it answers: QEMU's, by its own names."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AGENT_LIMIT = 10.0
"""Seconds within which an agent answers, if nobody says otherwise."""

NO_AGENT = "no-agent"
"""Why a question failed: nothing in the guest listens."""

AGENT_SILENT = "agent-silent"
"""Why a question failed: something listens and did not answer; what was asked may be done yet."""

AGENT_REFUSED = "agent-refused"
"""Why a question failed: the agent answered that it will not, or cannot."""

TOO_MUCH = "agent-too-much"
"""Why a question failed: the answer is longer than what goes this way."""

MOST_INPUT = 1 << 20
"""Bytes that a command may be given to read; more does not fit into one question."""

_SIGNALLED = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command in a guest ended, and what it wrote; neither shows in a repr or a log."""

    exit_code: int  # 128 and its number where a signal ended it
    stdout: bytes = field(default=b"", repr=False)
    stderr: bytes = field(default=b"", repr=False)
    cut: bool = False  # whether the agent kept less than it wrote


def to_run(words: Sequence[str], given: bytes = b"") -> Mapping[str, object]:
    """Give the arguments of guest-exec: a program's words as they are, and what it is to read."""
    told: dict[str, object] = {"path": words[0], "arg": list(words[1:]), "capture-output": True}
    if given:
        told["input-data"] = base64.b64encode(given).decode()
    return told


def number_of(answer: object) -> int:
    """Read guest-exec's answer; ValueError where it is none."""
    match answer:
        case {"pid": int() as number}:
            return number
    raise ValueError("it did not say which process it is")


def end_of(answer: object) -> Ran | None:
    """Read guest-exec-status's answer; None while the command runs, ValueError where it is none."""
    said = answer if isinstance(answer, dict) else {}
    match said:
        case {"exited": False}:
            return None
        case {"exited": True, "signal": int() as signal}:
            code = _SIGNALLED + signal
        case {"exited": True, "exitcode": int() as code}:
            pass
        case _:
            raise ValueError("it did not say how the command is")
    return Ran(
        exit_code=code,
        stdout=base64.b64decode(str(said.get("out-data", ""))),
        stderr=base64.b64decode(str(said.get("err-data", ""))),
        cut=bool(said.get("out-truncated") or said.get("err-truncated")),
    )
