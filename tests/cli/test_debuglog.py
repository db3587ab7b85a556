from __future__ import annotations

import logging
import os
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.cli.sample import vmctl
from vmctl import trace
from vmctl.cli import debuglog
from vmctl.cli.debuglog import DebugLog
from vmctl.cli.redact import Redactor

if TYPE_CHECKING:
    from pathlib import Path

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error) +(\S+) (\S+): "
)


def the_log(state: Path) -> Path:
    (path,) = state.glob("vmctl/log/*.log")
    return path


def test_a_run_that_goes_outside_leaves_a_private_log(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        vmctl("fail", "app", environ={"XDG_STATE_HOME": str(tmp_path)})
    finally:
        os.umask(previous)

    path = the_log(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.name.endswith(f"-{os.getpid()}.log")
    assert path.read_text().splitlines()[0].endswith(" vmctl: vmctl fail app")


@pytest.mark.parametrize(
    "argv", ["--help", "help server", "version", "host list", "zzz", "host list -q"]
)
def test_a_run_that_says_nothing_leaves_no_file(tmp_path: Path, argv: str) -> None:
    vmctl(*argv.split(), environ={"XDG_STATE_HOME": str(tmp_path)})

    assert list(tmp_path.iterdir()) == []


def test_every_line_has_time_level_and_operation(tmp_path: Path) -> None:
    ran = vmctl("log", "hunter22", "--pass", "p4ssw0rd", environ={"XDG_STATE_HOME": str(tmp_path)})

    text = the_log(tmp_path).read_text()
    found = [LINE.match(line) for line in text.splitlines()]
    assert all(found)
    run = found[0][2] if found[0] else ""
    assert re.fullmatch(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", run)
    assert [match[2] for match in found if match and match[2] != run] == ["op-42", "op-42"]
    assert "22retnuh" not in text
    assert "p4ssw0rd" not in text
    assert "password is ***" in text
    assert "their warning" in text
    assert "too much" not in text
    assert ran.err == "our warning\n"


def test_verbosity_decides_what_people_see(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}

    assert vmctl("log", "hunter22", "-q", environ=environ).err == ""
    assert vmctl("log", "hunter22", "-v", environ=environ).err == "in an\noperation\nour warning\n"


def test_debug_shows_every_line_of_the_log(tmp_path: Path) -> None:
    ran = vmctl("log", "hunter22", "--debug", environ={"XDG_STATE_HOME": str(tmp_path)})

    logged = the_log(tmp_path).read_text().splitlines()
    assert set(ran.err.splitlines()) == set(logged[1:-1])  # all but the first and last formality
    assert "22retnuh" not in ran.err


def test_a_log_file_of_ones_own_takes_the_place_of_the_state_folders(tmp_path: Path) -> None:
    mine = tmp_path / "mine.log"

    vmctl("host", "list", "--log-file", str(mine), environ={"XDG_STATE_HOME": str(tmp_path / "s")})

    assert mine.read_text().splitlines()[-1].endswith("exit code 0")
    assert mine.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "s").exists()


def test_a_log_that_cannot_be_written_fails_no_command(tmp_path: Path) -> None:
    (tmp_path / "vmctl").write_text("a file where the folder should be")
    environ = {"XDG_STATE_HOME": str(tmp_path)}

    assert vmctl("fail", "app", environ=environ).code == 0
    assert vmctl("fail", "bug", environ=environ).err.splitlines()[1] == (
        "hint: --debug shows the traceback"
    )
    ran = vmctl("host", "list", "--log-file", str(tmp_path))
    assert (ran.code, ran.err) == (0, f"cannot write the log file {tmp_path}: Is a directory\n")


def test_a_full_disk_fails_no_command() -> None:
    assert vmctl("fail", "app", "--log-file", "/dev/full").code == 0


def test_only_the_newest_logs_are_kept(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"20200101T000000.{number:03d}-1.log").write_text("old")
    (tmp_path / "notes.txt").write_text("not ours")

    log = DebugLog(str(tmp_path))
    log.begin()
    log.close(0)

    kept = sorted(path.name for path in tmp_path.glob("*.log"))
    assert len(kept) == debuglog.KEEP_FILES
    assert kept[0] == "20200101T000000.011-1.log"
    assert (tmp_path / "notes.txt").exists()


def test_old_logs_go_when_they_are_large(tmp_path: Path) -> None:
    for number in range(5):
        with (tmp_path / f"20200101T00000{number}.000-1.log").open("wb") as file:
            file.truncate(debuglog.KEEP_BYTES // 3)

    log = DebugLog(str(tmp_path))
    log.begin()
    log.close(0)

    kept = sorted(path.name for path in tmp_path.glob("2020*.log"))
    assert kept == [f"20200101T00000{number}.000-1.log" for number in (2, 3, 4)]


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_600_000_000.5)
    target = tmp_path / "target"
    target.write_text("precious")
    name = f"20200913T122640.500-{os.getpid()}.log"
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / name).symlink_to(target)

    log = DebugLog(str(tmp_path / "log"))
    log.begin()

    assert log.path is None
    assert target.read_text() == "precious"


def test_a_log_that_is_closed_gives_logging_back(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("vmctl").level

    vmctl("log", "hunter22", environ={"XDG_STATE_HOME": str(tmp_path)})

    assert (root.handlers[:], root.level, logging.getLogger("vmctl").level) == before


def test_an_operation_ends_with_its_block() -> None:
    with trace.operation("one"):
        with trace.operation("two"):
            assert trace.current_operation() == "two"
        assert trace.current_operation() == "one"
    assert trace.current_operation() is None


@pytest.mark.parametrize(
    ("argv", "logged"),
    [
        (["server", "create", "--password", "hunter22", "web"], "server create --password *** web"),
        (["x", "--password=hunter22"], "x --password=***"),
        (["x", "--passw", "hunter22"], "x --passw ***"),
        (["x", "--user-data", "hunter22"], "x --user-data ***"),
        (["x", "--no-password", "--root-password", "web"], "x --no-password --root-password web"),
        (["x", "--os-password", "hunter22"], "x --os-password ***"),
        (["x", "--os-token=hunter22"], "x --os-token=***"),
        (["--db", "postgresql://me:hunter22@db/x"], "--db postgresql://me:***@db/x"),
        (["--db", "postgresql://u:hun/ter@22@db/x"], "--db postgresql://u:***@db/x"),
        (["--db", "postgresql://u@corp:hun/ter@db/x"], "--db postgresql://u@corp:***@db/x"),
        (
            ["--db", "postgresql://db:5432/x?password=h@n&t/r,2)"],
            "--db postgresql://db:5432/x?password=***",
        ),
        (["host", "ssh", "h", "--", "mysql", "-phunter22"], "host ssh h -- (2 words)"),
        (["x", "--name", "web", "--project", "p"], "x --name web --project p"),
    ],
)
def test_a_line_is_logged_without_its_secrets(argv: list[str], logged: str) -> None:
    assert Redactor(argv).argv == logged


@pytest.mark.parametrize(
    "text",
    [
        "password: hunter22",
        "adminPass=hunter22",
        '{"admin_password": "hunter22"}',
        "api_key = 'hunter22'",
        "X-Auth-Token: hunter22",
        "Authorization: Bearer hunter22hunter22",
        "http://user:hunter22@proxy:3128/",
        "postgresql+psycopg://u:p:hunter22@h/d",
        "'postgresql://u:x/hunter22@h/d'",
        "see 'postgresql://h/d?password=x&hunter22' there",
        "postgresql://h:5432/d?password=x@hunter22",
        "password=x;y,z)]}hunter22",
        "password='hunter22",
        "root:$6$salt$hunter22hash:19000",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter22\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nhunter22 and no end",
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    assert "hunter22" not in Redactor().clean(text)


@pytest.mark.parametrize(
    "text",
    [
        "host kvm1:22 refused",
        "secretary",
        "http://host:80/path",
        "the password is wrong",
        "ssh://ops@h:22/x",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert Redactor().clean(text) == text


@pytest.mark.parametrize(
    "unit", ["a", "a.", "token", "x=", "a://", "a://a:", "a://a:@", "-----BEGIN ", "$6$"]
)
def test_a_long_line_takes_no_long_time(unit: str) -> None:
    start = time.process_time()

    Redactor().clean(unit * (200_000 // len(unit)))

    assert time.process_time() - start < 2


def test_a_secret_from_the_line_is_masked_wherever_it_turns_up() -> None:
    redactor = Redactor(["x", "--password", "hunter22"])
    redactor.hide("abc")  # too short to be masked without hiding everything else

    assert redactor.clean("echo hunter22 | chpasswd abc") == "echo *** | chpasswd abc"
