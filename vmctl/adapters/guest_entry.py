"""The way into a guest: the system's own ssh, with words and no shell between."""

from __future__ import annotations

import shlex
import socket
from dataclasses import dataclass
from pathlib import Path

SSH = 22
_FIXED = (
    # A server's first key is taken, for nobody could have seen it before; another one later is not.
    "StrictHostKeyChecking=accept-new",
    "LogLevel=ERROR",  # that a first key was kept is no warning
    "GlobalKnownHostsFile=none",
    "VerifyHostKeyDNS=no",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    "HashKnownHosts=no",
    # A master that is open to this address may lead to another server that had it before.
    "ControlMaster=no",
    "ControlPath=none",
    "ConnectTimeout=10",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestWay:
    """Where a guest's sshd is, whose key it has, and as whom it is entered.

    None for the login or a file means that the operator's own ssh configuration decides.
    """

    server: str
    address: str
    login: str | None = None
    port: int = SSH
    identity: str | None = None


def ssh_words(
    way: GuestWay, command: tuple[str, ...], *, folder: str, passage: str | None
) -> list[str]:
    """Return the words that enter a guest, through a host if there is a passage.

    Its key is kept by the server's id, so that another server at the same address is another one.
    One word of a command is a script for the login's shell; several are taken as they are.
    """
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    options = [
        *_FIXED,
        f"HostKeyAlias={way.server}",
        f"UserKnownHostsFile={_path(f'{folder}/known_hosts')}",
    ]
    if passage is None:
        options += ["ProxyCommand=none", "ProxyJump=none"]
    else:
        # ssh expands %, and a shell splits: both must leave the path as it is.
        proxy = shlex.quote(passage).replace("%", "%%")
        options.append(f"ProxyCommand={proxy} [%h]:%p")
    words = ["ssh", *(word for option in options for word in ("-o", option))]
    words += ["-p", str(way.port)]
    words += ["-l", way.login] if way.login else []
    words += ["-i", way.identity] if way.identity else []
    words += ["--", way.address]
    if command:
        words.append(command[0] if len(command) == 1 else shlex.join(command))
    return words


def answers(address: str, port: int, *, seconds: float) -> bool:
    """Whether an sshd answers at an address from here, without any host's help.

    That a connection is taken says little: a firewall or a proxy on the way may take any.
    """
    try:
        with socket.create_connection((address, port), timeout=seconds) as connection:
            connection.settimeout(seconds)
            return connection.recv(4, socket.MSG_WAITALL) == b"SSH-"
    except OSError:
        return False


def _path(path: str) -> str:
    doubled = path.replace("%", "%%")
    return f'"{doubled}"' if " " in doubled else doubled
