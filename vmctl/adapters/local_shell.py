"""The shell of the host that is this very machine: the same scripts, limits and ends, no sshd."""

from __future__ import annotations

import contextlib
import os
import pwd
import selectors
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from vmctl.adapters.passages import SocketPassage, from_here
from vmctl.adapters.scripts import OUTPUT_LIMIT, command, encode, sudo_refusal
from vmctl.domain.completed import Completed
from vmctl.errors import HostUnreachable, RemoteFailed, RemoteTimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from vmctl.domain.host import Host

_CHUNK = 65536
_REACHED = 5.0


class LocalShell:
    """Runs scripts here."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def run(
        self,
        script: str,
        *,
        stdin: bytes | None = None,
        timeout: float = 60,
        become: bool | None = None,
    ) -> Completed:
        """Run a script to its end."""
        sent = encode(script)
        sudo = self._host.become == "sudo" if become is None else become
        line = command(become=sudo, limit=timeout, script=sent, more=stdin is not None)
        name = self._host.name
        with _process(line) as process:
            done = _converse(name, process, sent + (stdin or b""), timeout)
        user = pwd.getpwuid(os.getuid()).pw_name
        refused = sudo_refusal(name, user, done.exit_code, done.stderr)
        if refused is not None and sudo:
            raise refused
        return done

    def open(self, script: str, *, timeout: float = 60, become: bool | None = None) -> LocalStream:
        """Start a script that goes on."""
        sent = encode(script)
        sudo = self._host.become == "sudo" if become is None else become
        process = _start(command(become=sudo, limit=timeout, script=sent, more=True))
        stream = LocalStream(self._host.name, process)
        stream.write(sent)
        return stream

    def reach(self, address: str, port: int) -> SocketPassage:
        """Connect to an address as this machine reaches it."""
        return from_here(self._host.name, address, port, _REACHED)

    def close(self) -> None:
        """Do nothing: there is no connection."""


class LocalStream:
    """A script that goes on, in a process of this machine."""

    def __init__(self, host: str, process: subprocess.Popen[bytes]) -> None:
        self._host = host
        self._process = process
        self._unread = b""

    def write(self, data: bytes) -> None:
        """Send bytes to its stdin."""
        try:
            os.write(_pipe(self._process.stdin).fileno(), data)
        except OSError as error:
            raise HostUnreachable(
                self._host, f"{self._host}: the script has ended", reason="lost"
            ) from error

    def read_line(self, seconds: float) -> bytes | None:
        """Return the next line, None at the end; raises RemoteTimedOut."""
        pipe = _pipe(self._process.stdout)
        until = time.monotonic() + seconds
        with selectors.DefaultSelector() as ready:
            ready.register(pipe, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not ready.select(max(until - time.monotonic(), 0)):
                    raise RemoteTimedOut(
                        self._host, f"{self._host}: no word within {seconds:g} s", reason="timeout"
                    )
                more = os.read(pipe.fileno(), 4096)
                if not more:
                    return None
                self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def close(self) -> None:
        """End its stdin, and then the script if it does not end by itself."""
        _end(self._process)


def _start(line: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sh", "-c", line],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )


@contextlib.contextmanager
def _process(line: str) -> Iterator[subprocess.Popen[bytes]]:
    process = _start(line)
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGTERM)
        # What sudo started is root's; its own timeout ends it, and nobody waits for that.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)


def _converse(
    host: str, process: subprocess.Popen[bytes], data: bytes, timeout: float
) -> Completed:
    until = time.monotonic() + timeout
    late = RemoteTimedOut(
        host, f"{host}: a command did not end within {timeout:g} s", reason="timeout"
    )
    stdin, stdout, stderr = map(_pipe, (process.stdin, process.stdout, process.stderr))
    texts = {stdout: bytearray(), stderr: bytearray()}
    unsent = memoryview(data)
    os.set_blocking(stdin.fileno(), False)
    with selectors.DefaultSelector() as ready:
        ready.register(stdin, selectors.EVENT_WRITE)
        for pipe in texts:
            ready.register(pipe, selectors.EVENT_READ)
        while ready.get_map():
            happened = ready.select(max(until - time.monotonic(), 0))
            if not happened:
                raise late
            for key, _ in happened:
                if key.fileobj is stdin:
                    unsent = _send(stdin, unsent)
                    if not unsent:
                        ready.unregister(stdin)
                        stdin.close()
                    continue
                pipe = stdout if key.fileobj is stdout else stderr
                more = os.read(pipe.fileno(), _CHUNK)
                if not more:
                    ready.unregister(pipe)
                texts[pipe] += more
            if sum(map(len, texts.values())) > OUTPUT_LIMIT:
                raise RemoteFailed(
                    host,
                    f"{host}: a command wrote more than {OUTPUT_LIMIT // 1024**2} MiB,"
                    " and was cut off",
                    reason="output",
                )
    try:
        code = process.wait(timeout=max(until - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        raise late from None
    return Completed(exit_code=code, stdout=bytes(texts[stdout]), stderr=bytes(texts[stderr]))


def _send(stdin: IO[bytes], unsent: memoryview) -> memoryview:
    try:
        return unsent[os.write(stdin.fileno(), unsent[:_CHUNK]) :]
    except BlockingIOError:
        return unsent
    except OSError:
        # The command ended without reading it all; its exit code tells what that means.
        return unsent[:0]


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - each was asked for at the start
    return pipe
