"""What foreign failures on the way to a host mean, in one table, the most specific class first."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.errors import HostError, HostKeyError, HostUnreachable, LoginRefused, RemoteFailed

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one foreign exception says about a host."""

    error: type[HostError]
    reason: str
    what: str
    hint: str = ""


_LOST = Meaning(HostUnreachable, "lost", "the connection was lost")
_DENIED = Meaning(
    LoginRefused,
    "denied",
    "permission denied (publickey)",
    "try `ssh {way}`; its public key must stand in ~/.ssh/authorized_keys there",
)
_PROTOCOL = Meaning(HostUnreachable, "protocol", "it does not speak ssh as we do")
_SILENT = Meaning(
    HostUnreachable,
    "silent",
    "it took the connection and then said nothing within {limit:g} s",
    "its sshd hangs or the machine is overloaded: look at its console",
)
_NO_ANSWER = Meaning(
    HostUnreachable,
    "timeout",
    "no answer within {limit:g} s",
    "is it on, and is port {port} open to here?",
)
_DROPPED = Meaning(
    HostUnreachable,
    "dropped",
    "sshd closed the connection before the login, each time that it was tried",
    "sshd's MaxStartups or a ban on this address; see its log there",
)
_KEY = Meaning(
    HostKeyError, "unknown", "the host key was refused", "vmctl host trust {host} shows and pins it"
)
_ROUTE = Meaning(HostUnreachable, "route", "there is no route to it", "is its network up?")
_OFFLINE = Meaning(
    HostUnreachable,
    "network",
    "no network leads there from here",
    "is this machine's own network up?",
)
_LATE = Meaning(
    HostUnreachable,
    "late",
    "the login did not end within {limit:g} s",
    "an ssh agent that hangs, or the look-up of its name: try `ssh {way}`",
)

TABLE: dict[str, Meaning] = {
    # Ours, raised on the way in.
    "NoAnswer": _NO_ANSWER,
    "Silent": _SILENT,
    "Dropped": _DROPPED,
    "Late": _LATE,
    "Beyond": Meaning(
        HostUnreachable,
        "jump",
        "its jump host does not let us through: {detail}",
        "try `ssh {way}`; see AllowTcpForwarding on the jump host",
    ),
    "ProxyFailed": Meaning(
        HostUnreachable, "proxy", "its ProxyCommand ended", "run the command by hand"
    ),
    "ProxySilent": Meaning(
        HostUnreachable,
        "proxy",
        "nothing came through its ProxyCommand within {limit:g} s",
        "run the command by hand",
    ),
    "NoKey": Meaning(
        LoginRefused,
        "no-key",
        "there is no key to log in with",
        "name one by `identity_file:` in the inventory, or add one by ssh-add",
    ),
    "LockedKey": Meaning(
        LoginRefused,
        "locked-key",
        "the key {detail} needs its passphrase, and no agent holds it",
        "ssh-add {detail}",
    ),
    # The system's.
    "gaierror": Meaning(
        HostUnreachable,
        "name",
        "the name {hostname} is not known",
        "correct `address:` in the inventory, or HostName in the ssh configuration",
    ),
    "ConnectionRefusedError": Meaning(
        HostUnreachable,
        "refused",
        "the connection to port {port} was refused",
        "is sshd running there, and on this port?",
    ),
    "TimeoutError": _NO_ANSWER,
    "ConnectionResetError": _LOST,
    "BrokenPipeError": _LOST,
    "EOFError": _LOST,
    "OSError": _LOST,
    # paramiko's.
    "SSHException": _LOST,
    "AuthenticationException": _DENIED,
    "AuthFailure": _DENIED,
    "BadAuthenticationType": Meaning(
        LoginRefused,
        "denied",
        "it allows no login by key",
        "set PubkeyAuthentication yes in its sshd_config",
    ),
    "PartialAuthentication": Meaning(
        LoginRefused,
        "denied",
        "it wants a second factor after the key",
        "exempt this login from it: vmctl has nobody to ask",
    ),
    "UnableToAuthenticate": _DENIED,
    "PasswordRequiredException": Meaning(
        LoginRefused, "locked-key", "the key needs its passphrase", "ssh-add it"
    ),
    "ChannelException": Meaning(
        RemoteFailed,
        "channel",
        "it refused one more session on the connection",
        "raise MaxSessions in its sshd_config to the usual 10",
    ),
    "BadHostKeyException": _KEY,
    "InvalidHostKey": _KEY,
    "IncompatiblePeer": Meaning(
        HostUnreachable,
        "protocol",
        "it offers no cipher or key exchange that we have",
        "its OpenSSH is too old, or its sshd_config too narrow",
    ),
    "ProxyCommandFailure": Meaning(HostUnreachable, "proxy", "its ProxyCommand ended"),
    "NoValidConnectionsError": Meaning(HostUnreachable, "refused", "the connection was refused"),
    "CouldNotCanonicalize": _PROTOCOL,
    "ConfigParseError": _PROTOCOL,
    "MessageOrderError": _PROTOCOL,
    "NeedRekeyException": _LOST,
    "BERException": _PROTOCOL,
    "UnknownKeyType": _PROTOCOL,
    "PipeTimeout": _LOST,
    "SFTPError": _LOST,
}
"""By the name of the class, so that reading the table does not import paramiko."""

_ERRNO = {
    errno.EHOSTUNREACH: _ROUTE,
    errno.ENETUNREACH: _OFFLINE,
    errno.EHOSTDOWN: _ROUTE,
    errno.ETIMEDOUT: _NO_ANSWER,
}


class NoAnswer(Exception):
    """Nothing came back from the network in time."""


class Silent(Exception):
    """The port took the connection, and then nothing came."""


class Dropped(Exception):
    """sshd closed the connection before it had told its version."""


class Beyond(Exception):
    """A jump host could not, or would not, connect to what is behind it."""


class ProxyFailed(Exception):
    """The ProxyCommand could not be run, or ended at once."""


class ProxySilent(Exception):
    """The ProxyCommand runs, and nothing came through it."""


class NoKey(Exception):
    """There was no key to offer."""


class LockedKey(Exception):
    """The only keys need a passphrase that nobody is there to give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """Who a failure is about, for the words of the message."""

    host: str
    who: str
    hostname: str = ""
    port: int = 22
    way: str = ""
    limit: float = 0
    jump: bool = False  # whether it is a jump host: of the host behind it that says nothing


def meaning_of(error: BaseException) -> Meaning | None:
    """Return what a foreign exception means, by the nearest of its classes; None if unheard of."""
    if isinstance(error, OSError) and error.errno in _ERRNO:
        return _ERRNO[error.errno]
    names = (kind.__name__ for kind in type(error).__mro__)
    return next((TABLE[name] for name in names if name in TABLE), None)


@contextmanager
def ssh_errors(met: Met) -> Iterator[None]:
    """Turn every foreign failure within into one of ours; nothing of a script gets into it."""
    try:
        yield
    except HostError:
        raise
    except Exception as error:
        meaning = meaning_of(error)
        if meaning is None:
            raise
        raise translate(meaning, met, str(error)) from error


def translate(meaning: Meaning, met: Met, detail: str) -> HostError:
    """Return our error for a meaning, in words about this host."""
    words = {
        "host": met.host,
        "hostname": met.hostname,
        "port": met.port,
        "way": met.way or met.host,
        "limit": met.limit,
        "detail": detail,
    }
    behind = met.jump and meaning.error is HostUnreachable
    return meaning.error(
        met.host,
        f"{met.who}: {meaning.what.format(**words)}",
        hint=meaning.hint.format(**words) or None,
        reason="jump" if behind else meaning.reason,
    )
