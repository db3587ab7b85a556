from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.sample import vmctl
from vmctl import errors
from vmctl.cli import boundary, exitcodes
from vmctl.cli.options import Globals

if TYPE_CHECKING:
    from collections.abc import Iterator


def _tree(kind: type[errors.VmctlError]) -> Iterator[type[errors.VmctlError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


def test_every_errors_exit_code_stands_in_the_table() -> None:
    codes = [code for code, _ in exitcodes.EXIT_CODES]

    assert codes == sorted(set(codes))
    assert {kind.exit_code for kind in _tree(errors.VmctlError)} <= set(codes)
    # Wrappers that compare openstack's exit code to a small number must stay right.
    assert not set(codes) & set(range(3, 10))


def test_the_table_of_codes_is_the_documented_one() -> None:
    printed = vmctl("help", "exit-codes").out
    documented = Path("docs/cli.md").read_text()

    for code, meaning in exitcodes.EXIT_CODES:
        assert re.search(rf"^  {code} +{re.escape(meaning)}$", printed, re.MULTILINE)
        assert f"| {code} | {meaning} |" in documented


def test_every_documented_variable_is_a_real_one() -> None:
    printed = vmctl("help", "environment").out
    documented = Path("docs/cli.md").read_text()

    for variable in re.findall(r"^  ([A-Z_]+) ", printed, re.MULTILINE):
        assert f"`{variable}`" in documented


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("fine", 0),
        ("warnings", 16),
        ("abort", 130),
        ("interrupt", 130),
        ("exit", 7),
        ("many", 2),
        ("host", 11),
        ("bug", 70),
    ],
)
def test_every_end_has_its_code(kind: str, code: int) -> None:
    ran = vmctl("fail", kind)

    assert ran.code == code
    assert "Traceback" not in ran.err


def test_an_error_of_many_lines_prints_them_all() -> None:
    assert vmctl("fail", "many").err == (
        "inv.yaml:3: bad size\ninv.yaml:9: unknown key\nhint: fix both\n"
    )


def test_quiet_leaves_the_hint_out() -> None:
    assert vmctl("fail", "host").err.splitlines() == [
        "host kvm2 did not answer",
        "hint: vmctl host check kvm2",
    ]
    assert vmctl("fail", "host", "-q").err == "host kvm2 did not answer\n"


@pytest.mark.parametrize(
    "argv",
    [["--error-format", "json", "fail", "host"], ["fail", "host", "--error-format=json"]],
)
def test_errors_can_be_json(argv: list[str]) -> None:
    error = json.loads(vmctl(*argv).err)["error"]

    assert error.pop("request_id").startswith("req-")
    assert error == {
        "code": "HostUnreachable",
        "message": "host kvm2 did not answer",
        "hint": "vmctl host check kvm2",
        "exit_code": 11,
        "details": {"host": "kvm2"},
    }


@pytest.mark.parametrize(
    "argv", [["zzz", "--error-format", "json"], ["host", "list", "--error-format=json", "--bad"]]
)
def test_a_line_that_cannot_be_read_still_fails_in_json(argv: list[str]) -> None:
    ran = vmctl(*argv)

    assert ran.code == 2
    assert json.loads(ran.err)["error"]["code"] == "UsageError"
    assert vmctl("zzz", environ={"VMCTL_ERROR_FORMAT": "json"}).err.startswith('{"error"')


def test_the_hint_is_coloured_and_nothing_else() -> None:
    assert vmctl("fail", "host", "--color", "always").err == (
        "host kvm2 did not answer\n\x1b[36mhint:\x1b[0m vmctl host check kvm2\n"
    )


def test_an_error_cannot_speak_to_the_terminal() -> None:
    assert "\x1b" not in vmctl("fail", "bug").err
    assert "\x1b" not in vmctl("\x1b[2J").err


def test_a_bug_leaves_its_traceback_in_the_log_only(tmp_path: Path) -> None:
    ran = vmctl("fail", "bug", environ={"XDG_STATE_HOME": str(tmp_path)})

    message, hint = ran.err.splitlines()
    assert message.startswith("vmctl has a bug: KeyError")
    log = Path(hint.removeprefix("hint: the traceback is in "))
    assert "Traceback (most recent call last)" in log.read_text()
    assert 'raise KeyError("oops' in log.read_text()


def test_debug_shows_the_traceback_too(tmp_path: Path) -> None:
    ran = vmctl("fail", "bug", "--debug", environ={"XDG_STATE_HOME": str(tmp_path)})

    assert "Traceback (most recent call last)" in ran.err
    assert ran.code == 70


def test_an_expected_error_is_logged_with_its_cause(tmp_path: Path) -> None:
    vmctl("fail", "host", environ={"XDG_STATE_HOME": str(tmp_path)})

    (log,) = tmp_path.glob("vmctl/log/*.log")
    assert "HostUnreachable: host kvm2 did not answer" in log.read_text()
    assert log.read_text().splitlines()[-1].endswith("vmctl: exit code 11")


def test_a_slip_on_the_command_line_leaves_no_log(tmp_path: Path) -> None:
    vmctl("fail", "many", environ={"XDG_STATE_HOME": str(tmp_path)})

    assert list(tmp_path.iterdir()) == []


def test_a_foreign_error_keeps_its_cause() -> None:
    told: list[errors.VmctlError] = []

    def work() -> int:
        raise OSError(28, "No space left on device")

    assert boundary.guard(work, told.append) == 70
    assert isinstance(told[0].__cause__, OSError)


def test_the_json_of_an_odd_value_is_still_json(capsys: pytest.CaptureFixture[str]) -> None:
    class Odd(errors.VmctlError):
        @property
        def details(self) -> dict[str, object]:
            return {"path": Path("x"), "set": {1}}

    boundary.tell(Odd("odd"), Globals(error_format="json"), {}, "req-1")

    assert json.loads(capsys.readouterr().err)["error"]["details"] == {"path": "x", "set": "{1}"}
