"""A server's record in its own domain's metadata: whoever reads the host knows what stands there.

The attributes of its element say what it takes, to be read at a glance; the text in it is the
whole spec and build as JSON. Any local user of the host may read it: nothing secret is in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from vmctl.domain.sample import RECORD_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from vmctl.domain.build import Build
    from vmctl.domain.spec import ImageUse, ServerSpec

VERSION = 1
"""The version of the record's form; a newer one is not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecord:
    """What a domain says of itself: whose server it is, what was asked for, and this attempt.

    The owner is the uuid of the database that it was made from.
    """

    owner: str
    spec: ServerSpec
    build: Build


class Held(NamedTuple):
    """What a server says that it takes from its host, memory and disk in MiB."""

    vcpus: int
    memory: int
    disk: int
    pool: str


class Maker(NamedTuple):
    """Whose domain it is: the uuid of the database, the server's id, the number of the attempt."""

    owner: str
    server: str
    attempt: int


def to_xml(record: ServerRecord) -> str:
    """Write a record as one line: what a guest is called cannot pass for a line of libvirt's."""
    import json

    from vmctl.domain.plain import to_plain

    spec = replace(record.spec, image=_shown(record.spec.image))
    # All but ASCII is escaped in it, and with that whatever XML cannot hold.
    plain = {"spec": to_plain(spec), "build": to_plain(record.build)}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    said = " ".join(f'{name}="{_escaped(value)}"' for name, value in _attributes(record))
    body = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<vmctl:server xmlns:vmctl="{RECORD_NAMESPACE}" {said}>{body}</vmctl:server>'


def from_xml(text: str) -> ServerRecord:
    """Read a record back; ValueError for all that is not a whole record of this version."""
    import json

    from vmctl.domain.build import Build
    from vmctl.domain.plain import read_strictly
    from vmctl.domain.spec import ServerSpec

    element = _element(text)
    version = element.get("version")
    if version != str(VERSION):
        raise ValueError(f"the record is of version {version}, this vmctl reads {VERSION}")
    try:
        plain = json.loads(element.text or "")
        spec = read_strictly(ServerSpec, plain["spec"])
        build = read_strictly(Build, plain["build"])
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the record cannot be read: {error!r}"[:400]) from error
    record = ServerRecord(owner=element.get("owner", ""), spec=spec, build=build)
    told = {name: _legal(value) for name, value in _attributes(record)}
    wrong = [name for name, value in told.items() if element.get(name) != value]
    if wrong or not record.owner:
        raise ValueError(f"the record contradicts itself: {', '.join(wrong) or 'owner'}")
    if build.server != spec.id:
        raise ValueError(f"the record is of two servers: {spec.id} and {build.server}")
    return record


def held_by(record: str) -> Held | None:
    """Read what a record says that its server takes; None if it does not say it well.

    For every foreign machine of every host at once: the rest of the record is not looked at.
    """
    said = _said(record)
    numbers = [said.get(name, "") for name in ("vcpus", "memory", "disk")]
    if not all(_NUMBER.fullmatch(number) for number in numbers):
        return None
    vcpus, memory, disk = map(int, numbers)
    pool = said.get("pool", "")
    if "&" in pool:
        from html import unescape

        pool = unescape(pool)
    return Held(vcpus=vcpus, memory=memory, disk=disk, pool=pool)


def made_by(record: str) -> Maker | None:
    """Read who made a domain and in which attempt; None if its record does not say.

    That much is read of a record of any version: whoever removes a domain goes by it.
    """
    said = _said(record)
    if not _NUMBER.fullmatch(said.get("attempt", "")):
        return None
    return Maker(said.get("owner", ""), said.get("id", ""), int(said["attempt"]))


def is_rescued(record: str) -> bool | None:
    """Whether another system boots in a server's place; None if its record is none of ours."""
    said = _said(record)
    return "rescued" in said if "attempt" in said else None


def is_of_first(record: str) -> bool:
    """Whether no other system ever took the first one's place; the rest of it is not looked at."""
    return '"generation":1,' in record


def _said(record: str) -> dict[str, str]:
    head = _HEAD.match(record)
    found = _ATTRIBUTE.finditer(head[0]) if head else ()
    return {match[1]: match[2] or match[3] or "" for match in found}


_HEAD = re.compile(r"\s*<(?:\w+:)?server\s[^<>]*>")
_ATTRIBUTE = re.compile(r"""([\w:]+)\s*=\s*(?:'([^']*)'|"([^"]*)")""")
_NUMBER = re.compile(r"[0-9]{1,12}", re.ASCII)
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML cannot hold, however it is written."""

_ENTITIES = {
    ord(char): entity
    for char, entity in {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "'": "&apos;",
        "\t": "&#9;",
        "\n": "&#10;",
        "\r": "&#13;",
    }.items()
}


def _attributes(record: ServerRecord) -> Iterator[tuple[str, str]]:
    build = record.build
    yield "version", str(VERSION)
    yield "id", record.spec.id
    yield "owner", record.owner
    yield "attempt", str(build.number)
    yield "vcpus", str(build.vcpus)
    yield "memory", str(build.memory)
    yield "disk", str(build.disk)
    yield "pool", build.pool
    if build.rescued:
        yield "rescued", "1"


def _shown(image: ImageUse) -> ImageUse:
    """Leave out an address that may hold a password or a token."""
    return replace(image, url=None) if image.url and _KEYED.search(image.url) else image


_KEYED = re.compile(r"[@?#]")


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)


def _escaped(text: str) -> str:
    return _legal(text).translate(_ENTITIES)


def _element(text: str) -> Element:
    from xml.etree.ElementTree import ParseError, fromstring

    if "<!" in text or "<?" in text:
        # No record has either, and entities that grow would come in such.
        raise ValueError("the record has declarations in it")
    try:
        element = fromstring(text)  # noqa: S314 - without declarations there is nothing to expand
    except (ParseError, ValueError) as error:
        raise ValueError(f"the record is no XML: {error}") from error
    # libvirt takes the namespace away where it is asked for the element by that namespace.
    if element.tag not in ("server", f"{{{RECORD_NAMESPACE}}}server") or len(element):
        raise ValueError(f"the record is no {RECORD_NAMESPACE} server: {element.tag[:100]}")
    return element
