"""The tables as queries name them; what a database enforces on them is in `migrations`.

Times are epoch seconds, memory and disk MiB, structured values JSON as plain text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Boolean, Column, Double, MetaData, Table, Text
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy import Dialect


class Words(TypeDecorator[str]):
    """Text that came from outside: what a database cannot hold is replaced, not refused.

    PostgreSQL has no NUL in a text, and neither takes the halves of characters that undecodable
    bytes become. An error message must not be lost over it.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what neither database can hold."""
        del dialect
        if value is None:
            return None
        return value.replace("\0", "\ufffd").encode(errors="replace").decode()


metadata = MetaData()


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False)


def _maybe_text(name: str) -> Column[str]:
    return Column(name, Text)


def _words(name: str) -> Column[str]:
    return Column(name, Words, nullable=False)


def _maybe_words(name: str) -> Column[str]:
    return Column(name, Words)


def _maybe_number(name: str) -> Column[int]:
    return Column(name, BigInteger)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _number(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, nullable=False, autoincrement=False)


def _time(name: str) -> Column[float]:
    return Column(name, Double, nullable=False)


def _maybe_time(name: str) -> Column[float]:
    return Column(name, Double)


meta = Table(
    "meta",
    metadata,
    _number("one", key=True),  # always 1: there is one row
    _text("uuid"),
    _number("version"),
    _time("created"),
)
servers = Table(
    "servers",
    metadata,
    _text("id", key=True),
    _text("name"),
    _text("project"),
    _maybe_text("host"),
    _number("attempt"),
    _text("state"),
    _maybe_text("task"),
    _text("power"),
    _text("spec"),
    _maybe_words("fault"),
    _time("created"),
    _time("updated"),
    _maybe_time("launched"),
    _maybe_time("deleted"),
    _maybe_words("locked"),  # why; NULL: it is not
    _flag("protected"),
    _words("seen"),  # addresses, by what saw them
    _maybe_time("seen_at"),
    _maybe_words("boot"),  # of the host when power was last seen
    _maybe_text("reservation"),
    _text("also"),  # other hosts that it was seen on
    _maybe_text("lost"),  # what its state was before it was seen nowhere; NULL: it was not
)
attempts = Table(
    "attempts",
    metadata,
    _text("server", key=True),
    _number("number", key=True),
    _text("host"),
    _text("state"),
    _maybe_words("fault"),
    _time("created"),
    _time("updated"),
    _words("plan"),
)
claims = Table(
    "claims",
    metadata,
    _text("server", key=True),
    _number("number", key=True),
    _text("pool", key=True),
    _text("host"),
    _number("vcpus"),
    _number("memory"),
    _number("disk"),
    _time("created"),
    _text("cpus"),  # those of the host that are the server's own, as ranges
)
nics = Table(
    "nics",
    metadata,
    _text("server", key=True),
    _number("number", key=True),
    _number("position", key=True),
    _text("network"),
    _text("scope"),
    _text("mac"),
)
addresses = Table(
    "addresses",
    metadata,
    _text("scope", key=True),
    _text("address", key=True),
    _text("server"),
    _number("number"),
    _number("position"),  # of the network card in the server
    _number("place"),  # of the address on that card
)
operations = Table(
    "operations",
    metadata,
    _text("id", key=True),
    _text("kind"),
    _maybe_text("server"),
    _maybe_text("host"),
    _text("saga"),
    _number("version"),
    _text("params"),
    _text("state"),
    _number("token"),
    _words("owner"),
    _maybe_words("fault"),
    _time("started"),
    _time("updated"),
    _maybe_time("finished"),
)
journal = Table(
    "journal",
    metadata,
    _text("operation", key=True),
    _number("seq", key=True),
    _text("step"),
    _text("mark"),
    _number("token"),
    _time("at"),
    _words("detail"),
)
hosts = Table(
    "hosts",
    metadata,
    _text("name", key=True),
    _flag("enabled"),
    _maybe_words("reason"),
    _maybe_words("libvirt"),
    _maybe_words("machine"),
    _maybe_words("boot"),
    _maybe_time("seen"),
    _maybe_words("error"),
    _maybe_time("failed"),
    _maybe_text("sample"),
    Column("kvm_alive", Boolean),
    _maybe_words("kvm_boot"),
    _maybe_time("kvm_at"),
)
events = Table(
    "events",
    metadata,
    Column("id", BigInteger, primary_key=True),
    _time("at"),
    _words("login"),
    _maybe_words("sudo_user"),
    _words("client"),
    _text("action"),
    _words("result"),
    _maybe_text("server"),
    _maybe_text("host"),
    _maybe_text("operation"),
    _text("detail"),
)
flavors = Table(
    "flavors",
    metadata,
    _text("id", key=True),
    _text("name"),
    _number("vcpus"),
    _number("memory"),
    _number("disk"),
    _number("ephemeral"),
    _number("swap"),
    _flag("public"),
    _maybe_words("description"),
    _words("properties"),
)
images = Table(
    "images",
    metadata,
    _text("id", key=True),
    _text("name"),
    _text("status"),
    _maybe_text("checksum"),
    _number("min_disk"),
    _number("min_memory"),
    _words("properties"),
    _time("created"),
    _time("updated"),
    _maybe_words("url"),
    _maybe_text("format"),
    _maybe_number("size"),
    _maybe_number("virtual_size"),
    _flag("protected"),
)
server_groups = Table(
    "server_groups",
    metadata,
    _text("id", key=True),
    _text("name"),
    _text("project"),
    _text("policy"),
    _number("max_server_per_host"),
    _time("created"),
)
group_members = Table(
    "group_members",
    metadata,
    _text("server", key=True),
    _text("server_group"),
)
quotas = Table(
    "quotas",
    metadata,
    _text("project", key=True),
    _text("resource", key=True),
    _number("most"),
)
keypairs = Table(
    "keypairs",
    metadata,
    _text("name", key=True),
    _words("public_key"),
    _text("fingerprint"),
    _text("type"),
    _time("created"),
)
security_groups = Table(
    "security_groups",
    metadata,
    _text("id", key=True),
    _text("name"),
    _text("project"),
    _maybe_words("description"),
    _time("created"),
)
security_rules = Table(
    "security_rules",
    metadata,
    _text("id", key=True),
    _text("security_group"),
    _number("position"),
    _text("direction"),
    _text("ethertype"),
    _maybe_text("protocol"),
    _maybe_number("port_min"),
    _maybe_number("port_max"),
    _maybe_text("remote"),
    _maybe_words("description"),
)
secrets = Table(
    "secrets",
    metadata,
    _text("operation", key=True),
    _text("content"),
)
placements = Table(
    "placements",
    metadata,
    _text("server", key=True),
    _words("trace"),
    _time("at"),
)
idempotency = Table(
    "idempotency",
    metadata,
    _text("key", key=True),
    _text("request"),  # the digest of what was asked for
    _text("server"),
    _maybe_text("reservation"),
    _time("at"),
)
