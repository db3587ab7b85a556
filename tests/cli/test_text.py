from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.brief import BRIEFLY
from vmctl.cli.color import paint_state, wants_color
from vmctl.cli.text import neutral, pad, width, wrap
from vmctl.cli.yamltext import dump


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("abc", 3), ("日本", 4), ("e\u0301", 1), ("a\u200db", 2), ("ﾃｽﾄ", 3), ("😀", 2)],
)
def test_width_counts_columns_not_characters(text: str, columns: int) -> None:
    assert width(text) == columns
    assert width(pad(text, 9)) == 9
    assert pad(text, 9, right=True).endswith(text)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("plain é 日本\tx\ny", "plain é 日本\tx\ny"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\rb\0\x7f\x9b", "a\\x0db\\x00\\x7f\\x9b"),
        ("\u202etxt", "\\u202etxt"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\ud800"),
    ],
)
def test_control_characters_are_spelled_out(text: str, spelled: str) -> None:
    assert neutral(text) == spelled


@BRIEFLY
@given(st.text(), st.integers(min_value=2, max_value=20))
def test_wrapping_keeps_every_word_and_the_width(text: str, columns: int) -> None:
    lines = wrap(text, columns)

    assert all(width(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace("\n", "").replace(" ", "")


def test_lines_break_at_spaces() -> None:
    assert wrap("one two three", 8) == ["one two", "three"]
    assert wrap("abcdefghij kl", 4) == ["abcd", "efgh", "ij", "kl"]
    assert wrap("日本語", 4) == ["日本", "語"]


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=120)
    | st.sampled_from(
        [
            "yes",
            "No",
            "~",
            "null",
            "1e3",
            "0x1f",
            "1_000",
            "12:30",
            "2024-01-01",
            "-",
            "?",
            ":",
            "#x",
            "'q'",
            "!t",
            "&a",
            "*b",
            "|",
            ">",
            "%",
            "@",
            "`",
            "{",
            "[",
            "<<",
        ]
    )
    | st.sampled_from(
        [" x", "x ", "a: b", "a #b", "a\nb\n", "", ".inf", "\ufeffx", "=", "1.", "0b1"]
    )
)
DATA = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=120), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@BRIEFLY
@given(DATA)
def test_yaml_reads_back_as_what_was_written(data: object) -> None:
    assert yaml.safe_load(dump(data)) == data


def test_yaml_says_not_a_number() -> None:
    assert math.isnan(yaml.safe_load(dump([float("nan")]))[0])


def test_yaml_looks_as_people_write_it() -> None:
    data = [{"Name": "web 1", "Ports": [1, {"a": "b"}], "None": {}, "Note": "it's: so"}, []]

    assert dump(data) == (
        "- Name: web 1\n  Ports:\n    - 1\n    - a: b\n  None: {}\n  Note: 'it''s: so'\n- []\n"
    )


@pytest.mark.parametrize(
    ("choice", "environ", "tty", "colour"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"CLICOLOR": "0"}, True, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("auto", {"CLICOLOR_FORCE": "0"}, False, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colour_follows_flag_then_variables_then_terminal(
    *, choice: str, environ: dict[str, str], tty: bool, colour: bool
) -> None:
    assert wants_color(choice, environ, tty=tty) is colour


@pytest.mark.parametrize(
    ("title", "cell", "code"),
    [
        ("Status", "ACTIVE", "32"),
        ("State", "down", "31"),
        ("Zone Status", "available", "32"),
        ("status", "BUILD", "33"),
        ("OS-EXT-STS:vm_state", "error", "31"),
    ],
)
def test_only_states_are_coloured(title: str, cell: str, code: str) -> None:
    assert paint_state(title, cell, cell) == f"\x1b[{code}m{cell}\x1b[0m"
    assert paint_state("Name", cell, cell) == cell
    assert paint_state(title, "None", "None") == "None"
