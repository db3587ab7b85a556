"""Bytes in bulk between this machine and a host: OpenSSH's own client, and pipes that are spliced.

Paramiko encrypts in Python, at a half of the speed; what is an image's size goes by here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from vmctl.adapters import libvirt_wrapper
from vmctl.adapters.scripts import command, encode, spoken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

    from vmctl.adapters.shells import HostShells
    from vmctl.domain.host import Host

LIMIT = 12 * 3600
"""Seconds that the largest image may take over the slowest line."""

_CHUNK = 1 << 20
_TICK = 1.0
_LOOK = 0.02
_WIDE = 1 << 20
_F_SETPIPE_SZ = 1031
_GRACE = 10
_STALLED = 60


class Pipe:
    """A script that runs on a host between two pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def stdin(self) -> IO[bytes]:
        """What the script reads."""
        return _there(self._process.stdin)

    def watch(self, file: int, tick: Callable[[int], None], *, stalled: float = _STALLED) -> None:
        """Wait until it is over, or all of the file that it reads is read.

        How far it has come is told about once a second; TimeoutError where it reads nothing for
        so many seconds.
        """
        size = os.fstat(file).st_size
        seen, told = 0, time.monotonic()
        moved_at = told
        # It reads by the descriptor that we have, and so moves our place in the file.
        while self._process.poll() is None:
            done, now = os.lseek(file, 0, os.SEEK_CUR), time.monotonic()
            if done >= size:
                return
            if done > seen:
                seen, moved_at = done, now
            elif now - moved_at > stalled:
                raise TimeoutError
            if now - told >= _TICK:
                told = now
                tick(done)
            time.sleep(_LOOK)

    @property
    def stdout(self) -> IO[bytes]:
        """What it writes."""
        return _there(self._process.stdout)

    def end(self) -> tuple[int, str]:
        """Wait for it to end, and give its exit code and the last that it complained of."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        said = _there(self._process.stderr).read().decode(errors="replace").strip().splitlines()
        return self._process.wait(), said[-1].strip()[:300] if said else ""

    def kill(self) -> None:
        """End it at once, this side of it at least."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.terminate()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()


class HostPipes:
    """Pipes to and from the hosts, by the way and the keys of all other connections."""

    def __init__(self, shells: HostShells, folder: str) -> None:
        self._shells = shells
        self._folder = f"{folder}/ssh"

    @contextlib.contextmanager
    def open(self, host: Host, script: str, file: int | None = None) -> Iterator[Pipe]:
        """Run a script on a host for the block; it is killed where the block fails.

        Over ssh it may read a file of ours: nobody needs to carry that into a pipe, but the script
        is then to be seen by whoever is on the host.
        """
        sent, become = encode(script), host.become == "sudo"
        if file is None:
            line = command(become=become, limit=LIMIT, script=sent, more=True)
        else:
            line = spoken(become=become, limit=LIMIT, script=sent)
        words = self._words(host, line)
        process = subprocess.Popen(
            words if file is None else mortal(words),
            stdin=subprocess.PIPE if file is None else file,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            # A ^C is ours to answer, and ProxyCommand is for sh.
            start_new_session=True,
            env={**os.environ, "SHELL": "/bin/sh"},
        )
        pipe = Pipe(process)
        try:
            if file is None:
                with contextlib.suppress(BrokenPipeError):
                    os.write(pipe.stdin.fileno(), sent)
            yield pipe
        finally:
            pipe.kill()

    def _words(self, host: Host, line: str) -> list[str]:
        if host.connection == "local":
            return ["sh", "-c", line]
        shell = self._shells.ssh(host)
        words, files = libvirt_wrapper.piped(
            shell.route,
            self._folder,
            line,
            limit=self._shells.connect_limit,
            pinned=shell.verified_key() if host.host_key else None,
            quick=_quick(),
        )
        libvirt_wrapper.write(files)
        return words


# What reads a pipe of ours ends when we do; what reads a file would go on to the end of it.
_WITH_US = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


def mortal(words: list[str]) -> list[str]:
    """Return words that run the same, and end when the thread that began them ends or is killed."""
    return [sys.executable, "-ISc", _WITH_US, str(os.getpid()), *words]


def pump(source: int, sink: int, tick: Callable[[int], None]) -> int:
    """Move bytes from one descriptor into a pipe until there are no more, and say how many.

    The number so far is told about once a second. BrokenPipeError where nobody reads them,
    TimeoutError where none has moved for a minute.
    """
    for end in (source, sink):
        with contextlib.suppress(OSError):
            fcntl.fcntl(end, _F_SETPIPE_SZ, _WIDE)
    done = 0
    told = moved_at = time.monotonic()
    while True:
        if _ready(source, select.POLLIN) and _ready(sink, select.POLLOUT):
            moved = os.splice(source, sink, _CHUNK)
            if not moved:
                return done
            done += moved
            moved_at = time.monotonic()
        elif time.monotonic() - moved_at > _STALLED:
            raise TimeoutError
        if time.monotonic() - told >= _TICK:
            told = time.monotonic()
            tick(done)


def _ready(end: int, how: int) -> bool:
    """Wait a moment for an end to be ready; the one whose other side is gone is."""
    poll = select.poll()
    poll.register(end, how)
    return bool(poll.poll(_TICK * 1000))


@cache
def _quick() -> tuple[str, ...]:
    """Name the ciphers that are quicker than ssh's first choice, where the processor has AES."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return ()
    return ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com") if "aes" in flags else ()


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - each was asked for at the start
    return pipe
