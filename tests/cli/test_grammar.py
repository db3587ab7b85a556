from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.sample import TABLE, vmctl
from tests.support.brief import BRIEFLY
from vmctl.cli.grammar import beginning_with, match, read_head, read_line
from vmctl.cli.options import Globals, settle
from vmctl.cli.similar import closest_commands, distance
from vmctl.errors import UsageError

OWN = {"--name": 1, "--status": 1, "--stamp": 1, "-n": 1, "--all": 0, "-a": 0, "--fixed": 2}


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("host list", "host list"),
        ("host list extra", "host list"),
        ("server resize", "server resize"),
        ("server resize confirm", "server resize confirm"),
        ("server resize confirm web", "server resize confirm"),
        ("host li", "host list"),
        ("ho li", "host list"),
        ("sec gr li", "security group list"),
        ("server migr fo com", "server migration force complete"),
        ("se sh", "server show"),
        ("host lists", None),
        ("host", None),
        ("nothing", None),
        ("", None),
    ],
)
def test_the_longest_command_that_fits_is_found(words: str, name: str | None) -> None:
    assert match(words.split(), TABLE) == name


def test_a_name_after_a_complete_command_is_no_shortened_word() -> None:
    assert match(["server", "resize", "con"], TABLE) == "server resize"
    assert match(["ser", "resi", "con"], TABLE) == "server resize"


def test_a_word_given_in_full_excludes_the_longer_ones() -> None:
    table = dict.fromkeys(("image list", "image cache list", "images list"), TABLE["log"])

    assert match(["image", "li"], table) == "image list"


def test_a_word_that_may_mean_several_says_which() -> None:
    with pytest.raises(
        UsageError, match=r"'host s' may mean several commands: host show, host ssh"
    ):
        match(["host", "s"], TABLE)


def test_an_empty_word_is_not_short_for_anything() -> None:
    assert match(["host", ""], TABLE) is None


def test_words_list_the_commands_that_begin_so() -> None:
    assert beginning_with(["server", "resize"], TABLE) == [
        "server resize",
        "server resize confirm",
        "server resize revert",
    ]
    assert beginning_with(["ser", "migr"], TABLE) == ["server migration force complete"]
    assert beginning_with(["nothing"], TABLE) == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("sever resize", "server resize"),
        ("server crate", "server create"),
        ("hots list", "host list"),
        ("boot", "server create"),
    ],
)
def test_a_slip_names_what_was_meant_first(typed: str, meant: str) -> None:
    assert closest_commands(typed.split(), TABLE)[0] == meant


def test_no_more_than_three_are_named() -> None:
    assert len(closest_commands(["server", "resize", "confirmed"], TABLE)) <= 3
    table = {f"host lis{end}": TABLE["log"] for end in "abcde"}
    assert len(closest_commands(["host", "list"], table)) == 3


@pytest.mark.parametrize(
    ("one", "other", "slips"),
    [("", "", 0), ("list", "list", 0), ("list", "lsit", 1), ("a", "", 1), ("kitten", "sitting", 3)],
)
def test_a_swap_of_neighbours_is_one_slip(one: str, other: str, slips: int) -> None:
    assert distance(one, other) == distance(other, one) == slips


@pytest.mark.parametrize(
    ("typed", "args"),
    [
        ("--name x", ["--name", "x"]),
        ("--na x y", ["--name", "x", "y"]),
        ("--na=x", ["--name=x"]),
        ("--name=--debug", ["--name=--debug"]),
        ("--name -1", ["--name", "-1"]),
        ("--name -", ["--name", "-"]),
        ("--name --unknown", ["--name", "--unknown"]),
        ("--fixed a b c", ["--fixed", "a", "b", "c"]),
        ("-n x", ["-n", "x"]),
        ("-nq", ["-nq"]),
        ("-an x", ["-an", "x"]),
        ("-vaq", ["-a"]),
        ("-vnx -q", ["-nx"]),
        ("a --debug b", ["a", "b"]),
        ("a -- --debug -v", ["a", "--", "--debug", "-v"]),
        ("--os-cloud c a", ["a"]),
        ("--os-cloud=c a", ["a"]),
        ("--os-cloud --all", ["--all"]),
        ("--os-beta-command a", ["a"]),
        ("--os-anything-new v a", ["a"]),
        ("a --os-token", ["a"]),
        ("--insecure --timing --verify a", ["a"]),
        ("--db x a --yes", ["a"]),
    ],
)
def test_a_line_is_taken_apart(typed: str, args: list[str]) -> None:
    assert read_line(typed.split(), OWN).args == args


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("--sta x", "option --sta may mean any of --stamp, --status"),
        ("--name", "option --name needs a value"),
        ("--name --debug", "option --name needs a value"),
        ("--name --status x", "option --name needs a value"),
        ("--name --os-cloud", "option --name needs a value"),
        ("--name -- x", "option --name needs a value"),
        ("--fixed a", "option --fixed needs a value"),
        ("--db --yes", "option --db needs a value"),
        ("--debug=1", "option --debug takes no value"),
        ("--nothing", "no such option: --nothing"),
        ("--deb", "no such option: --deb"),
        ("--", None),
    ],
)
def test_a_wrong_line_says_what_is_wrong(typed: str, message: str | None) -> None:
    if message is None:
        assert read_line(typed.split(), OWN).args == [typed]
        return
    with pytest.raises(UsageError) as caught:
        read_line(typed.split(), OWN)
    assert caught.value.message == message


def test_a_forgotten_value_tells_how_to_say_it_if_it_was_none() -> None:
    with pytest.raises(UsageError) as caught:
        read_line(["--name", "--debug"], OWN)

    assert caught.value.hint == "if --debug is the value, write --name=--debug"


def test_a_misspelt_option_names_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError) as caught:
        read_line(["--nmae", "x"], OWN)

    assert caught.value.hint == "did you mean --name?"


def test_a_commands_own_option_goes_before_a_global_one() -> None:
    line = read_line(["--yes", "file", "-v"], {"--yes": 1, "-v": 0})

    assert line.args == ["--yes", "file", "-v"]
    assert line.found == {}


@BRIEFLY
@given(
    st.lists(
        st.sampled_from(
            [
                ["--debug"],
                ["-q"],
                ["--os-cloud", "x"],
                ["--db=y"],
                ["--insecure"],
                ["--reason", "z"],
            ]
        ),
        min_size=5,
        max_size=5,
    )
)
def test_global_options_may_stand_anywhere(extra: list[list[str]]) -> None:
    own = [["server"], ["create"], ["web"], ["--name", "n"], ["-a"]]
    argv = [word for pair in zip(extra, own, strict=True) for part in pair for word in part]

    head = read_head(argv)
    name = match(head.words, TABLE)
    line = read_line(argv[head.ends[1] :], OWN)

    assert name == "server create"
    assert line.args == ["web", "--name", "n", "-a"]
    assert set(head.found[1]) | set(line.found) == {
        word.partition("=")[0] if word != "-q" else "--quiet"
        for part in extra
        for word in part
        if word.startswith("-") and word != "--insecure"
    }


@BRIEFLY
@given(st.lists(st.text(max_size=8) | st.sampled_from(["--", "-", "--db", "--os-x", "-v", "="])))
def test_no_line_is_more_than_a_usage_error(argv: list[str]) -> None:
    ran = vmctl("server", "create", *argv)

    assert ran.code in (0, 1, 2)
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("flags", "environ", "expected"),
    [
        ("", {}, Globals()),
        ("--db a", {"VMCTL_DB": "b"}, Globals(db="a")),
        ("", {"VMCTL_DB": "b"}, Globals(db="b")),
        ("", {"VMCTL_DB": ""}, Globals()),
        ("--db a --db b", {}, Globals(db="b")),
        ("--project a --os-project-name b", {}, Globals(project="a")),
        ("--os-project-name b", {"VMCTL_PROJECT": "c"}, Globals(project="b")),
        ("--os-project-name=b", {}, Globals(project="b")),
        ("", {"VMCTL_PROJECT": "c"}, Globals(project="c")),
        ("-vv -v", {}, Globals(verbose=3)),
        ("-q --debug", {}, Globals(quiet=True, debug=True)),
        ("", {"VMCTL_YES": "1", "VMCTL_NO_INPUT": "off"}, Globals(yes=True)),
        ("--color never", {"VMCTL_COLOR": "always"}, Globals(color="never")),
        ("--progress=json --error-format json", {}, Globals(progress="json", error_format="json")),
        ("--log-file f --reason r", {}, Globals(log_file="f", reason="r")),
    ],
)
def test_a_flag_goes_before_its_variable(
    flags: str, environ: dict[str, str], expected: Globals
) -> None:
    assert settle(read_line(flags.split(), {}).found, environ) == expected


@pytest.mark.parametrize(
    ("flags", "environ", "message"),
    [
        ("--color red", {}, "option --color: 'red' is not one of auto, always, never"),
        ("", {"VMCTL_PROGRESS": "x"}, "VMCTL_PROGRESS: 'x' is not one of auto, plain, json, none"),
        ("", {"VMCTL_YES": "maybe"}, "VMCTL_YES: 'maybe' is neither 1 nor 0"),
    ],
)
def test_a_wrong_value_names_where_it_was_said(
    flags: str, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        settle(read_line(flags.split(), {}).found, environ)
    assert caught.value.message == message
