"""Shells over ssh: one connection per host and command, never more sessions on it than it grants.

Nothing here waits without a limit. What might all the same (an agent, a stalled socket) happens
in a thread that is left behind when its time is over, together with the connection it uses.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from paramiko import ChannelException, SSHException

from vmctl.adapters.limited import Late, limited
from vmctl.adapters.passages import SocketPassage, through
from vmctl.adapters.scripts import OUTPUT_LIMIT, command, encode, sudo_refusal
from vmctl.adapters.ssh_connect import Entry, Link, about, enter
from vmctl.adapters.ssh_errors import ssh_errors
from vmctl.adapters.ssh_session import CutOff, OutOfTime, Overrun, converse
from vmctl.errors import HostError, HostUnreachable, RemoteFailed, RemoteTimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from paramiko import Channel

    from vmctl.adapters.hostkeys import Key
    from vmctl.adapters.ssh_config import Hop, Route
    from vmctl.domain.completed import Completed
    from vmctl.domain.host import Host

CONNECT_LIMIT = 5.0
_GRACE = 1.0
_CLOSING, _PAUSE = 3.0, 0.05
"""Seconds that sshd may take to give a session's place free, and between two attempts at it."""

log = logging.getLogger(__name__)


class Jumps:
    """Connections to jump hosts, shared by all the hosts behind them.

    A jump host that failed is not tried again for as long as a connect may take, or every host
    behind a dead one would wait for it anew.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[Hop, ...], _Jump] = {}

    def transport(self, hops: tuple[Hop, ...], host: str, limit: float, deadline: float) -> Any:
        """Return the transport of the last of these hops, connected through those before it."""
        if not hops:
            return None
        with self._lock:
            jump = self._kept.setdefault(hops, _Jump())
        # Bounded like everything else: the one who connects has a deadline of its own.
        if not jump.lock.acquire(timeout=max(deadline - time.monotonic(), 0) + _GRACE):
            raise HostUnreachable(
                host, f"{host}: its jump host {hops[-1].alias} did not answer", reason="jump"
            )
        try:
            if jump.link is not None and jump.link.alive:
                return jump.link.transport
            if jump.failed is not None and time.monotonic() < jump.failed_until:
                raise HostUnreachable(
                    host, f"{host}: {_tail(jump.failed)}", hint=jump.failed.hint, reason="jump"
                )
            try:
                through = self.transport(hops[:-1], host, limit, deadline)
                jump.link = enter(
                    Entry(
                        hop=hops[-1],
                        host=host,
                        limit=limit,
                        deadline=deadline,
                        through=through,
                        jump=True,
                    )
                )
            except HostError as error:
                error.on_the_way = True
                if isinstance(error, HostUnreachable):
                    jump.failed, jump.failed_until = error, time.monotonic() + limit
                raise
            return jump.link.transport
        finally:
            jump.lock.release()

    def close(self) -> None:
        """Close them all."""
        with self._lock:
            kept, self._kept = self._kept, {}
        for jump in kept.values():
            if jump.link is not None:
                jump.link.close()


class _Jump:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.link: Link | None = None
        self.failed: HostUnreachable | None = None
        self.failed_until = 0.0


def _tail(error: HostUnreachable) -> str:
    return error.message.removeprefix(f"{error.host}: ")


class SshShell:
    """The shell of one host over ssh."""

    def __init__(
        self,
        host: Host,
        find_route: Callable[[], Route],
        jumps: Jumps,
        *,
        connect_limit: float = CONNECT_LIMIT,
    ) -> None:
        self._host = host
        self._find_route = find_route
        self._jumps = jumps
        self._limit = connect_limit
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._route: Route | None = None
        self._retired: list[Link] = []
        self._closed = False

    @property
    def route(self) -> Route:
        """The way to the host, resolved once."""
        if self._route is None:
            self._route = self._find_route()
        return self._route

    def verified_key(self) -> Key:
        """Return the key that the host showed and that was found right; connects if need be."""
        return self._connected().key

    def run(
        self,
        script: str,
        *,
        stdin: bytes | None = None,
        timeout: float = 60,
        become: bool | None = None,
    ) -> Completed:
        """Run a script to its end; the connect has a limit of its own and does not count."""
        link = self._connected()
        sent = encode(script)
        line = command(
            become=self._becomes(become), limit=timeout, script=sent, more=stdin is not None
        )
        data = sent if stdin is None else sent + stdin
        deadline = time.monotonic() + timeout
        name = self._host.name

        def talk() -> Completed:
            with _session(link, name, deadline) as channel:
                return converse(channel, line, data, deadline)

        try:
            with ssh_errors(about(self.route.target, name, timeout, jump=False)):
                done = self._bounded(talk, timeout + _GRACE, link)
        except OutOfTime:
            # The host may be gone, and then only a new connection tells; what others run on this
            # one goes on.
            self._retire(link)
            raise RemoteTimedOut(
                name,
                f"{name}: a command did not end within {timeout:g} s",
                hint=f"is {name} overloaded, or cut off? The command is ended there as well",
                reason="timeout",
            ) from None
        except (CutOff, Overrun) as error:
            raise self._broken(error) from None
        except HostUnreachable:
            self._retire(link)
            raise
        refused = sudo_refusal(name, self.route.target.user, done.exit_code, done.stderr)
        if refused is not None and self._becomes(become):
            raise refused
        log.debug("%s: a script of %d bytes ended with %d", name, len(sent), done.exit_code)
        return done

    def open(self, script: str, *, timeout: float = 60, become: bool | None = None) -> SshStream:
        """Start a script that goes on; it takes one of the connection's sessions until closed."""
        link = self._connected()
        sent = encode(script)
        line = command(become=self._becomes(become), limit=timeout, script=sent, more=True)
        deadline = time.monotonic() + self._limit
        session = _session(link, self._host.name, deadline)

        def end() -> None:
            session.__exit__(None, None, None)

        def begin() -> Channel:
            channel: Channel = session.__enter__()
            channel.exec_command(line)
            channel.settimeout(self._limit)
            channel.sendall(sent)
            return channel

        try:
            with ssh_errors(about(self.route.target, self._host.name, self._limit, jump=False)):
                channel = limited(begin, self._limit + _GRACE, discard=lambda _: end())
        except OutOfTime:
            self._retire(link)
            raise self._no_session() from None
        except RemoteTimedOut:
            # Every session is in use: the connection is well, and others work on it.
            raise
        except BaseException:
            self._retire(link)
            raise
        return SshStream(self._host.name, channel, end)

    def reach(self, address: str, port: int) -> SocketPassage:
        """Connect to an address as the host reaches it."""
        link, hop = self._connected(), self.route.target
        return through(link, hop, self._host.name, to=(address, port), limit=self._limit)

    def close(self) -> None:
        """Close the connection; what still runs on it ends."""
        self._closed = True
        # Who connects just now has the lock for as long as that takes, and sees that it is over.
        if not self._lock.acquire(blocking=False):
            return
        links = [*self._retired, *([self._link] if self._link is not None else [])]
        self._link, self._retired = None, []
        self._lock.release()
        for link in links:
            link.close()

    def _becomes(self, become: bool | None) -> bool:  # noqa: FBT001 - the port's own word
        return self._host.become == "sudo" if become is None else become

    def _no_session(self) -> HostUnreachable:
        name = self._host.name
        return HostUnreachable(
            name,
            f"{name}: no answer within {self._limit:g} s on a connection that was open",
            hint=f"is {name} overloaded, or cut off?",
            reason="timeout",
        )

    def _broken(self, error: Exception) -> Exception:
        name = self._host.name
        if isinstance(error, Overrun):
            return RemoteFailed(
                name,
                f"{name}: a command wrote more than {OUTPUT_LIMIT // 1024**2} MiB, and was cut off",
                reason="output",
            )
        return HostUnreachable(
            name,
            f"{name}: the connection was lost while a command ran; whether it ended is not known",
            reason="lost",
        )

    def _connected(self) -> Link:
        # Whoever comes second waits for the first one's connect, which has a limit.
        with self._lock:
            if self._link is not None and self._link.alive:
                return self._link
            self._link = None
            deadline = time.monotonic() + self._limit
            route = self.route
            through = self._jumps.transport(route.jumps, self._host.name, self._limit, deadline)
            self._link = enter(
                Entry(
                    hop=route.target,
                    host=self._host.name,
                    limit=self._limit,
                    deadline=deadline,
                    through=through,
                )
            )
            if self._closed:
                self._link.close()
            return self._link

    def _bounded(self, talk: Callable[[], Completed], seconds: float, link: Link) -> Completed:
        try:
            return limited(talk, seconds, discard=lambda _: None)
        except Late:
            # It heeds no limit of its own: only the end of the connection ends it.
            self._drop(link)
            raise OutOfTime from None

    def _retire(self, link: Link) -> None:
        with self._lock:
            if self._link is link:
                self._link = None
                self._retired.append(link)

    def _drop(self, link: Link) -> None:
        with self._lock:
            if self._link is link:
                self._link = None
        link.close()


@contextlib.contextmanager
def _session(link: Link, host: str, deadline: float) -> Any:
    """Take a session on a connection, once one of its places is free."""
    if not link.slots.acquire(timeout=max(deadline - time.monotonic(), 0)):
        raise RemoteTimedOut(
            host, f"{host}: no session on its connection was free in time", reason="timeout"
        )
    try:
        channel = _channel(link, deadline)
        try:
            yield channel
        finally:
            # Where the connection has ended, or ends just now, its sessions have ended with it.
            with contextlib.suppress(SSHException, EOFError, OSError):
                channel.close()
    finally:
        link.slots.release()


def _channel(link: Link, deadline: float) -> Channel:
    """Open a session; sshd may be a moment behind with closing those that have ended here."""
    until = min(deadline, time.monotonic() + _CLOSING)
    while True:
        # paramiko tells an end of the connection and its own patience apart by no class.
        try:
            return link.transport.open_session(timeout=max(deadline - time.monotonic(), 0.1))
        except ChannelException:
            if time.monotonic() >= until:
                raise
            time.sleep(_PAUSE)
        except Exception:  # whatever it is goes on, unless all that it says is that time is over
            if link.alive and time.monotonic() >= deadline:
                raise OutOfTime from None
            raise


class SshStream:
    """A script that goes on, on a channel of its own."""

    def __init__(self, host: str, channel: Channel, end: Callable[[], object]) -> None:
        self._host = host
        self._channel = channel
        self._end: Callable[[], object] | None = end
        self._unread = b""

    def write(self, data: bytes) -> None:
        """Send bytes to its stdin; small ones never wait for the network."""
        try:
            self._channel.settimeout(_GRACE)
            self._channel.sendall(data)
        except (OSError, EOFError) as error:
            raise HostUnreachable(
                self._host, f"{self._host}: the connection was lost", reason="lost"
            ) from error

    def read_line(self, seconds: float) -> bytes | None:
        """Return the next line, None at the end; raises RemoteTimedOut."""
        until = time.monotonic() + seconds
        while b"\n" not in self._unread:
            self._channel.settimeout(max(until - time.monotonic(), 0.01))
            try:
                more = self._channel.recv(4096)
            except TimeoutError:
                raise RemoteTimedOut(
                    self._host, f"{self._host}: no word within {seconds:g} s", reason="timeout"
                ) from None
            if not more:
                return None
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def complaint(self) -> str:
        """Return what it has written on stderr so far, at most a little."""
        said = self._channel.recv_stderr(4096) if self._channel.recv_stderr_ready() else b""
        return said.decode(errors="replace").strip()[-300:]

    def close(self) -> None:
        """Close the channel, in the background: a stalled connection must not hold us up."""
        end, self._end = self._end, None
        if end is not None:
            threading.Thread(target=end, daemon=True).start()
