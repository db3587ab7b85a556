"""What the agent in a guest is asked, and how it answers: QEMU's, by its own names."""

from __future__ import annotations

AGENT_LIMIT = 10.0
"""Seconds within which an agent answers, if nobody says otherwise."""

NO_AGENT = "no-agent"
"""Why a question failed: nothing in the guest listens."""

AGENT_SILENT = "agent-silent"
"""Why a question failed: something listens and did not answer; what was asked may be done yet."""

AGENT_REFUSED = "agent-refused"
"""Why a question failed: the agent answered that it will not, or cannot."""
