"""From a route to a connection: every hop verified, every wait bounded, drops tried again."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from fabric import Config, Connection
from paramiko import PKey, RejectPolicy, SSHClient, SSHConfig, SSHException, Transport
from paramiko.ssh_exception import (
    AuthenticationException,
    ChannelException,
    IncompatiblePeer,
)

from vmctl.adapters.hostkeys import ALGORITHMS, Key, Trust, trust_in
from vmctl.adapters.limited import limited
from vmctl.adapters.ssh_errors import (
    Beyond,
    Dropped,
    Met,
    NoAnswer,
    ProxyFailed,
    ProxySilent,
    Silent,
    ssh_errors,
)
from vmctl.adapters.ssh_inner import InnerSocket
from vmctl.adapters.ssh_login import KeyLogin
from vmctl.errors import HostKeyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.adapters.ssh_config import Hop

T = TypeVar("T")

CHANNELS = 8
"""Sessions at once on a connection: sshd's MaxSessions allows 10, and a person may want one."""
_BACKOFF = (0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2.0)
_ALIVE = 5
_UNACKNOWLEDGED = 15

# paramiko reports on stderr what it also raises, where nobody has told logging what to do.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
_config_lock = threading.Lock()


def _config() -> Config:
    """Make a configuration with neither Fabric's files nor ssh's, which is resolved already.

    Each connection has its own: a Config merges itself anew while others read it. Making one
    copies Fabric's defaults, which are shared too.
    """
    with _config_lock:
        return Config(overrides={"load_ssh_configs": False}, ssh_config=SSHConfig(), lazy=True)


class Verified(RejectPolicy):
    """Refuses every key but those that `Trust` knows; the client itself knows none."""

    def __init__(self, trust: Trust) -> None:
        self.trust = trust

    def missing_host_key(  # type: ignore[override]  # the stubs say that a refusal is certain
        self,
        client: SSHClient,  # noqa: ARG002 - paramiko's own signature
        hostname: str,  # noqa: ARG002
        key: PKey,
    ) -> None:
        """Return if the key is trusted; paramiko takes a return for a yes."""
        self.trust.verify(as_key(key))


@dataclass(slots=True, kw_only=True)
class Link:
    """An open connection to a host, with room for so many sessions."""

    connection: Connection
    transport: Transport
    key: Key
    slots: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(CHANNELS)
    )

    @property
    def alive(self) -> bool:
        """Whether it may still be used, as far as is known here."""
        return bool(self.transport.is_active())

    def close(self) -> None:
        """Close it, without waiting for anything that hangs."""

        def end() -> None:
            # What it went through may be closed already: then there is nobody to say goodbye to.
            with contextlib.suppress(Exception):
                self.transport.close()

        threading.Thread(target=end, daemon=True).start()


def as_key(key: PKey) -> Key:
    """Return paramiko's key as our value."""
    return Key(type=key.get_name(), base64=key.get_base64())


def about(hop: Hop, host: str, limit: float, *, jump: bool) -> Met:
    """Return who a failure at this hop is about."""
    who = f"{host}: its jump host {hop.alias} ({hop.shown})" if jump else f"{host} ({hop.shown})"
    config = f"-F {hop.config} " if hop.config else ""
    way = f"{config}-l {hop.user} -p {hop.port} {hop.alias}"
    return Met(
        host=host,
        who=who,
        hostname=hop.hostname,
        port=hop.port,
        way=way,
        limit=limit,
        jump=jump,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is needed to enter one hop: whose way it is on, how long it may take, through whom."""

    hop: Hop
    host: str
    limit: float
    deadline: float
    through: Transport | None = None
    jump: bool = False

    @property
    def left(self) -> float:
        """Seconds until the deadline, never less than a moment."""
        return max(self.deadline - time.monotonic(), 0.05)


def enter(entry: Entry) -> Link:
    """Connect to a hop, verify its key and log in, all before the entry's deadline."""
    trust = trust_in(entry.hop, entry.host, jump=entry.jump)
    with ssh_errors(about(entry.hop, entry.host, entry.limit, jump=entry.jump)):
        return limited(
            lambda: _persist(lambda: _log_in(entry, trust), entry.deadline),
            entry.left + 0.5,
            discard=lambda link: link.close(),
        )


def keys_shown(entry: Entry) -> tuple[Key, ...]:
    """Return every key that an sshd shows, without trusting one of them and without a login."""

    def each() -> tuple[Key, ...]:
        shown: dict[Key, None] = {}
        for algorithms in _ONE_TYPE_EACH:
            key = _persist(lambda wanted=algorithms: _shown(entry, wanted), entry.deadline)  # type: ignore[misc]  # a default argument binds the loop's value
            if key is not None:
                shown[key] = None
        return tuple(shown)

    with ssh_errors(about(entry.hop, entry.host, entry.limit, jump=entry.jump)):
        return limited(each, entry.left + 0.5, discard=lambda _: None)


_ONE_TYPE_EACH = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)


def _shown(entry: Entry, algorithms: tuple[str, ...]) -> Key | None:
    transport = _transport(_dial(entry), algorithms)
    try:
        transport.banner_timeout = entry.left
        transport.start_client(timeout=entry.left)
        return as_key(transport.get_remote_server_key())
    except IncompatiblePeer:
        return None
    except (SSHException, EOFError, OSError) as error:
        raise _early(transport, entry, error) from error
    finally:
        transport.close()


def _persist(attempt: Callable[[], T], deadline: float) -> T:
    """Try again, later each time, while sshd drops connections before they are anyone's.

    That is how MaxStartups sheds load; the waits are jittered, or all would come back at once.
    """
    for pause in _BACKOFF:
        try:
            return attempt()
        except Dropped:
            wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, hides nothing
            if time.monotonic() + wait >= deadline:
                raise
            time.sleep(wait)
    return attempt()


def _log_in(entry: Entry, trust: Trust) -> Link:
    untried = trust.algorithms
    refusal: HostKeyError | None = None
    while untried:
        try:
            return _log_in_by(entry, trust, untried)
        except HostKeyError as refused:
            # A host has a key of each type, and fingerprints do not tell which of them is pinned.
            if not entry.hop.host_key or refused.reason != "changed":
                raise
            refusal = refusal or refused
            tried = ALGORITHMS[refused.key_type]
            untried = tuple(name for name in untried if name not in tried)
        except IncompatiblePeer:
            if refusal is None:
                raise
            break
    raise refusal or NoAnswer


def _log_in_by(entry: Entry, trust: Trust, algorithms: tuple[str, ...]) -> Link:
    hop = entry.hop
    sock = _dial(entry)
    made: list[Transport] = []

    def factory(raw: Any, **_: Any) -> Transport:
        made.append(_transport(raw, algorithms))
        return made[0]

    connection = Connection(
        hop.hostname,
        user=hop.user,
        port=hop.port,
        config=_config(),
        gateway=False,
        connect_timeout=entry.left,
        connect_kwargs={
            "sock": sock,
            "banner_timeout": entry.left,
            "auth_timeout": entry.left,
            "channel_timeout": entry.left,
            "auth_strategy": KeyLogin(hop),
            "transport_factory": factory,
        },
    )
    # Fabric sets AutoAddPolicy by itself.
    connection.client.set_missing_host_key_policy(Verified(trust))
    try:
        connection.open()
    except (SSHException, EOFError, OSError) as error:
        _discard(made, sock)
        raise _early(made[0] if made else None, entry, error) from error
    except BaseException:
        _discard(made, sock)
        raise
    transport = made[0]
    transport.set_keepalive(_ALIVE)
    return Link(
        connection=connection, transport=transport, key=as_key(transport.get_remote_server_key())
    )


def _discard(made: list[Transport], sock: Any) -> None:
    for transport in made:
        transport.close()
    sock.close()


def _early(transport: Transport | None, entry: Entry, error: Exception) -> Exception:
    """Return what a failure means where sshd had not even told its version; else the failure."""
    if isinstance(error, AuthenticationException | IncompatiblePeer):
        return error
    early = transport is None or not transport.remote_version
    if time.monotonic() >= entry.deadline - 0.1:
        return ProxySilent() if early and entry.hop.proxy_command else Silent()
    if early:
        return ProxyFailed() if entry.hop.proxy_command else Dropped()
    return error


def _transport(sock: Any, algorithms: tuple[str, ...]) -> Transport:
    transport = Transport(sock)
    transport.get_security_options().key_types = algorithms
    return transport


def _dial(entry: Entry) -> Any:
    if entry.through is not None:
        return _through(entry, entry.through)
    if entry.hop.proxy_command is not None:
        return _proxy(entry.hop.proxy_command)
    return _tcp(entry)


def _through(entry: Entry, transport: Transport) -> InnerSocket:
    try:
        channel = transport.open_channel(
            "direct-tcpip",
            (entry.hop.hostname, entry.hop.port),
            ("", 0),
            timeout=entry.left,
        )
    except ChannelException as error:
        # The jump host tells no more than this of what stood in the way behind it.
        raise Beyond(_CHANNEL.get(error.code, "refused")) from error
    except SSHException as error:
        if not transport.is_active():
            raise Beyond("the connection to it was lost") from error
        raise NoAnswer from error
    return InnerSocket(channel)


_CHANNEL = {1: "forwarding is forbidden there", 2: "it cannot be reached from there"}


def _proxy(command: str) -> socket.socket:
    """Run a ProxyCommand with a socket for its stdin and stdout, so that waits have limits."""
    ours, theirs = socket.socketpair()
    shell = os.environ.get("SHELL") or "/bin/sh"
    try:
        process = subprocess.Popen(
            [shell, "-c", f"exec {command}"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        ours.close()
        raise ProxyFailed from error
    finally:
        theirs.close()
    # It ends when our side of the socket is closed; someone must wait for it then.
    threading.Thread(target=process.wait, daemon=True).start()
    return ours


def _tcp(entry: Entry) -> socket.socket:
    hop = entry.hop
    kinds = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
    family = kinds.get(hop.family, socket.AF_UNSPEC)
    found = socket.getaddrinfo(hop.hostname, hop.port, family, socket.SOCK_STREAM)
    failure: OSError | None = None
    for number, (kind, _, _, _, address) in enumerate(found):
        # A dead first address must leave time for the next.
        limit = entry.left / (len(found) - number)
        sock = socket.socket(kind, socket.SOCK_STREAM)
        try:
            sock.settimeout(limit)
            if hop.bind_address:
                sock.bind((hop.bind_address, 0))
            sock.connect(address)
        except OSError as error:
            sock.close()
            # An address that refuses tells more than one that is silent.
            if not isinstance(failure, ConnectionRefusedError):
                failure = error
            continue
        _watch(sock)
        return sock
    raise failure or NoAnswer


def _watch(sock: socket.socket) -> None:
    """Let the kernel give up a connection whose other end has gone without a word."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED * 1000)
