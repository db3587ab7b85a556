from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmctl.domain.operation import Mark
from vmctl.errors import OwnershipLost
from vmctl.sagas import CREATE, DELETE, OLDER, PRESENT, SAGAS
from vmctl.sagas.saga import UNWIND, Do, Outcome, Saga, Step, Undo, next_move, past_pivot, run
from vmctl.sagas.work import Work

GOLDEN = Path(__file__).parents[1] / "golden/sagas.json"
Marks = list[tuple[str, Mark]]


class Memory:
    """A journal in memory that its owner may lose after so many marks."""

    def __init__(self, marks: Marks | None = None, lost_after: int | None = None) -> None:
        self.written = list(marks or [])
        self.lost_after = lost_after

    def marks(self) -> Sequence[tuple[str, Mark]]:
        return tuple(self.written)

    def write(self, step: str, mark: Mark, detail: str = "") -> None:
        del detail
        if self.lost_after is not None and len(self.written) >= self.lost_after:
            raise OwnershipLost("someone else has it")
        self.written.append((step, mark))


class World:
    """What is there, and every act in its order; chosen acts fail so many times."""

    def __init__(self, fails: dict[str, int] | None = None) -> None:
        self.there: set[str] = set()
        self.acts: list[str] = []
        self.fails = dict(fails or {})

    def act(self, what: str) -> None:
        self.acts.append(what)
        if self.fails.get(what, 0):
            self.fails[what] -= 1
            raise RuntimeError(what)


def a_saga(count: int, *, lasting: frozenset[int] = frozenset(), pivot: int = -1) -> Saga[World]:
    """A workflow whose steps put a thing each into the world; the lasting ones are not undone."""

    def step(number: int) -> Step[World]:
        name = f"s{number}"

        def do(world: World) -> None:
            world.act(f"do {name}")
            world.there.add(name)

        def undo(world: World) -> None:
            world.act(f"undo {name}")
            world.there.discard(name)

        back = None if number in lasting else undo
        return Step(name=name, do=do, undo=back, pivot=number == pivot)

    return Saga(name="test", version=1, steps=tuple(step(number) for number in range(count)))


counts = st.integers(1, 6)
failures = st.dictionaries(
    st.tuples(st.sampled_from(["do", "undo"]), st.integers(0, 5)).map(lambda p: f"{p[0]} s{p[1]}"),
    st.integers(1, 2),
    max_size=3,
)


def history(saga: Saga[World], fails: dict[str, int], cut: int) -> Marks:
    """A journal as a run leaves it that was cut short anywhere."""
    journal = Memory(lost_after=cut)
    with contextlib.suppress(OwnershipLost):
        run(saga, journal, World(fails))
    return journal.written


@given(counts, st.frozensets(st.integers(0, 5)), failures, st.integers(0, 30))
def test_whatever_the_journal_says_there_is_an_end(
    count: int, lasting: frozenset[int], fails: dict[str, int], cut: int
) -> None:
    saga = a_saga(count, lasting=lasting)
    journal = Memory(history(saga, fails, cut))

    outcome, _ = run(saga, journal, World())

    assert outcome in {Outcome.DONE, Outcome.UNWOUND}
    assert next_move(saga, journal.marks()) is outcome


@given(counts, failures, st.integers(0, 30))
def test_nothing_is_done_any_more_after_a_turn_back(
    count: int, fails: dict[str, int], cut: int
) -> None:
    saga = a_saga(count)
    marks = history(saga, fails, cut)
    turned = [at for at, (_, mark) in enumerate(marks) if mark is Mark.FAILED]

    if turned:
        assert all(mark is not Mark.STARTED for _, mark in marks[turned[0] :])
        assert not isinstance(next_move(saga, marks), Do)


@given(counts, st.integers(0, 5))
def test_steps_are_undone_in_reverse_order_of_their_doing(count: int, bad: int) -> None:
    saga = a_saga(count)
    world = World({f"do s{bad}": 1})

    outcome, fault = run(saga, Memory(), world)

    done = [act.removeprefix("do ") for act in world.acts if act.startswith("do ")]
    undone = [act.removeprefix("undo ") for act in world.acts if act.startswith("undo ")]
    if bad < count:
        assert (outcome, str(fault)) == (Outcome.UNWOUND, f"do s{bad}")
        assert undone == done[::-1]
    else:
        assert (outcome, fault, undone) == (Outcome.DONE, None, [])


@given(counts, failures, st.integers(0, 30))
def test_a_step_without_its_end_is_done_again_forward_and_undone_backward(
    count: int, fails: dict[str, int], cut: int
) -> None:
    saga = a_saga(count)
    marks = history(saga, fails, cut)
    if not marks or marks[-1][1] not in {Mark.STARTED, Mark.UNDO_STARTED}:
        return

    move = next_move(saga, marks)

    kind = Do if marks[-1][1] is Mark.STARTED else Undo
    assert isinstance(move, kind)
    assert move.step.name == marks[-1][0]


@given(counts, failures, st.integers(0, 30), failures, st.integers(0, 30))
def test_the_world_is_whole_or_empty_however_often_a_run_is_cut_short(
    count: int, fails: dict[str, int], cut: int, more: dict[str, int], again: int
) -> None:
    saga = a_saga(count)
    world, marks = World(fails), Memory(lost_after=cut)
    for journal, hurt in ((marks, fails), (Memory(lost_after=cut + again), more)):
        journal.written = marks.written
        world.fails = dict(hurt)
        try:
            run(saga, journal, world)
        except OwnershipLost:
            continue
    world.fails = {}

    outcome, _ = run(saga, Memory(marks.written), world)

    everything = {step.name for step in saga.steps}
    assert world.there == (everything if outcome is Outcome.DONE else set())


@given(counts, st.integers(0, 30))
def test_what_was_asked_to_be_undone_is_undone_from_wherever_it_stood(count: int, cut: int) -> None:
    saga = a_saga(count)
    journal = Memory([*history(saga, {}, cut), (UNWIND, Mark.FAILED)])
    world = World()

    outcome, _ = run(saga, journal, world)

    assert outcome is Outcome.UNWOUND
    assert all(act.startswith("undo ") for act in world.acts)


def test_an_undo_that_fails_is_stuck_and_tried_again_by_the_next_run() -> None:
    saga, journal = a_saga(3), Memory()
    world = World({"do s2": 1, "undo s1": 1})

    stuck, fault = run(saga, journal, world)
    unwound, _ = run(saga, journal, world)

    assert (stuck, unwound) == (Outcome.STUCK, Outcome.UNWOUND)
    assert str(fault) == "do s2"
    assert world.acts == ["do s0", "do s1", "do s2", "undo s2", "undo s1", "undo s1", "undo s0"]


def test_past_the_pivot_a_failure_stops_the_run_to_be_resumed() -> None:
    saga, journal = a_saga(3, pivot=1), Memory()
    world = World({"do s2": 1})

    stuck, fault = run(saga, journal, world)

    assert (stuck, str(fault)) == (Outcome.STUCK, "do s2")
    assert past_pivot(saga, journal.marks())
    assert run(saga, journal, world) == (Outcome.DONE, None)


def test_before_the_pivot_a_failure_unwinds() -> None:
    saga, world = a_saga(3, pivot=2), World({"do s1": 1})

    assert run(saga, Memory(), world)[0] is Outcome.UNWOUND
    assert world.there == set()


def test_what_is_to_be_kept_is_left_and_undone_by_the_next_run() -> None:
    saga, journal, world = a_saga(3), Memory(), World({"do s2": 1})

    kept, fault = run(saga, journal, world, keep=True)

    assert (kept, str(fault), world.there) == (Outcome.STUCK, "do s2", {"s0", "s1"})
    assert run(saga, journal, world)[0] is Outcome.UNWOUND
    assert world.there == set()


def stop_after(act: str, world: World) -> Callable[[], None]:
    """Have somebody ask to stop as soon as that was done."""

    def stop() -> None:
        if act in world.acts:
            raise KeyError("stop")

    return stop


def test_an_interrupt_is_asked_for_before_each_step_and_unwinds() -> None:
    saga, world = a_saga(3), World()

    outcome, fault = run(saga, Memory(), world, check=stop_after("do s1", world))

    assert outcome is Outcome.UNWOUND
    assert isinstance(fault, KeyError)
    assert "do s2" not in world.acts


def test_an_interrupt_during_the_last_step_unwinds_where_that_can_be_undone() -> None:
    world, lasting = World(), World()

    undone, fault = run(a_saga(3), Memory(), world, check=stop_after("do s2", world))
    check = stop_after("do s2", lasting)
    done, _ = run(a_saga(3, lasting=frozenset({2})), Memory(), lasting, check=check)

    assert (undone, str(fault), world.there) == (Outcome.UNWOUND, "'stop'", set())
    assert (done, lasting.there) == (Outcome.DONE, {"s0", "s1", "s2"})


def test_what_is_to_be_kept_and_is_whole_is_not_given_up_at_its_end() -> None:
    world = World()

    ended, _ = run(a_saga(3), Memory(), world, check=stop_after("do s2", world), keep=True)

    assert (ended, world.there) == (Outcome.DONE, {"s0", "s1", "s2"})


def test_what_was_ended_before_is_not_undone_by_an_interrupt_now() -> None:
    journal, world = Memory(), World()
    run(a_saga(3), journal, world)

    assert run(a_saga(3), journal, world, check=stop_after("do s2", world))[0] is Outcome.DONE


def test_an_interrupt_just_before_the_pivot_unwinds_and_past_it_is_not_asked_for() -> None:
    saga, journal, world = a_saga(3, pivot=1), Memory(), World()
    assert run(saga, journal, world, check=stop_after("do s0", world))[0] is Outcome.UNWOUND
    assert not past_pivot(saga, journal.marks())
    assert world.there == set()

    world = World()
    assert run(saga, Memory(), world, check=stop_after("do s1", world))[0] is Outcome.DONE
    assert world.there == {"s0", "s1", "s2"}


def test_what_turned_it_is_told_before_anything_is_undone() -> None:
    world, told = World({"do s1": 1}), []

    def turn(fault: Exception) -> None:
        told.append((str(fault), sorted(world.there)))

    assert run(a_saga(3), Memory(), world, turn=turn)[0] is Outcome.UNWOUND
    assert told == [("do s1", ["s0"])]


def test_a_loser_stops_before_its_next_effect() -> None:
    world = World()

    with pytest.raises(OwnershipLost):
        run(a_saga(3), Memory(lost_after=2), world)

    assert world.acts == ["do s0"]


def test_the_domain_is_the_first_thing_there_and_the_last_to_go() -> None:
    assert CREATE.steps[0].name == "define"
    assert CREATE.steps[0].undo is not None
    assert DELETE.steps[-1].name == "undefine"
    assert [step.name for step in DELETE.steps][:2] == ["autostart", "off"]
    assert CREATE.steps[-1].name == "autostart"


def test_no_two_workflows_go_by_one_name_and_version_and_the_newest_is_begun() -> None:
    assert len(SAGAS) == len(PRESENT) + len(OLDER)
    newest = {name: max(v for other, v in SAGAS if other == name) for name, _ in SAGAS}
    assert {saga.name: saga.version for saga in PRESENT} == newest
    for saga in SAGAS.values():
        assert len({step.name for step in saga.steps}) == len(saga.steps)


def test_the_steps_of_a_workflow_stay_what_they_are_on_record() -> None:
    now = {f"{name} {version}": told(saga) for (name, version), saga in SAGAS.items()}
    kept: dict[str, list[str]] = json.loads(GOLDEN.read_text())

    if os.environ.get("WRITE_GOLDENS"):
        kept = now | kept
        GOLDEN.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    for name, steps in kept.items():
        assert now.get(name) == steps, (
            f"operations that began as {name} are on record: keep its table under OLDER, and give"
            " the new one the next version. Where a step does the same by another name only, say"
            f" so in {GOLDEN.name}"
        )
    assert now.keys() == kept.keys(), "with WRITE_GOLDENS=1 new versions are written down"


def told(saga: Saga[Work]) -> list[str]:
    """Say of each step what it is called, what does and undoes it, and where no way is back."""

    def called(act: Callable[[Work], None]) -> str:
        return f"{act.__module__.rpartition('.')[2]}.{act.__qualname__}"

    return [
        f"{one.name}: {called(one.do)}"
        + (f", undone by {called(one.undo)}" if one.undo else "")
        + (", no way back" if one.pivot else "")
        for one in saga.steps
    ]
