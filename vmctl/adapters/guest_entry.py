"""The way into a guest: the system's own ssh, with words and no shell between."""

from __future__ import annotations

import re
import shlex
import socket
from dataclasses import dataclass
from pathlib import Path

from vmctl.errors import UsageError

SSH = 22
KEYS = (
    # A server's first key is taken, for nobody could have seen it before; another one later is not.
    ("StrictHostKeyChecking", "accept-new"),
    ("LogLevel", "ERROR"),  # that a first key was kept is no warning
    ("GlobalKnownHostsFile", "none"),
    ("VerifyHostKeyDNS", "no"),
    ("UpdateHostKeys", "no"),
    ("CheckHostIP", "no"),
    ("HashKnownHosts", "no"),
)
_FIXED = (
    *(f"{name}={value}" for name, value in KEYS),
    # A master that is open to this address may lead to another server that had it before.
    "ControlMaster=no",
    "ControlPath=none",
    "ConnectTimeout=10",
)
_PLAIN = re.compile(r"(?!=)[\w./:@%+=~,-]+", re.ASCII)
_FLAGS = frozenset("46AaCfGgKkMNnqsTtVvXxYy")
_VALUED = frozenset("BbcDEeFIiJLlmOopPQRSWw")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestWay:
    """Where a guest's sshd is, whose key it has, and as whom it is entered.

    None for the login or a file means that the operator's own ssh configuration decides. The words
    are ssh's own options, which come before all others.
    """

    server: str
    address: str
    login: str | None = None
    port: int = SSH
    identity: str | None = None
    words: tuple[str, ...] = ()


def ssh_words(
    way: GuestWay, command: tuple[str, ...], *, folder: str, passage: str | None
) -> list[str]:
    """Return the words that enter a guest, through a host if there is a passage.

    Its key is kept by the server's id, so that another server at the same address is another one.
    One word of a command is a script for the login's shell; several are taken as they are.
    """
    options = [
        *_FIXED,
        f"HostKeyAlias={way.server}",
        f"UserKnownHostsFile={ssh_path(known_hosts(folder))}",
    ]
    if passage is None:
        options += ["ProxyCommand=none", "ProxyJump=none"]
    else:
        options.append(f"ProxyCommand={proxy_command(passage)} [%h]:%p")
    words = ["ssh", *way.words, *(word for option in options for word in ("-o", option))]
    words += ["-p", str(way.port)]
    words += ["-l", way.login] if way.login else []
    words += ["-i", way.identity] if way.identity else []
    words += ["--", way.address]
    if command:
        words.append(command[0] if len(command) == 1 else shlex.join(command))
    return words


def known_hosts(folder: str) -> str:
    """Name the file that holds the servers' keys, in a folder that is there then."""
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    return f"{folder}/known_hosts"


def proxy_command(passage: str) -> str:
    """Write a passage as a ProxyCommand's first word: ssh expands %, and a shell splits."""
    return shlex.quote(passage).replace("%", "%%")


def ssh_path(path: str) -> str:
    """Quote a path as ssh's options want it; UsageError for one that no quotes can hold."""
    if "${" in path:
        raise UsageError(f"ssh would read ${{…}} in {path!r} as a variable")
    return quoted(path.replace("%", "%%"))


def quoted(value: str) -> str:
    """Quote a value of ssh's configuration; UsageError for one that no quotes can hold."""
    if not value or any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise UsageError(f"{value!r} cannot stand in ssh's configuration")
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def split_words(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell ssh's own options, as they would stand behind the host, from the command after them.

    A command begins with no dash; `--` ends the options as well.
    """
    at = 0
    while at < len(words) and len(words[at]) > 1 and words[at][0] == "-":
        if words[at] == "--":
            return words[:at], words[at + 1 :]
        letters = words[at][1:]
        at += 1
        for place, letter in enumerate(letters):
            if letter in _VALUED:
                at += place == len(letters) - 1  # its value is the next word
                break
            if letter not in _FLAGS:
                raise UsageError(
                    f"ssh has no option -{letter}", hint="man ssh; a command begins with no dash"
                )
    return words[: min(at, len(words))], words[at:]


def identity_for(public_key: str, home: str) -> str | None:
    """Find the file of the private key that belongs to a public one, among the operator's own."""
    wanted = public_key.split()[:2]
    for public in sorted(Path(home, ".ssh").glob("*.pub")):
        try:
            same = public.read_text(errors="replace").split()[:2] == wanted
        except OSError:
            continue
        private = public.with_suffix("")
        if same and private.is_file():
            return str(private)
    return None


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
