"""How long a deed may take: what is not done by then is given up, and what was begun undone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from vmctl.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vmctl.domain.record import Server
    from vmctl.ports import Clock, Store

TIMEOUT = click.option(
    "--timeout",
    "deadline",
    metavar="S",
    type=click.FloatRange(min=0),
    help="after so many seconds, give up what is not done, and undo what was begun of it",
)


class Deadline:
    """A moment after which nothing more is begun; none if it is in no number of seconds."""

    def __init__(
        self, seconds: object, *, store: Store, clock: Clock, asked: Callable[[], None]
    ) -> None:
        self._seconds = seconds if isinstance(seconds, int | float) else None
        self._store = store
        self._clock = clock
        self._asked = asked
        self._until = None if self._seconds is None else clock() + self._seconds

    def check(self) -> None:
        """Raise TimedOut once it is over, or what is raised where someone has asked to stop."""
        self._asked()
        if self._until is not None and self._clock() >= self._until:
            raise TimedOut(f"the {self._seconds:g} s that it was given are over")

    @contextmanager
    def over(self, server: Server, verb: str) -> Iterator[None]:
        """Have whoever is too late say of which server, and what has become of that."""
        from vmctl.domain.operation import OperationState
        from vmctl.domain.record import shown_status

        try:
            yield
        except TimedOut as error:
            if self._until is None or self._clock() < self._until:
                raise  # another wait was over: that one says for what
            left = self._store.operations(unfinished=True, server=server.id)
            stuck = next((one for one in left if one.state is not OperationState.OWED), None)
            now = self._store.server(server.id)
            words = f"server {now.name} was not {verb} within {self._seconds:g} s"
            if stuck is None:
                status = shown_status(now.state, now.task)
                raise TimedOut(
                    f"{words}: nothing of it is under way any more, and it is {status}",
                    hint="give it more time: --timeout S",
                ) from error
            raise TimedOut(
                f"{words}, and what was begun of it could not be undone",
                hint=f"vmctl operation resume {stuck.id}",
            ) from error
