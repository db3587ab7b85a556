"""Reading what the probe's script said: pure, and total over any text.

What one section lacks leaves its fields empty and is named among the sample's problems; only an
answer that never began is an error.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from vmctl.adapters import probe_libvirt
from vmctl.domain.sample import FoundBridge, HostSample, Stall
from vmctl.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Mapping

_STALL = re.compile(r"some avg10=([0-9.]+) avg60=([0-9.]+) avg300=([0-9.]+) ")
_BRIDGE = re.compile(r"/sys/class/net/([^/]+)/bridge/nf_call_(iptables|ip6tables)")
_RELEASE = re.compile(r"([A-Z_]+)=[\"']?(.*?)[\"']?")


def parse_probe(text: str, nonce: str, *, host: str, taken_at: float) -> HostSample:
    """Read the answer of one host, `taken_at` being our clock when it came.

    Raises ProbeError where there is none in the text, as when a login runs something else.
    """
    sections = split_answer(text, nonce)
    if not any(title.startswith("begin") for title in sections):
        said = " ".join(text.split())[:200]
        raise ProbeError(
            host,
            f"{host} answered with something else than a sample"
            + (f": {said}" if said else ": nothing"),
            hint="The login must run the commands it is given, with a POSIX shell",
        )
    files = _files(sections.get("files", ()))
    told: dict[str, object] = {}
    for part in (_system, _memory, _pressure, _bridges):
        told |= part(files)
    told |= _offers(sections)
    libvirt, problems = probe_libvirt.read(sections)
    told |= {name: value for name, value in libvirt.items() if value is not None}
    for line in sections.get("clock", ())[:1]:
        told["clock"] = _float(line) or told.get("clock")
    depth = "full" if "begin full" in sections else "quick"
    told["depth"] = depth
    told["facts_at"] = taken_at if depth == "full" and "libvirt_error" not in told else None
    if "cut" in sections:
        problems.append("the host has more to say than an answer may hold: the rest is missing")
    if "done" not in sections:
        problems.append("the answer ends early")
    return HostSample(taken_at=taken_at, problems=tuple(problems), **told)  # type: ignore[arg-type] # each part names fields of the right types


def split_answer(text: str, nonce: str) -> dict[str, list[str]]:
    """Give the lines of each section by its title; text before the first title is nobody's."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    opening = nonce + " "
    for line in text.split("\n"):
        if line.startswith(opening):
            lines = sections.setdefault(line[len(opening) :], [])
        elif line:
            lines.append(line)
    return sections


def _files(lines: list[str] | tuple[()]) -> dict[str, list[str]]:
    """Give the lines of each file by its path; no path that was asked for has a colon in it."""
    files: dict[str, list[str]] = {}
    for line in lines:
        path, _, said = line.partition(":")
        files.setdefault(path, []).append(said)
    return files


def _one(files: Mapping[str, list[str]], path: str) -> str | None:
    """Give the only line of a file."""
    lines = files.get(path)
    return lines[0].strip() or None if lines else None


def _system(files: Mapping[str, list[str]]) -> dict[str, object]:
    release: dict[str, str] = {}
    for path in ("/usr/lib/os-release", "/etc/os-release"):
        for line in files.get(path, ()):
            if match := _RELEASE.fullmatch(line):
                release[match[1]] = match[2]
    enforce = _one(files, "/sys/fs/selinux/enforce")
    online = _one(files, "/sys/devices/system/cpu/online") or ""
    count = _online(online)
    return {
        "hostname": _one(files, "/proc/sys/kernel/hostname"),
        "kernel": _one(files, "/proc/sys/kernel/osrelease"),
        "arch": _one(files, "/proc/sys/kernel/arch"),
        "boot_id": _one(files, "/proc/sys/kernel/random/boot_id"),
        "machine_id": _one(files, "/etc/machine-id"),
        "os_id": release.get("ID"),
        "os_like": release.get("ID_LIKE"),
        "os_name": release.get("NAME"),
        "os_version": release.get("VERSION_ID"),
        "selinux": None if enforce is None else enforce == "1",
        "cpus": count,
        "cpus_online": None if count is None else online,
    }


def _online(ranges: str) -> int | None:
    """Count the processors of a list such as `0-3,8`."""
    count = 0
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        low, high = _int(first), _int(last or first)
        if low is None or high is None or high < low:
            return None
        count += high - low + 1
    return count


def _memory(files: Mapping[str, list[str]]) -> dict[str, object]:
    kib: dict[str, int] = {}
    for line in files.get("/proc/meminfo", ()):
        name, _, amount = line.partition(":")
        number = _int(amount.removesuffix("kB").strip())
        if number is not None:
            kib[name] = number
    told: dict[str, object] = {}
    for field, name in (("memory", "MemTotal"), ("memory_available", "MemAvailable")):
        if name in kib:
            told[field] = kib[name] // 1024
    size = kib.get("Hugepagesize", 0)
    if "HugePages_Total" in kib:
        # Of page sizes other than the usual one only the newer sum `Hugetlb` knows.
        told["hugepages"] = kib.get("Hugetlb", kib["HugePages_Total"] * size) // 1024
        told["hugepages_free"] = kib.get("HugePages_Free", 0) * size // 1024
    return told


def _pressure(files: Mapping[str, list[str]]) -> dict[str, object]:
    told: dict[str, object] = {}
    load = (_one(files, "/proc/loadavg") or "").split()[:3]
    numbers = [number for number in map(_float, load) if number is not None]
    if len(numbers) == 3:
        told["load"] = tuple(numbers)
    for name in ("cpu", "memory", "io"):
        told[f"psi_{name}"] = _stall(_one(files, f"/proc/pressure/{name}") or "")
    told["uptime"] = _float((_one(files, "/proc/uptime") or "").split(" ")[0])
    for line in files.get("/proc/stat", ()):
        name, *words = line.split()
        ticks = [_int(word) for word in words]
        if name == "cpu" and len(ticks) >= 8 and None not in ticks:
            # user to steal: the two after them are counted in user already.
            told["cpu_ticks"] = sum(tick or 0 for tick in ticks[:8])
            told["steal_ticks"] = ticks[7]
        if name == "btime" and ticks and ticks[0] and isinstance(told["uptime"], float):
            # Exact to the second, and it costs no process.
            told["clock"] = ticks[0] + told["uptime"]
    return told


def _stall(line: str) -> Stall | None:
    match = _STALL.match(line)
    numbers = [_float(word) for word in match.groups()] if match else []
    if len(numbers) != 3 or None in numbers:
        return None
    ten, sixty, five_minutes = (number or 0.0 for number in numbers)
    return Stall(avg10=ten, avg60=sixty, avg300=five_minutes)


def _bridges(files: Mapping[str, list[str]]) -> dict[str, object]:
    seen: dict[str, dict[str, bool]] = {}
    for path in files:
        if match := _BRIDGE.fullmatch(path):
            seen.setdefault(match[1], {})[match[2]] = _one(files, path) == "1"
    kernel = {
        six: _one(files, f"/proc/sys/net/bridge/bridge-nf-call-{six}")
        for six in ("iptables", "ip6tables")
    }
    return {
        "bridges": tuple(
            FoundBridge(name=name, filtered=flags.get("iptables"), filtered6=flags.get("ip6tables"))
            for name, flags in sorted(seen.items())
        ),
        "bridge_filter": _switch(kernel["iptables"]),
        "bridge_filter6": _switch(kernel["ip6tables"]),
    }


def _switch(said: str | None) -> bool | None:
    return None if said is None else said == "1"


def _offers(sections: Mapping[str, list[str]]) -> dict[str, object]:
    told: dict[str, object] = {}
    if "tools" in sections:
        told["tools"] = tuple(sections["tools"])
    if "sockets" in sections:
        sockets = [line.split() for line in sections["sockets"]]
        told["sockets_seen"] = tuple(words[0] for words in sockets if len(words) == 2)
        told["sockets_writable"] = tuple(words[0] for words in sockets if words[1:] == ["w"])
        told["kvm_device"] = "kvm" in sections
        told["kvm_allowed"] = sections.get("kvm") == ["allowed"]
    for line in sections.get("sshd", ())[:1]:
        told["max_startups"] = line.split(maxsplit=1)[-1].strip()
    return told


def _int(word: str) -> int | None:
    """Read a number that a kernel or libvirt may well have written; anything else is none."""
    word = word.strip()
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 18 else None


def _float(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
