from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.stores import ACTOR, Clock, admit, begin
from vmctl.adapters.store import SqlStore
from vmctl.domain.action import StepRun, step_runs
from vmctl.domain.operation import Event, JournalEntry, Mark, OperationState
from vmctl.domain.record import Change, NewServer, Power, ServerState
from vmctl.ports import Leases

RUNS = Change(state=ServerState.ACTIVE, power=Power.RUNNING, launched=True)
FAILED = Change(state=ServerState.ERROR, fault="no disk")
GO, OK, BAD = Mark.STARTED, Mark.DONE, Mark.FAILED
BACK, UNDONE = Mark.UNDO_STARTED, Mark.UNDONE


@pytest.mark.parametrize(
    ("journal", "runs"),
    [
        ([], []),
        ([("disk", GO)], [("disk", GO, 0, None)]),
        ([("disk", GO), ("disk", OK)], [("disk", OK, 0, 1)]),
        (
            [("disk", GO), ("disk", OK), ("seed", GO), ("seed", BAD)],
            [("disk", OK, 0, 1), ("seed", BAD, 2, 3)],
        ),
        (
            [("disk", GO), ("disk", BAD), ("disk", BACK), ("disk", UNDONE)],
            [("disk", BAD, 0, 1), ("disk", UNDONE, 2, 3)],
        ),
        (
            [("disk", GO), ("disk", GO), ("disk", OK)],
            [("disk", GO, 0, None), ("disk", OK, 1, 2)],
        ),
        (
            [("a", GO), ("b", GO), ("a", OK), ("b", OK)],
            [("a", OK, 0, 2), ("b", OK, 1, 3)],
        ),
        ([("disk", UNDONE)], [("disk", UNDONE, 0, 0)]),
    ],
)
def test_a_journal_is_read_as_goes_at_steps(
    journal: list[tuple[str, Mark]], runs: list[tuple[str, Mark, float, float | None]]
) -> None:
    entries = [
        JournalEntry(operation="o", seq=at + 1, step=step, mark=mark, at=at, detail=f"at {at}")
        for at, (step, mark) in enumerate(journal)
    ]

    found = step_runs(entries)

    assert [(run.step, run.mark, run.started, run.finished) for run in found] == runs
    assert [run.detail for run in found if run.finished is not None] == [
        f"at {int(run.finished)}" for run in found if run.finished is not None
    ]


def test_a_go_at_a_step_says_how_it_went() -> None:
    run = StepRun(step="disk", mark=Mark.STARTED, started=0)

    assert [replace(run, mark=mark).undo for mark in Mark] == [False] * 3 + [True] * 3
    assert [mark for mark in Mark if replace(run, mark=mark).failed] == [
        Mark.FAILED,
        Mark.UNDO_FAILED,
    ]


def test_an_action_is_an_operation_with_its_steps_and_events(
    store: SqlStore, leases: Leases, clock: Clock
) -> None:
    token = admit(store, leases, "web")
    server = store.server("web").id
    started = clock.now
    told = Event(actor=ACTOR, action="server-create", result="done", server=server)
    clock.tick()
    store.journal(token, "define", Mark.STARTED)
    clock.tick()
    store.journal(token, "define", Mark.FAILED, "no room")
    store.finish(token, OperationState.UNWOUND, change=RUNS, fault="no room", event=told)
    clock.tick()
    stop = begin(store, leases, "server-stop", server)
    admit(store, leases, "another")

    create, second = store.actions(server)

    assert (create.request, create.server) == (token.operation, server)
    assert (create.action, create.actor, create.owner) == ("server-create", ACTOR, "a")
    assert (create.state, create.fault) == (OperationState.UNWOUND, "no room")
    assert (create.started, create.updated, create.finished) == (started,) + (started + 2,) * 2
    define = StepRun(
        step="define",
        mark=Mark.FAILED,
        started=started + 1,
        finished=started + 2,
        detail="no room",
    )
    assert create.steps == (define,)
    assert create.events == store.events(operation=token.operation)
    assert len(create.events) == 1
    assert (second.request, second.actor, second.steps) == (stop.operation, None, ())
    assert (second.state, second.finished) == (OperationState.RUNNING, None)


def test_what_was_told_of_a_server_without_an_operation_is_an_action_too(
    store: SqlStore, clock: Clock
) -> None:
    told = Event(
        actor=ACTOR, action="server-create", result="error", server="s", operation="minted"
    )
    store.admit_failed(NewServer(id="s", name="web"), "no host", event=told)
    clock.tick()
    store.record(Event(actor=ACTOR, action="server-lock", result="done", server="s"))

    create, lock = store.actions("s")

    assert (create.request, create.action, create.actor) == ("minted", "server-create", ACTOR)
    assert (create.state, create.started) == (None, clock.now - 1)
    assert (lock.request, lock.action) == ("", "server-lock")
    assert store.actions("nobody") == ()


def test_events_are_found_by_operation_and_by_every_bearer_of_a_name(
    store: SqlStore, leases: Leases
) -> None:
    ids = []
    for _ in range(2):
        token = admit(store, leases, "web")
        ids.append(store.server("web").id)
        told = Event(actor=ACTOR, action="server-create", result="error", server=ids[-1])
        store.finish(token, OperationState.UNWOUND, change=FAILED, release=[1], event=told)
    other = Event(actor=ACTOR, action="x", result="done", server="other", operation="o")
    store.record(other)

    assert [event.server for event in store.events(server="web")] == ids
    assert [event.server for event in store.events(server=ids[0])] == ids[:1]
    assert [event.server for event in store.events(operation="o")] == ["other"]
    last = store.events(server="web")[0].id
    assert [event.server for event in store.events(server="web", after=last)] == ids[1:]
