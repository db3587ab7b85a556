"""Events as they are followed: each once, whatever order the database shows them in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.postgres import Postgres
from tests.support.stores import ACTOR, Clock
from vmctl.adapters.schema import events
from vmctl.adapters.store import SqlStore, open_store
from vmctl.adapters.store.events import record
from vmctl.cli.event_tail import WINDOW, Tail
from vmctl.domain.operation import Event

EVENT = Event(actor=ACTOR, action="server-stop", result="done", server="s1")


def ids(found: tuple[Event, ...] | list[Event]) -> list[int]:
    return [event.id for event in found]


def under(store: SqlStore, number: int) -> None:
    """Have an event come under an id of the past."""
    with store.writing() as tx:
        row = record(tx, EVENT)
        tx.connection.execute(events.update().where(events.c.id == row).values(id=number))


@pytest.fixture
def tail(store: SqlStore, clock: Clock) -> Tail:
    return Tail(store.events, clock)


def test_what_is_there_is_told_up_to_a_limit_and_what_comes_after_it(
    store: SqlStore, tail: Tail
) -> None:
    first = [store.record(EVENT) for _ in range(3)]

    assert ids(tail.begin(2)) == first[1:]
    assert tail.more() == []
    last = store.record(EVENT)
    assert ids(tail.more()) == [last]
    assert tail.more() == []


def test_of_none_that_are_there_only_what_comes_is_told(store: SqlStore, tail: Tail) -> None:
    store.record(EVENT)

    assert tail.begin(0) == ()
    assert tail.more() == []
    last = store.record(EVENT)
    assert ids(tail.more()) == [last]


@pytest.mark.parametrize("most", [0, 100])
def test_what_comes_late_under_an_earlier_id_is_told_once(
    store: SqlStore, clock: Clock, tail: Tail, most: int
) -> None:
    under(store, 10)
    under(store, 30)
    tail.begin(most)
    under(store, 50)
    assert ids(tail.more()) == [50]

    clock.tick(WINDOW - 1)
    under(store, 20)
    under(store, 40)

    assert ids(tail.more()) == [20, 40]
    assert tail.more() == []


def test_what_was_told_long_ago_is_not_read_again(store: SqlStore, clock: Clock) -> None:
    asked = []

    def look(*, after: int = 0, limit: int = 0) -> tuple[Event, ...]:
        asked.append(after)
        return store.events(after=after, limit=limit)

    tail = Tail(look, clock)
    first = store.record(EVENT)
    tail.begin(100)
    clock.tick(WINDOW)
    second = store.record(EVENT)
    assert ids(tail.more()) == [second]
    tail.more()
    clock.tick(WINDOW)
    tail.more()
    tail.more()

    assert asked == [0, 0, first, first, second]


def test_of_a_long_log_only_the_newest_are_read(store: SqlStore, clock: Clock) -> None:
    with store.writing() as tx:
        numbers = [record(tx, replace(EVENT, server=f"s{one}")) for one in range(600)]
    asked = []

    def look(*, after: int = 0, limit: int = 0) -> tuple[Event, ...]:
        asked.append(after)
        return store.events(after=after, limit=limit)

    tail = Tail(look, clock)

    assert ids(tail.begin(1)) == numbers[-1:]
    assert tail.more() == []
    assert asked == [0, numbers[100] - 1]


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.database() as found:
        yield found


def test_a_transaction_that_ends_after_a_later_one_is_told_too(url: str, clock: Clock) -> None:
    with open_store(url) as mine, open_store(url) as theirs:
        tail = Tail(theirs.events, clock)
        tail.begin(100)
        with mine.writing() as tx:
            early = record(tx, EVENT)
            late = theirs.record(EVENT)
            assert ids(tail.more()) == [late]

        assert early < late
        assert ids(tail.more()) == [early]
