from __future__ import annotations

import pytest

from tests.cli.sample import vmctl
from vmctl.cli.output import OUTPUTS


def test_no_known_column_is_an_error_that_names_them_all() -> None:
    ran = vmctl("host", "list", "-c", "x", "-c", "y")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[0] == (
        "No recognized column names in ['x', 'y']. Recognized columns are ('Host Name', 'Zone',"
        " 'Status', 'State', 'Servers', 'RAM', 'Labels', 'Pressure')."
    )


def test_c_on_a_record_keeps_the_order_by_name() -> None:
    ran = vmctl("server", "show", "web", "-f", "value", "-c", "status", "-c", "ADDRESSES")

    assert ran.out.splitlines() == [
        "{'private': ['10.0.0.4', 'fd00::4'], 'lan': ['192.0.2.9']}",
        "ACTIVE",
    ]


def test_long_and_asked_columns_appear_when_they_should() -> None:
    usual = vmctl("host", "list", "-f", "csv").out.splitlines()[0]
    long = vmctl("host", "list", "-f", "csv", "--long").out.splitlines()[0]
    asked = vmctl("host", "list", "-f", "csv", "-c", "pressure", "-c", "labels").out

    assert usual.endswith('"RAM"')
    assert long.endswith('"RAM","Labels"')
    assert asked.splitlines()[0] == '"Labels","Pressure"'


@pytest.mark.parametrize(
    ("argv", "hosts"),
    [
        ("--sort-column Servers", "kvm1 kvm10 kvm2"),
        ("--sort-column servers --sort-descending", "kvm10 kvm1 kvm2"),
        ("--sort-column ram --sort-ascending", "kvm10 kvm1 kvm2"),
        ("--sort-column ram --limit 1", "kvm10"),
        ("--sort-column zone --sort-column host_name --sort-descending", "kvm2 kvm10 kvm1"),
        ("--sort-column status --sort-column servers", "kvm2 kvm1 kvm10"),
        ("--sort-column pressure", "kvm10 kvm1 kvm2"),
        ("--sort-column unknown", "kvm1 kvm2 kvm10"),
        ("--limit 0", ""),
        ("--zone north --limit 9", "kvm1 kvm10"),
    ],
)
def test_rows_are_sorted_by_value_with_none_last(argv: str, hosts: str) -> None:
    ran = vmctl("host", "list", "-f", "value", "-c", "Host Name", *argv.split())

    assert ran.out.split() == hosts.split()


def test_both_directions_at_once_are_refused() -> None:
    assert vmctl("host", "list", "--sort-asc", "--sort-desc").code == 2


def test_formats_stand_where_they_make_sense() -> None:
    assert vmctl("host", "list", "-f", "shell").code == 2
    assert vmctl("server", "show", "x", "-f", "csv").code == 2
    for name, output in OUTPUTS.items():
        if output.tables:
            assert vmctl("host", "list", "-f", name).code == 0
        if output.records:
            assert vmctl("server", "show", "x", "-f", name).code == 0


@pytest.mark.parametrize(
    ("environ", "argv", "fitted"),
    [
        ({}, "", False),
        ({"VMCTL_MAX_TERM_WIDTH": "50"}, "", True),
        ({"CLIFF_MAX_TERM_WIDTH": "50"}, "", True),
        ({"CLIFF_MAX_TERM_WIDTH": "50", "VMCTL_MAX_TERM_WIDTH": "500"}, "", False),
        ({"VMCTL_MAX_TERM_WIDTH": "500"}, "--max-width 50", True),
        ({"CLIFF_MAX_TERM_WIDTH": "50"}, "--max-width 0", False),
        ({"CLIFF_FIT_WIDTH": "1", "COLUMNS": "50"}, "", True),
        ({"VMCTL_FIT_WIDTH": "1", "COLUMNS": "50"}, "", True),
        ({"CLIFF_FIT_WIDTH": "0", "COLUMNS": "50"}, "", False),
        ({"COLUMNS": "50"}, "--fit-width", True),
        ({"COLUMNS": "50"}, "", False),
    ],
)
def test_a_width_comes_from_the_flag_then_our_variable_then_openstacks(
    *, environ: dict[str, str], argv: str, fitted: bool
) -> None:
    lines = vmctl("server", "show", "web", *argv.split(), environ=environ).out.splitlines()

    assert (len(lines) > 12) is fitted


def test_a_width_that_is_no_number_is_a_usage_error() -> None:
    ran = vmctl("host", "list", environ={"CLIFF_MAX_TERM_WIDTH": "wide"})

    assert (ran.code, ran.err.splitlines()[0]) == (
        2,
        "CLIFF_MAX_TERM_WIDTH: 'wide' is not a number",
    )
