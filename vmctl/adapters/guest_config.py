"""The ways into guests as a configuration of OpenSSH's, for whatever else reads one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.adapters.guest_entry import KEYS, known_hosts, proxy_command, quoted, ssh_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmctl.adapters.guest_entry import GuestWay

_HEAD = """\
# Written by vmctl ssh-config; write it anew when servers or addresses have changed.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One guest: by which names it is called, its way, a word on it, and who leads to it."""

    names: tuple[str, ...]
    way: GuestWay
    note: str
    passage: str | None = None


def config_text(entries: Iterable[Entry], folder: str) -> str:
    """Write the configuration; UsageError for a value that no quotes can hold."""
    keys = ssh_path(known_hosts(folder))
    return _HEAD + "".join(f"\n{_entry(one, keys)}" for one in entries)


def _entry(entry: Entry, keys: str) -> str:
    way = entry.way
    lines = [*_place(entry), ("Port", str(way.port))]
    if way.login:
        lines.append(("User", quoted(way.login)))
    if way.identity:
        lines.append(("IdentityFile", ssh_path(way.identity)))
    lines += [("HostKeyAlias", quoted(way.server)), ("UserKnownHostsFile", keys), *KEYS]
    names = " ".join(map(quoted, entry.names))
    body = "".join(f"    {name} {value}\n" for name, value in lines)
    return f"# {' '.join(entry.note.split())}\nHost {names}\n{body}"


def _place(entry: Entry) -> list[tuple[str, str]]:
    """Say where it is, so that no two guests look like one to those who share connections.

    Behind the NAT of each host there are the same addresses: what ssh calls the host is then the
    server's id, and the address stands in the way to it.
    """
    way = entry.way
    if entry.passage is None:
        none = ("ProxyJump", "none"), ("ProxyCommand", "none")
        return [("HostName", quoted(way.address)), *none]
    quoted(entry.passage)
    command = f"{proxy_command(entry.passage)} [{way.address}]:%p"
    return [("HostName", quoted(way.server)), ("ProxyJump", "none"), ("ProxyCommand", command)]
