from __future__ import annotations

from pathlib import Path

from vmctl.adapters.turns import Turns


def test_so_many_have_a_turn_and_no_more(tmp_path: Path) -> None:
    turns, others = (Turns(str(tmp_path / "turns"), places=2) for _ in range(2))
    with turns.attempt("a") as first, others.attempt("a") as second, turns.attempt("a") as third:
        assert (first, second, third) == (True, True, False)
        with turns.attempt("b") as other:
            assert other
    with others.attempt("a") as again:
        assert again
    assert list((tmp_path / "turns").iterdir()) == []


def test_a_turn_is_seen_by_others_for_as_long_as_it_is_held(tmp_path: Path) -> None:
    turns, others = (Turns(str(tmp_path / "turns"), places=2) for _ in range(2))
    assert not others.held("a")
    with turns.attempt("a"), turns.attempt("a") as second:
        assert second
        assert others.held("a")
        assert not others.held("b")
    assert not others.held("a")
