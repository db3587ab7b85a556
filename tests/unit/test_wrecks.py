"""What a process leaves when it dies is told apart, and only what is alike is taken as one."""

from __future__ import annotations

from itertools import count, takewhile
from pathlib import Path

import pytest

from tests.support.built import SPEC, a_site, creating, deleting, on_site
from tests.support.stage import copy_stage
from tests.support.wrecks import wreck_of


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wrecks")
    a_site(folder / "empty")
    return folder / "empty"


class Died(BaseException):
    """What nothing on the way catches, as nothing does a SIGKILL."""


def left_at(empty: Path, at: int) -> str:
    """End a create just before or after an effect, and say what it left; '' where it came through.

    A process that is forked from a test cannot be bounded, so none is killed here.
    """
    moments = count()

    def die(_: str) -> None:
        if next(moments) == at:
            raise Died

    with on_site(copy_stage(empty, empty.parent / "left")) as stage:
        stage.fleet.on_effect = die
        try:
            creating()(stage)
        except Died:
            return wreck_of(stage)
        return ""


def test_who_died_at_the_same_moment_left_the_same_by_whatever_ids(empty: Path) -> None:
    assert left_at(empty, 10) == left_at(empty, 10) != left_at(empty, 12)


def test_every_effect_leaves_something_else(empty: Path) -> None:
    left = list(takewhile(bool, (left_at(empty, at) for at in count())))

    assert len(left) > 20
    assert len(set(left)) > len(left) / 2


@pytest.mark.parametrize("what", ["down", "clock", "power", "volume", "owner"])
def test_one_difference_anywhere_is_another_wreck(empty: Path, what: str) -> None:
    folder = copy_stage(empty, empty.parent / "whole")
    with on_site(folder) as stage:
        creating()(stage)
        before = wreck_of(stage)

        with stage.fleet.state("kvm1") as state:
            machine = state["machines"][SPEC.id]
            match what:
                case "down":
                    state["down"] = True
                case "power":
                    machine["on"] = False
                case "volume":
                    state["pools"]["default"]["volumes"].popitem()
                case "owner":
                    machine["xml"] = machine["xml"].replace('attempt="1"', 'attempt="2"')
        if what == "clock":
            stage.fleet.sleep(1)

        assert wreck_of(stage) != before


def test_what_was_made_and_deleted_is_not_what_was_never_made(empty: Path) -> None:
    folder = copy_stage(empty, empty.parent / "gone")
    with on_site(folder) as stage:
        before = wreck_of(stage)
        creating()(stage)
        deleting()(stage)

        assert wreck_of(stage) != before
