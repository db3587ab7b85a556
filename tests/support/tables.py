"""Workflows that go wrong, made from the tables of those that go right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from vmctl.errors import RemoteFailed
from vmctl.sagas.saga import Saga, Step
from vmctl.sagas.work import Work


@dataclass(frozen=True)
class Variant:
    """A workflow that goes wrong somewhere, and whether all is undone then."""

    name: str
    saga: Saga[Work]
    back: bool


def variants(saga: Saga[Work]) -> Iterator[Variant]:
    """Have each step fail, before its effect and after it, and each undo; and have all done twice.

    What fails from the pivot on is not undone, but waits to be gone on with.
    """
    steps = saga.steps
    pivot = next((at for at, one in enumerate(steps) if one.pivot), len(steps))
    for at, step in enumerate(steps):
        for when, acts in (("before", False), ("after", True)):
            saga_ = failing(saga, step.name, acts=acts)
            yield Variant(f"failing {when} {step.name}", saga_, back=at < pivot)
    yield Variant("all twice", doubled(saga), back=False)
    if not pivot:
        return
    broken = failing(saga, steps[pivot - 1].name, acts=True)
    yield Variant("undone twice", doubled(broken), back=True)
    for step in steps[:pivot]:
        if step.undo:
            saga_ = stubborn(broken, [step.name])
            yield Variant(f"undo failing at {step.name}", saga_, back=True)


def failing(saga: Saga[Work], name: str, *, acts: bool, on: str = "") -> Saga[Work]:
    """Have the step of that name fail, before or after its effect; on one host, or on any."""

    def do(work: Work, step: Step[Work]) -> None:
        fails = on in ("", work.host.name)
        if acts or not fails:
            step.do(work)
        if fails:
            raise RemoteFailed(work.host.name, f"{name} was made to fail")

    return _each(
        saga, lambda one: replace(one, do=lambda w: do(w, one)) if one.name == name else one
    )


def stubborn(saga: Saga[Work], names: Sequence[str]) -> Saga[Work]:
    """Have the undo of these steps fail."""

    def undo(work: Work) -> None:
        raise RemoteFailed(work.host.name, "the undo was made to fail")

    return _each(saga, lambda one: replace(one, undo=undo) if one.name in names else one)


class Killed(BaseException):
    """Ends a process at once."""


def dying(saga: Saga[Work], name: str) -> Saga[Work]:
    """Have the process end when it is about to do the step of that name."""

    def die(work: Work) -> None:
        raise Killed(work.build.name)

    return _each(saga, lambda one: replace(one, do=die) if one.name == name else one)


def doubled(saga: Saga[Work]) -> Saga[Work]:
    """Have everything done and undone twice."""

    def twice(act: Callable[[Work], None]) -> Callable[[Work], None]:
        def both(work: Work) -> None:
            act(work)
            act(work)

        return both

    return _each(
        saga, lambda one: replace(one, do=twice(one.do), undo=one.undo and twice(one.undo))
    )


def _each(saga: Saga[Work], change: Callable[[Step[Work]], Step[Work]]) -> Saga[Work]:
    return replace(saga, steps=tuple(change(one) for one in saga.steps))
