"""What only a process can show: signals, closed and full streams, locales, imports."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.children import started

HERE = Path.cwd()
SAMPLE = [sys.executable, "-m", "tests.cli"]
PRODUCT = [sys.executable, "-m", "vmctl"]


def environ(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/dev/null", "PYTHONPATH": str(HERE), **more}


def run(
    *argv: str | bytes, program: list[str] = SAMPLE, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*program, *argv], capture_output=True, check=False, env=env or environ(), timeout=30
    )


def shell(line: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, check=False, env=environ(**more), timeout=30
    )


def test_an_interrupt_ends_with_130() -> None:
    with started(
        [*SAMPLE, "fail", "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ()
    ) as child:
        assert child.stderr is not None
        assert child.stderr.readline() == b"waiting\n"
        child.send_signal(signal.SIGINT)
        rest = child.stderr.read()

    assert child.returncode == 130
    assert rest == b""


def test_a_reader_that_goes_away_ends_with_141_and_no_word() -> None:
    ran = shell(f"{sys.executable} -m tests.cli fail endless | head -n 1; echo ${{PIPESTATUS[0]}}")

    assert ran.stdout.splitlines()[-1] == b"141"
    assert ran.stderr == b""


def test_a_reader_that_was_never_there_ends_with_141() -> None:
    ran = shell(f"{sys.executable} -m tests.cli host list | true; echo ${{PIPESTATUS[0]}}")

    assert ran.stdout in (b"0\n", b"141\n")  # `true` may outlive the write
    assert ran.stderr == b""


@pytest.mark.parametrize("argv", ["host list", "--help", "version", "server show x -f json"])
def test_a_full_disk_is_said(argv: str) -> None:
    ran = shell(f"{sys.executable} -m tests.cli {argv} >/dev/full")

    assert ran.returncode == 1
    assert ran.stderr == b"cannot write the output: No space left on device\n"


def test_a_closed_stdout_is_said() -> None:
    ran = shell(f"{sys.executable} -m tests.cli host list >&-")

    assert ran.returncode == 1
    assert ran.stderr == b"cannot write the output: stdout is closed\n"


def test_a_closed_stderr_changes_no_exit_code() -> None:
    assert shell(f"{sys.executable} -m tests.cli fail host 2>&-").returncode == 11
    assert shell(f"{sys.executable} -m tests.cli fail host 2>/dev/full").returncode == 11


def test_with_every_stream_closed_a_bug_is_still_logged(tmp_path: Path) -> None:
    state = tmp_path / "state"

    ran = shell(f"{sys.executable} -m tests.cli fail bug <&- >&- 2>&-", XDG_STATE_HOME=str(state))

    assert ran.returncode == 70
    (log,) = state.glob("vmctl/log/*.log")
    assert "Traceback" in log.read_text()


def test_a_file_never_gets_the_number_of_a_closed_stream() -> None:
    ran = shell(f"{sys.executable} -m tests.cli fail descriptor <&- >&- 2>&-")

    assert ran.returncode > 2


def test_bytes_that_are_no_utf8_are_a_usage_error() -> None:
    ran = run("server", "show", b"caf\xe9")

    assert (ran.returncode, ran.stdout) == (2, b"")
    assert ran.stderr.splitlines()[0] == b"argument 3 is not valid UTF-8: caf\\xe9"
    assert run(b"\xff").returncode == 2
    assert run("--error-format", "json", b"\xff").returncode == 2


def test_bytes_for_a_host_pass() -> None:
    ran = run("host", "ssh", "kvm1", "--", b"caf\xe9")

    assert ran.returncode == 0
    assert b"caf" in ran.stdout


@pytest.mark.parametrize(
    "env", [{"LANG": "C"}, {"LC_ALL": "POSIX"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0"}]
)
def test_any_locale_prints_something(env: dict[str, str]) -> None:
    name = "日本-é"

    ran = run("server", "show", name, "-f", "value", "-c", "name", env=environ(**env))

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.decode().strip() in (name, "\\u65e5\\u672c-\\xe9")


def test_a_terminal_gets_colour_and_a_fitted_table() -> None:
    master, slave = pty.openpty()
    env = environ(TERM="xterm", COLUMNS="40")

    with started(
        [*SAMPLE, "host", "list"], stdout=slave, stderr=slave, stdin=slave, env=env
    ) as child:
        os.close(slave)
        written = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break  # EIO: the other side is closed
            if not chunk:
                break
            written += chunk
    os.close(master)

    assert child.returncode == 0
    assert b"\x1b[32mup\x1b[0m" in written
    assert b"\x1b[31mdown\x1b[0m" in written
    assert b"| kvm1      |" in written


def test_nothing_is_imported_that_help_does_not_need() -> None:
    heavy = {
        "asyncio", "click", "dataclasses", "fabric", "importlib.metadata", "inspect", "jinja2",
        "json", "libvirt", "logging", "paramiko", "pathlib", "rich", "socket", "sqlalchemy",
        "subprocess", "yaml",
    }  # fmt: skip
    argvs = ["--help", "help exit-codes", "version", "complete -- host show x", "completion bash"]
    for argv in argvs:
        code = (
            "import sys; from vmctl.__main__ import main\n"
            f"sys.argv[1:] = {argv.split()!r}; main()\n"
            "sys.stderr.write(' '.join(sys.modules))"
        )
        ran = run("-c", code, program=[sys.executable])

        assert ran.returncode == 0
        # Hosts' names come from the inventory as it was last read, which is kept as JSON.
        spared = {"json"} if "host" in argv else set()
        assert not (heavy - spared) & set(ran.stderr.decode().split()), argv


def test_what_is_left_at_the_end_is_not_looked_through_once_more() -> None:
    code = (
        "import gc, sys; from vmctl.__main__ import main\n"
        "sys.argv[1:] = ['version']; main(); sys.stderr.write(str(gc.get_freeze_count()))"
    )

    assert int(run("-c", code, program=[sys.executable]).stderr) > 0


def test_the_libraries_of_the_adapters_are_not_for_the_frame() -> None:
    code = (
        "import sys; from tests.cli.sample import main\n"
        "before = set(sys.modules); sys.argv[1:] = ['host', 'list', '-f', 'yaml']\n"
        "main(sys.argv[1:]); main(['fail', 'host'])\n"
        "sys.stderr.write(' '.join(set(sys.modules) - before))"
    )

    ran = run("-c", code, program=[sys.executable])

    brought = set(ran.stderr.decode().split())
    assert not brought & {"rich", "sqlalchemy", "libvirt", "paramiko", "jinja2", "yaml", "asyncio"}


def test_the_product_runs_as_a_module() -> None:
    ran = run("--version", program=PRODUCT)

    assert ran.stdout.startswith(b"vmctl ")
