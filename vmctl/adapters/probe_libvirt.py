"""What libvirt said to the probe, section by section."""

from __future__ import annotations

import math
import re
from html import unescape
from typing import TYPE_CHECKING, Literal

from vmctl.adapters.pins import find_pins
from vmctl.adapters.probe import LIBVIRT_LIMITS
from vmctl.adapters.server_record import find_record
from vmctl.domain.sample import (
    BASE_IMAGE_PREFIX,
    FoundNetwork,
    FoundPool,
    Guest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Sections = Mapping[str, Sequence[str]]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ELEMENT = re.compile(r"\s*<([a-zA-Z]+)(?: [^>]*)?>([^<]*)</\1>")
_ATTRIBUTE = re.compile(r"""\b([a-z]+)=(?:'([^']*)'|"([^"]*)")""")
_DF = re.compile(r".*?\s(?:(\S+)\s+)?([0-9]+)\s+([0-9]+)\s+(-?[0-9]+)\s+\S+\s+(/.*)")
_DETAILS = re.compile(
    r"\s.+?\s{3,}(?P<path>\S.*?)\s{3,}[a-z]+"
    r"\s+(?P<size>[0-9.]{1,18}) (?P<unit>[KMGTPE]?i?B)\s+[0-9.]+ [KMGTPE]?i?B\s*"
)
_SCALE = {"B": -20, "KiB": -10, "MiB": 0, "GiB": 10, "TiB": 20, "PiB": 30, "EiB": 40}
_NOT_THERE = ("Domain not found", "failed to get domain")
_ENDS = {
    "124": "libvirt did not answer within {limit} s",
    "126": "virsh may not be run by this login",
    "127": "virsh is not installed",
}


def read(sections: Sections) -> tuple[dict[str, object], list[str]]:
    """Give the sample's fields that libvirt speaks of, and what it could not tell."""
    problems = _problems(sections)
    told: dict[str, object] = {}
    for line in sections.get("node", ()):
        name, _, said = line.partition(":")
        field = _NODE.get(name.strip())
        if field is not None and (number := _int(said)) is not None:
            told[field] = number
    for line in sections.get("version", ()):
        name, _, said = line.partition(": ")
        if field := _VERSION.get(name):
            told[field] = said.split(" ")[-1]
    told |= _host(sections.get("host", ()))
    told |= _abilities(sections)
    sizes = _volume_sizes(sections)
    told["guests"], unread = _guests(sections, sizes)
    told["pools"] = _pools(sections)
    told["networks"] = _networks(sections)
    told["libvirt_error"] = _error(sections, unread)
    return told, problems


_NODE = {
    "CPU(s)": "cpus",
    "CPU socket(s)": "sockets",
    "Core(s) per socket": "cores",
    "Thread(s) per core": "threads",
    "NUMA cell(s)": "numa_cells",
}
_VERSION = {"Using library": "libvirt_version", "Running hypervisor": "qemu_version"}


def _error(sections: Sections, unread: int) -> str | None:
    """Say what libvirt said instead of an answer; a single failed question is no such thing."""
    said = [line for line in sections.get("libvirt", ()) if line != "error: "]
    for end, meaning in _ENDS.items():
        if f"end {end}" in sections:
            limit = LIBVIRT_LIMITS["full" if "begin full" in sections else "quick"]
            return meaning.format(limit=limit)
    if said:
        return "; ".join(line.removeprefix("error: ") for line in said)[:600]
    if not any(title.startswith("end ") for title in sections):
        return "the answer ends before libvirt's part"
    if unread:
        return f"libvirt did not describe {unread} of its machines"
    return None


def _problems(sections: Sections) -> list[str]:
    """Give what single questions got for an answer; a machine that went meanwhile is none."""
    problems = []
    for title, lines in sections.items():
        said = [line[7:] for line in lines if line.startswith("error: ")]
        if said and title != "libvirt" and not any(word in said[0] for word in _NOT_THERE):
            problems.append(f"{title.split(' ')[0]}: {'; '.join(said)[:400]}")
        if title.startswith("df "):
            problems += [f"df: {line[:400]}" for line in lines if line.startswith("df:")]
    return problems


def _host(lines: Iterable[str]) -> dict[str, object]:
    told: dict[str, object] = {}
    types: list[str] = []
    for line in lines:
        if line.startswith("features"):
            told["cpu_features"] = tuple(sorted(line.split()[1:]))
        elif line.lstrip().startswith("<domain "):
            types.append(_attributes(line).get("type", ""))
        elif (match := _ELEMENT.match(line)) and match[1] in _HOST:
            told[_HOST[match[1]]] = unescape(match[2])
    if types:
        told["virt_types"] = tuple(types)
    return told


_HOST = {
    "uuid": "libvirt_uuid",
    "arch": "arch",
    "model": "cpu_model",
    "vendor": "cpu_vendor",
    "emulator": "emulator",
}


def _abilities(sections: Sections) -> dict[str, object]:
    lines = [line for line in sections.get("abilities", ()) if not line.startswith("error: ")]
    if not lines:
        return {}
    model = next((line[6:] for line in lines if line.startswith("model ")), None)
    return {
        "uefi": "firmware efi" in lines,
        "secure_boot": "secure yes" in lines,
        "tpm": "backendModel emulator" in lines,
        "host_model": model,
    }


def _guests(sections: Sections, sizes: Mapping[str, float]) -> tuple[tuple[Guest, ...], int]:
    """Give every machine that libvirt described, and how many it named only."""
    flags = {
        name: frozenset(word for line in sections.get(name, ()) for word in line.split())
        for name in ("paused", "persistent", "autostart")
    }
    found: list[Guest] = []
    unread = 0
    for line in sections.get("guests", ()):
        uuid, _, name = line.partition(" ")
        if not _UUID.fullmatch(uuid):
            continue
        lines = sections.get(f"guest {uuid}", ())
        size = _guest_size(lines)
        if size is None:
            gone = any(word in line for line in lines for word in _NOT_THERE)
            unread += not gone
            continue
        state: Literal["running", "paused", "off"] = "off"
        if uuid in flags["paused"]:
            state = "paused"
        elif any(line.startswith("<domain ") and " id=" in line for line in lines):
            state = "running"
        found.append(
            Guest(
                uuid=uuid,
                name=name,
                state=state,
                vcpus=size[0],
                memory=size[1],
                disk=_disk(lines, sizes) if "begin full" in sections else None,
                persistent=uuid in flags["persistent"] if "persistent" in sections else None,
                autostart=uuid in flags["autostart"] if "autostart" in sections else None,
                record=find_record("\n".join(lines)),
                pins=find_pins("\n".join(lines)),
            )
        )
    return tuple(found), unread


def _guest_size(lines: Iterable[str]) -> tuple[int, int] | None:
    """Give vCPUs and MiB; libvirt's own lines come after any that metadata could fake."""
    vcpus = memory = None
    for line in lines:
        if line.startswith(("  <memory", "  <vcpu")) and (match := _ELEMENT.match(line)):
            number = _int(match[2])
            if number is not None and match[1] == "memory":
                memory = -(-number // 1024)
            elif number is not None and match[1] == "vcpu":
                vcpus = number
    return None if vcpus is None or memory is None else (vcpus, memory)


def _disk(lines: Iterable[str], sizes: Mapping[str, float]) -> int | None:
    """Give MiB of the disks that are volumes; None if there are none."""
    found = []
    for line in lines:
        if line.startswith("      <source "):
            said = _attributes(line)
            size = sizes.get(said.get("file") or said.get("dev") or "")
            if size is not None:
                found.append(size)
    return math.ceil(sum(found)) if found else None


def _volume_sizes(sections: Sections) -> dict[str, float]:
    sizes = {}
    for title, lines in sections.items():
        if title.startswith("vols "):
            for line in lines:
                if match := _DETAILS.fullmatch(line):
                    size = _float(match["size"])
                    if size is not None and match["unit"] in _SCALE:
                        sizes[match["path"]] = size * 2.0 ** _SCALE[match["unit"]]
    return sizes


def _pools(sections: Sections) -> tuple[FoundPool, ...]:
    active = _names(sections, "pools-active")
    autostart = _names(sections, "pools-autostart")
    rooms = _rooms(sections)
    pools = []
    for title, lines in sections.items():
        if not title.startswith("pool "):
            continue
        said: dict[str, str] = {}
        for line in lines:
            if line.startswith("<pool "):
                said["type"] = _attributes(line).get("type", "")
            elif match := _ELEMENT.match(line):
                said[match[1]] = unescape(match[2])
        name = said.get("name")
        if not name:
            continue
        up = None if active is None else name in active
        capacity, used, available = (_mib(said.get(key)) for key in _ROOM)
        kind = None
        path = said.get("path")
        if not up:
            # Of a pool that is not active libvirt says zero, and df may say what it would hide.
            capacity = used = available = None
        elif path in rooms:
            capacity, used, available, kind = rooms[path]
        pools.append(
            FoundPool(
                name=name,
                uuid=said.get("uuid"),
                type=said.get("type"),
                path=path,
                active=up,
                autostart=None if autostart is None else name in autostart,
                capacity=capacity,
                used=used,
                available=available,
                file_system=kind,
                base_images=_base_images(sections.get("vols " + title[5:], ())),
                images_asked="vols " + title[5:] in sections,
            )
        )
    return tuple(pools)


_ROOM = ("capacity", "allocation", "available")


def _base_images(lines: Iterable[str]) -> tuple[str, ...]:
    """Give the base images that are whole: their markers are there."""
    names = {line.split()[0] for line in lines if line.strip()}
    return tuple(
        sorted(
            name
            for name in names
            if name.startswith(BASE_IMAGE_PREFIX)
            and not name.endswith(".ok")
            and f"{name}.ok" in names
        )
    )


def _rooms(
    sections: Sections,
) -> dict[str, tuple[int | None, int | None, int | None, str | None]]:
    """Give the room of each directory that df knew: it answers in the order it was asked."""
    paths = list(
        dict.fromkeys(title.removeprefix("path ") for title in sections if title[:5] == "path ")
    )
    rows = [_DF.fullmatch(line) for line in sections.get("df", ())[1:]]
    matches = dict(zip(paths, rows, strict=True)) if len(rows) == len(paths) else {}
    for path in paths:
        if (lines := sections.get(f"df {path}")) is not None:
            matches[path] = next(filter(None, map(_DF.fullmatch, lines)), None)
    rooms = {}
    for path, row in matches.items():
        if row is not None:
            kib = [_int(row[number].removeprefix("-")) for number in (2, 3, 4)]
            size, used, free = (None if one is None else one // 1024 for one in kib)
            rooms[path] = (size, used, 0 if row[4][0] == "-" else free, row[1])
    return rooms


def _networks(sections: Sections) -> tuple[FoundNetwork, ...]:
    active = _names(sections, "nets-active")
    autostart = _names(sections, "nets-autostart")
    networks = {}
    for title, lines in sections.items():
        if not title.startswith("net "):
            continue
        said: dict[str, str | None] = {}
        for line in lines:
            if match := _ELEMENT.match(line):
                said[match[1]] = unescape(match[2])
            elif line.startswith("  <bridge "):
                said["bridge"] = _attributes(line).get("name")
            elif line.startswith("  <forward"):
                said["forward"] = _attributes(line).get("mode", "nat")
            elif line.startswith("  <virtualport "):
                said["virtualport"] = _attributes(line).get("type")
        if name := said.get("name"):
            networks[name] = FoundNetwork(
                name=name,
                active=None if active is None else name in active,
                autostart=None if autostart is None else name in autostart,
                bridge=said.get("bridge"),
                forward=said.get("forward"),
                virtualport=said.get("virtualport"),
            )
    for name in sorted(active or ()):
        networks.setdefault(name, FoundNetwork(name=name, active=True))
    return tuple(networks.values())


def _names(sections: Sections, title: str) -> frozenset[str] | None:
    """Give the names that a list of virsh's has, without the blanks it pads them with."""
    if title not in sections:
        return None
    lines = sections[title]
    return frozenset(line.rstrip() for line in lines if not line.startswith("error: "))


def _attributes(line: str) -> dict[str, str]:
    return {
        match[1]: unescape(match[2] if match[2] is not None else match[3])
        for match in _ATTRIBUTE.finditer(line)
    }


def _mib(said: str | None) -> int | None:
    number = None if said is None else _int(said)
    return None if number is None else number // 2**20


def _int(word: str) -> int | None:
    word = word.strip()
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 18 else None


def _float(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
