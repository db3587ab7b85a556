from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.brief import BRIEFLY
from vmctl.cli.cells import Shown, human, machine, memory
from vmctl.cli.output import OUTPUTS, Record, Table, render
from vmctl.cli.sheet import Options, Screen
from vmctl.cli.text import width

if TYPE_CHECKING:
    from collections.abc import Sequence

GOLDEN = Path(__file__).parent.parent / "golden" / "cli"
UUID = "3f6a2f6e-6d3f-4b0e-9d6e-0b8f1c2d3e4f"

TABLES: dict[str, Table] = {
    "servers": Table(
        columns=("ID", "Name", "Status", "Networks", "Power State", "RAM"),
        rows=[
            (
                UUID,
                "web-1",
                "ACTIVE",
                Shown({"private": ["10.0.0.4"]}, "private=10.0.0.4"),
                Shown(1, "Running"),
                512,
            ),
            (UUID, "db", "ERROR", Shown({}, ""), Shown(4, "Shutdown"), 65536),
            (UUID, "x", "BUILD", Shown({}, ""), None, None),
        ],
    ),
    "wide": Table(
        columns=("Name", "Text"),
        rows=[
            ("web", "日本語"),
            ("e\u0301tude", "naïve café"),
            ("multi", "one\ntwo lines\r\nthree"),
        ],
    ),
    "numbers": Table(columns="ABCD", rows=[(1, 2.5, True, "7"), (10, 12.25, False, "70")]),
    "quotes": Table(columns=("A b", "C"), rows=[('say "hi"', "a,b"), ("back\\slash", "x")]),
    "empty": Table(columns=("ID", "Name"), rows=[]),
}

RECORD = Record(
    fields={
        "id": UUID,
        "description": "plain text",
        "locked reason": None,
        "addresses": Shown({"private": ["10.0.0.4"]}, "private=10.0.0.4"),
        "OS-EXT-STS:power_state": Shown(1, "Running"),
    }
)
PIPE = Screen()
TTY = Screen(tty=True, width=80)


def golden(name: str) -> str:
    return (GOLDEN / name).read_bytes().decode()


def shown(result: Table | Record, screen: Screen = PIPE, **options: object) -> str:
    return render(result, Options(**options), screen)  # type: ignore[arg-type]  # tests name them


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("kind", ["table", "csv", "json", "value"])
def test_lists_are_openstacks_byte_for_byte(name: str, kind: str) -> None:
    assert shown(TABLES[name], format=kind) == golden(f"{name}.{kind}")


@pytest.mark.parametrize("kind", ["table", "json", "value", "shell"])
def test_records_are_openstacks_byte_for_byte(kind: str) -> None:
    assert shown(RECORD, format=kind, prefix="P_") == golden(f"record.{kind}")


def test_a_frame_without_rows_is_drawn_on_request() -> None:
    assert shown(TABLES["empty"], print_empty=True) == golden("empty_framed.table")


def test_yaml_holds_what_json_holds() -> None:
    results: list[Table | Record] = [*TABLES.values(), RECORD]
    for result in results:
        assert yaml.safe_load(shown(result, format="yaml")) == json.loads(
            shown(result, format="json")
        )


def test_ndjson_is_an_object_on_each_line() -> None:
    lines = shown(TABLES["servers"], format="ndjson").splitlines()

    assert [json.loads(line) for line in lines] == json.loads(golden("servers.json"))


def test_markdown_escapes_what_would_end_a_cell() -> None:
    table = Table(columns=("A", "B"), rows=[("x|y", "one\ntwo")])

    assert shown(table, format="markdown") == "| A | B |\n| --- | --- |\n| x\\|y | one<br>two |\n"


def test_name_prints_ids_or_else_the_first_column() -> None:
    assert shown(TABLES["servers"], format="name") == f"{UUID}\n" * 3
    assert shown(TABLES["wide"], format="name").splitlines()[0] == "web"


def test_noindent_is_one_line() -> None:
    assert shown(TABLES["numbers"], format="json", noindent=True) == (
        '[{"A": 1, "B": 2.5, "C": true, "D": "7"}, {"A": 10, "B": 12.25, "C": false, "D": "70"}]\n'
    )


@pytest.mark.parametrize("style", ["all", "minimal", "none", "nonnumeric"])
def test_csv_reads_back_in_every_quoting(style: str) -> None:
    text = shown(TABLES["quotes"], format="csv", quote=style)

    read = list(csv.reader(io.StringIO(text), escapechar="\\", quotechar='"'))

    if style == "none":
        assert '"' not in text.replace('\\"', "")
    assert read[0] == ["A b", "C"]
    assert read[1] == ['say "hi"', "a,b"]


@pytest.mark.parametrize(
    ("asked", "header"),
    [
        (["Name", "ID"], "ID Name"),
        (["name"], "Name"),
        (["power_state", "id"], "ID Power State"),
        (["POWER STATE"], "Power State"),
        (["nothing", "name"], "Name"),
        (["name", "name"], "Name"),
    ],
)
def test_c_selects_and_does_not_order(asked: Sequence[str], header: str) -> None:
    text = shown(TABLES["servers"], format="csv", columns=asked, quote="none")

    assert text.splitlines()[0] == header.replace("Power State", "PowerState").replace(
        " ", ","
    ).replace("PowerState", "Power State")


@BRIEFLY
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_no_value_makes_a_shell_run_anything(value: str) -> None:
    value = value.rstrip("\n")  # command substitution, which reads it back here, drops those
    text = shown(Record(fields={"a-b": value + "`$(echo pwned)\\"}), format="shell")

    assert text == f'a_b="{"".join(f"{_guard(c)}" for c in value)}\\`\\$(echo pwned)\\\\"\n'


def _guard(char: str) -> str:
    return f"\\{char}" if char in '"\\$`' else char


def test_a_shell_reads_a_hostile_value_back() -> None:
    value = 'a "quoted" $(touch pwned) `word` \\ back\nline'
    text = shown(Record(fields={"description": value}), format="shell")

    read = subprocess.run(
        ["sh", "-c", text + 'printf %s "$description"'], capture_output=True, check=True
    )

    assert read.stdout.decode() == value


def test_machines_get_plain_data_whatever_the_cell() -> None:
    assert machine({"a": (1, Shown(2, "two")), 3: {"x"}}) == {"a": [1, 2], "3": ["x"]}
    assert machine(Shown(Shown(None, "-"), "-")) is None


def test_people_get_text() -> None:
    assert human({"b": 1, "a": [1, 2]}) == "a='1, 2', b='1'"
    assert human(["x", None, "y"]) == "x, None, y"
    assert human(None) == "None"


@pytest.mark.parametrize(
    ("mebibytes", "text"),
    [
        (0, "0 MiB"),
        (1023, "1023 MiB"),
        (12288, "12.0 GiB"),
        (1 << 21, "2.0 TiB"),
        (1 << 31, "2048.0 TiB"),
    ],
)
def test_memory_is_read_by_people_and_counted_by_machines(mebibytes: int, text: str) -> None:
    cell = memory(mebibytes)

    assert human(cell) == text
    assert machine(cell) == mebibytes
    assert memory(None) is None


NARROW = Table(
    columns=("ID", "Name", "Networks", "Zone", "Note"),
    rows=[
        (
            UUID,
            "a name that is not short",
            "private=10.0.0.4, fd00::4; lan=192.0.2.9",
            "north",
            "n" * 30,
        )
    ],
)


def test_a_pipe_never_cuts() -> None:
    assert len(shown(NARROW, Screen(width=40)).splitlines()) == 5


@pytest.mark.parametrize(
    ("screen", "options", "fits"),
    [
        (TTY, {}, 120),
        (Screen(tty=True, width=120), {}, 120),
        (Screen(width=120), {"fit_width": True}, 120),
        (PIPE, {"max_width": 120}, 120),
        (TTY, {"max_width": 0}, 999),
        (TTY, {"max_width": -1}, 999),
    ],
)
def test_a_terminal_is_fitted_without_cutting_ids_and_names(
    screen: Screen, options: dict[str, object], fits: int
) -> None:
    lines = shown(NARROW, screen, **options).splitlines()

    if fits == 999:
        assert len(lines) == 5
        return
    assert max(map(width, lines)) <= fits
    assert len({width(line) for line in lines}) == 1
    assert UUID in lines[3]
    assert "a name that is not short" in lines[3]
    assert len(lines) > 5


def test_networks_give_way_before_other_columns() -> None:
    lines = shown(NARROW, max_width=150).splitlines()

    assert "n" * 30 in lines[3]
    assert "192.0.2.9" not in lines[3]


def test_a_record_wraps_its_values_but_never_its_id() -> None:
    record = Record(fields={"id": UUID, "note": "word " * 30})

    lines = shown(record, max_width=40).splitlines()

    assert any(UUID in line for line in lines)
    assert sum("word" in line for line in lines) > 1


@BRIEFLY
@given(
    st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), min_size=1, max_size=5),
    st.integers(min_value=0, max_value=60),
)
def test_every_line_of_a_frame_is_as_wide_and_obeys_nobody(
    rows: list[tuple[str, str]], limit: int
) -> None:
    text = shown(Table(columns=("Name", "Text"), rows=rows), max_width=limit)

    assert len({width(line) for line in text.rstrip("\n").split("\n")}) == 1
    assert all(char == "\n" or char >= " " for char in text)
    assert "\x9b" not in text
    assert "\x7f" not in text


@pytest.mark.parametrize("kind", [name for name, output in OUTPUTS.items() if output.tables])
def test_no_format_lets_a_value_speak_to_the_terminal(kind: str) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e"

    text = shown(Table(columns=("ID",), rows=[(evil,)]), TTY, format=kind)

    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)


def test_a_pipe_gets_every_byte_of_a_raw_value() -> None:
    assert shown(Table(columns=("ID",), rows=[("\x1b",)]), format="value") == "\x1b\n"


def test_five_hundred_rows_are_drawn_without_delay() -> None:
    import time

    rows = [
        (UUID, f"server-{n}", "ACTIVE", {"a": "b"}, n, None, "x", "y", 2.5, "z") for n in range(500)
    ]
    start = time.process_time()
    shown(Table(columns=list("ABCDEFGHIJ"), rows=rows))

    assert time.process_time() - start < 0.25  # rich takes 326 ms for it where this takes 25
