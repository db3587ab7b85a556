"""What is owed to hosts, paid on the way by whoever comes to them, and said."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from vmctl.cli.context import Context


def pay(context: Context, hosts: Collection[str]) -> None:
    """Clean these hosts of what earlier servers left there; what cannot be, stays owed."""
    from vmctl.services.recovery import pay_owed

    for paid in pay_owed(context.app.recovery(context.say), hosts):
        if paid.fault is not None:
            context.say(f"still owed: {paid.fault} (vmctl operation show {paid.operation.id})")
