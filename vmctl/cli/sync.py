"""``vmctl sync``: one pass of all that has to be looked after from time to time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.command import lister
from vmctl.cli.exitcodes import OK, WARNINGS
from vmctl.cli.output import Table
from vmctl.errors import Partial

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmctl.cli.context import Context
    from vmctl.services.syncing import Finding

_DAY = 86400
_HOUR = 3600


@lister
@click.option("--fix", is_flag=True, help="go on with the work of the dead, and take away what"
              " was deleted and images that nothing needs")  # fmt: skip
@click.option("--images-older-than", "older", metavar="SECONDS", default=_DAY, show_default=True,
              type=click.IntRange(min=0),
              help="how long a base image is kept that nothing needs")  # fmt: skip
@click.option("--hung-after", "hung", metavar="SECONDS", default=_HOUR, show_default=True,
              type=click.IntRange(min=0),
              help="how long an owner who lives may be at an operation untold")  # fmt: skip
def sync(context: Context, *, fix: bool, older: int, hung: int) -> Table:
    """Have the record follow all hosts, pay what is owed, and tell what else is to be mended.

    It ends with 0 if all is well or was mended, with 16 if something is left, with 14 if a host did
    not answer or something failed, and with 17 while someone else is at it.
    """
    from vmctl.services.syncing import Sync

    app = context.app
    found = Sync(
        recovery=app.recovery(context.say if context.options.verbose else lambda _: None),
        cache=app.base_pruner,
        lines=lambda: app.server_lines(whole=False)[0],
        fix=fix,
        older=older,
        hung=hung,
    ).run()
    return Table(
        columns=("Task", "Host", "Server", "Result", "Finding"),
        rows=[
            (
                one.task,
                one.host,
                one.server,
                one.result,
                one.words if one.turn is None else one.turn.words,
            )
            for one in found
        ],
        exit_code=_code(found),
    )


def _code(found: Iterable[Finding]) -> int:
    results = {one.result for one in found}
    if "failed" in results:
        return Partial.exit_code
    return WARNINGS if "left" in results else OK
