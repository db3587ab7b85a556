"""The question that one ssh round trip asks of a host; the answer is read in `probe_answer`.

What it asks of libvirt is two lists. The quick one is for `host list` and placement; the full one
adds what changes rarely and is kept (see `keep_facts`), for each question is a round trip there.
Machines that the caller knows of already are asked for at once, so that a second virsh is needed
only when there are others.
"""

from __future__ import annotations

import re
import secrets
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmctl.domain.sample import Depth

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LIBVIRT_LIMITS: dict[Depth, int] = {"quick": 5, "full": 10}
"""Seconds that libvirt has for an answer; at a first contact it may be cold, and ask its QEMU."""
_MOST_KNOWN = 500
"""One argument of a command holds 128 KiB; what is left out costs the second virsh."""

_ALWAYS = {
    "guests": "list --all --uuid --name",
    "paused": "list --all --state-paused --uuid",
    "node": "nodeinfo",
    "nets-active": "net-list --name",
    "pools-active": "pool-list --name",
}
_FULL = {
    "persistent": "list --all --persistent --uuid",
    "autostart": "list --all --autostart --uuid",
    "version": "version",
    "host": "capabilities",
    "nets-autostart": "net-list --all --autostart --name",
    "nets": "net-list --all --uuid",
    "pools-autostart": "pool-list --all --autostart --name",
    "pools": "pool-list --all --uuid",
}


def new_nonce() -> str:
    """Make the word that marks the sections of one answer; whoever guesses it could forge one."""
    return secrets.token_hex(12)


def probe_script(
    *,
    nonce: str,
    depth: Depth = "quick",
    uri: str = "qemu:///system",
    pools: Iterable[str] = (),
    images: bool = False,
    known: Iterable[str] = (),
) -> str:
    """Write the script that looks at a host, for its `sh`; it always exits with 0.

    A quick look asks about these pools, and for their base images where `images` are wanted; a
    full one asks about all there are, and for what rarely changes too: it is the first look at a
    host. `known` are the uuids of machines that the last look found, or that we hold claims for.
    """
    sections = dict(_ALWAYS)
    if depth == "full":
        sections |= _FULL
    else:
        for number, pool in enumerate(pools):
            sections[f"pool {number}"] = f"pool-dumpxml --pool {quote_for_virsh(pool)}"
            if images:
                sections[f"vols {number}"] = f"vol-list --pool {quote_for_virsh(pool)}"
    for uuid in [one for one in known if _UUID.fullmatch(one)][:_MOST_KNOWN]:
        sections[f"guest {uuid}"] = f"dumpxml {uuid}"
    # In virsh, -q takes the line's end off what echo says.
    ask = "; ".join(f"echo '{nonce} {title}\n'; {words}" for title, words in sections.items())
    limit = str(LIBVIRT_LIMITS[depth])
    settings = {"n": nonce, "depth": depth, "uri": uri, "ask": ask, "limit": limit}
    head = "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
    return head + Path(__file__).with_name("probe.sh").read_text(encoding="utf-8")


def quote_for_virsh(word: str) -> str:
    """Quote one word of a virsh command, whatever characters it has."""
    return "'" + word.replace("'", "'\\''") + "'"
