"""How long hypothesis may look."""

from __future__ import annotations

from hypothesis import settings

# A deadline would measure the neighbours on a shared machine, not the code.
BRIEFLY = settings(deadline=None, max_examples=60)
