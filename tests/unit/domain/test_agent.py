"""What an agent is asked and how its answers are read, whoever rules the guest."""

from __future__ import annotations

import pytest

from vmctl.domain.agent import Ran, end_of, number_of, to_run


def test_a_command_is_asked_for_by_its_words_alone() -> None:
    assert to_run(["sh", "-c", "a b"]) == {
        "path": "sh",
        "arg": ["-c", "a b"],
        "capture-output": True,
    }
    assert to_run(["cat"], b"in")["input-data"] == "aW4="


def test_an_end_is_a_code_or_a_signal() -> None:
    assert end_of({"exited": False}) is None
    assert end_of({"exited": True, "exitcode": 3, "out-data": "aGk="}) == Ran(
        exit_code=3, stdout=b"hi"
    )
    assert end_of({"exited": True, "signal": 9}) == Ran(exit_code=137)
    cut = end_of({"exited": True, "exitcode": 0, "err-truncated": True})
    assert cut is not None
    assert cut.cut


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"exited": 1, "exitcode": "a"},
        {"exited": True},
        {"exited": True, "signal": []},
    ],
)
def test_what_is_no_end_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match="did not say how"):
        end_of(answer)


@pytest.mark.parametrize("answer", [None, [], {}, {"pid": "7"}])
def test_what_is_no_process_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match="which process"):
        number_of(answer)


def test_what_it_wrote_shows_in_no_repr() -> None:
    assert "hush" not in repr(Ran(exit_code=0, stdout=b"hush", stderr=b"hush"))
