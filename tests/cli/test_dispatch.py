from __future__ import annotations

import click
import pytest

from tests.cli.sample import TABLE, SampleApp, vmctl
from vmctl import __version__
from vmctl.cli.command import shapes
from vmctl.cli.commands import COMMANDS
from vmctl.cli.frame import load
from vmctl.cli.grammar import Command
from vmctl.cli.options import BY_SHORT

REAL = {name: command for name, command in COMMANDS.items() if not command.plain}


def test_options_may_be_shortened_and_globals_stand_between() -> None:
    ran = vmctl("ser", "--debug", "cre", "web", "--fla", "m1", "--os-cloud", "x", "--prop", "a=b")

    assert (ran.code, ran.out) == (
        0,
        "[('flavor', 'm1'), ('properties', ('a=b',)), ('server', 'web')]\n",
    )


def test_both_spellings_of_a_boolean_can_be_shortened() -> None:
    assert "('dry_run', True)" in vmctl("server", "create", "web", "--dry").out
    assert "dry_run" not in vmctl("server", "create", "web", "--dry", "--no-d").out


def test_words_after_two_dashes_pass_through() -> None:
    ran = vmctl("host", "ssh", "kvm1", "--", "ls", "--debug", "-q", "--os-cloud", "--help")

    assert ran.out == ("user=None words=['kvm1', 'ls', '--debug', '-q', '--os-cloud', '--help']\n")


def test_a_commands_own_option_shadows_the_global_one() -> None:
    ran = vmctl("server", "create", "--reason", "web")

    assert ran.out == "[('reason', True), ('server', 'web')]\n"


def test_global_options_reach_the_command_from_both_sides_of_its_words() -> None:
    ran = vmctl("--db", "X", "server", "-v", "resize", "web", "-v", "--reason=why", "--yes")

    assert "db='X'" in ran.out
    assert "reason='why'" in ran.out
    assert "yes=True" in ran.out


def test_switches_are_counted_on_both_sides_of_the_words() -> None:
    assert "verbose=2" in vmctl("-v", "server", "resize", "web", "-v").out


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["help"], ["-q", "--os-cloud", "x"]])
def test_without_words_help_is_printed(argv: list[str]) -> None:
    ran = vmctl(*argv)

    assert ran.code == 0
    assert ran.out.startswith("Usage: vmctl COMMAND")
    assert "server resize confirm" in ran.out
    assert "\n  complete " not in ran.out  # hidden
    assert ran.err == ""


@pytest.mark.parametrize("argv", ["help server resize", "server --help", "-h ser", "help ser"])
def test_part_of_a_command_lists_what_begins_so(argv: str) -> None:
    ran = vmctl(*argv.split())

    assert ran.code == 0
    assert "server resize confirm confirm a resize" in " ".join(ran.out.split())
    assert "host list" not in ran.out


@pytest.mark.parametrize(
    "argv",
    [
        "server create --help",
        "help server create",
        "server create x --flavor m1 -h",
        "server create --flavor --help",
        "--help server create",
        "server create --nothing --help",
    ],
)
def test_a_whole_command_shows_its_options(argv: str) -> None:
    ran = vmctl(*argv.split())

    assert ran.code == 0
    assert ran.out.startswith("Usage: vmctl server create [OPTIONS] SERVER\n")
    assert "--flavor" in ran.out


def test_help_of_a_command_names_the_longer_ones() -> None:
    assert "See also:\n  server resize confirm" in vmctl("server", "resize", "--help").out


@pytest.mark.parametrize(
    ("argv", "first", "hint"),
    [
        (
            "server crate",
            "vmctl: 'server crate' is not a vmctl command",
            "did you mean 'server create'?",
        ),
        (
            "server",
            "vmctl: 'server' is not a vmctl command",
            "vmctl help server lists the commands that begin so",
        ),
        ("zzz yyy", "vmctl: 'zzz yyy' is not a vmctl command", "vmctl help lists the commands"),
        ("help zzz", "vmctl: 'zzz' is not a vmctl command", "vmctl help lists the commands"),
        ("zzz --help", "vmctl: 'zzz' is not a vmctl command", "vmctl help lists the commands"),
        ("-f json host list", "no such option: -f", "a command's options stand after its words"),
        ("host list --bogus", "no such option: --bogus", "vmctl help host list"),
        (
            "host list -f xml",
            "invalid value for '-f' / '--format': 'xml' is not one of",
            "vmctl help host list",
        ),
        ("server create", "missing argument 'SERVER'", "vmctl help server create"),
        ("host list a", "got unexpected extra argument (a)", "vmctl help host list"),
        ("host s", "'host s' may mean several commands: host show, host ssh", None),
        ("--db", "option --db needs a value", None),
        (
            "completion tcsh",
            "completion takes one shell: bash, fish, zsh",
            'in ~/.bashrc: eval "$(vmctl completion bash)"',
        ),
    ],
)
def test_a_usage_error_is_two_lines_on_stderr(argv: str, first: str, hint: str | None) -> None:
    ran = vmctl(*argv.split())

    assert (ran.code, ran.out) == (2, "")
    lines = ran.err.splitlines()
    assert lines[0].startswith(first)
    assert lines[1:] == ([f"hint: {hint}"] if hint else [])


@pytest.mark.parametrize(
    "argv", ["version", "--version", "host list --version", "--os-x y version"]
)
def test_the_version_is_printed(argv: str) -> None:
    assert vmctl(*argv.split()).out == f"vmctl {__version__}\n"


def test_an_app_is_composed_only_when_asked_for_and_always_closed() -> None:
    SampleApp.closed.clear()

    vmctl("host", "list")
    assert SampleApp.closed == []

    assert vmctl("fail", "app", "--db", "here.db").out == "here.db\n"
    assert [config.db for config in SampleApp.closed] == ["here.db"]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_of_the_product_has_help(name: str) -> None:
    ran = vmctl(*name.split(), "--help", commands=COMMANDS)

    assert ran.code == 0
    assert ran.out.startswith(f"Usage: vmctl {name} ")


@pytest.mark.parametrize("name", sorted(REAL))
def test_no_command_takes_a_global_letter_for_its_own(name: str) -> None:
    assert not set(shapes(load(REAL[name]))) & set(BY_SHORT)


def test_the_shape_of_every_kind_of_option_is_known() -> None:
    assert shapes(load(TABLE["server create"])) == {
        "--flavor": 1,
        "-l": 1,
        "--description": 1,
        "--property": 1,
        "--fixed": 2,
        "--password": 1,
        "--reason": 0,
        "--dry-run": 0,
        "--no-dry-run": 0,
    }
    assert shapes(click.Command("x", params=[click.Option(["-k"], count=True)])) == {"-k": 0}


def test_a_missing_module_is_a_bug_and_not_a_usage_error() -> None:
    ran = vmctl("x", commands={"x": Command("tests.cli.no_such", "x", "x")})

    assert ran.code == 70
    assert ran.err.startswith("vmctl has a bug: ModuleNotFoundError")
