"""Names for completion, read from what is on record: no host is asked, nothing heavy imported.

A completer may import the standard library's sqlite3 and no more: it runs at every press of Tab.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Source(NamedTuple):
    """Where names are on record."""

    db: str
    """A path, or a URL that a completer leaves alone."""
    inventory: str | None
    cache_folder: str


if TYPE_CHECKING:
    Completer = Callable[[Source, str], Iterable[str]]
    Completers = Mapping[str, Completer]


def complete_hosts(source: Source, prefix: str) -> Iterable[str]:
    """Name the hosts of the inventory that begin so."""
    return _named(source, prefix, "hosts")


def complete_networks(source: Source, prefix: str) -> Iterable[str]:
    """Name the networks of the inventory that begin so."""
    return _named(source, prefix, "networks")


def complete_aggregates(source: Source, prefix: str) -> Iterable[str]:
    """Name the aggregates of the inventory that begin so."""
    return _named(source, prefix, "aggregates")


def _named(
    source: Source, prefix: str, kind: Literal["hosts", "networks", "aggregates"]
) -> Iterable[str]:
    if source.inventory is None:
        return ()
    from vmctl.adapters.inventory import known_names
    from vmctl.errors import UsageError

    try:
        names = known_names(source.inventory, source.cache_folder, kind, _check_policy)
    except UsageError:
        return ()  # a broken inventory is told by the command, not by a press of Tab
    return [name for name in names if name.startswith(prefix)]


def _recorded(kind: str) -> Completer:
    """Name what is on record of a kind and begins so; a record that cannot be read has none."""

    def complete(source: Source, prefix: str) -> Iterable[str]:
        from vmctl.adapters import fastread
        from vmctl.errors import VmctlError

        path = source.db.removeprefix("sqlite:///")
        if "://" in path:
            return ()
        try:
            with fastread.reading(path) as db:
                return [name for name in fastread.names(db, kind) if name.startswith(prefix)]
        except VmctlError:
            return ()

    return complete


def _check_policy(settings: Mapping[str, object]) -> list[str]:
    """Check what a reading would keep, as every command does; a kept inventory asks for nothing."""
    from vmctl.services.policy import check_policy

    return check_policy(settings)


def complete_shells(source: Source, prefix: str) -> Iterable[str]:
    """Name the shells that have a completion script."""
    del source, prefix
    return ("bash", "fish", "zsh")


COMPLETERS: Completers = {
    "aggregate": complete_aggregates,
    "flavor": _recorded("flavor"),
    "group": _recorded("group"),
    "host": complete_hosts,
    "image": _recorded("image"),
    "keypair": _recorded("keypair"),
    "network": complete_networks,
    "server": _recorded("server"),
    "security-group": _recorded("security-group"),
    "shell": complete_shells,
}

OPTION_VALUES: Mapping[str, str] = {
    "--flavor": "flavor",
    "--host": "host",
    "--image": "image",
    "--key-name": "keypair",
    "--network": "network",
    "--remove": "host",
    "--server": "server",
    "--security-group": "security-group",
    "--server-group": "group",
}
"""Which completer an option's values come from, in whatever command it stands."""
