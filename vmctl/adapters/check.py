"""Trying on a host what a look cannot tell: the script, and the reading of its answer."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from vmctl.adapters.probe_answer import split_answer
from vmctl.domain.check_facts import BOOTED, HUNG, KvmTrial, Trial, Tried
from vmctl.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LIMIT = 20
"""Seconds in which a kernel ends where KVM works; under plain emulation it takes about six."""


def trial_script(
    *,
    nonce: str,
    uri: str = "qemu:///system",
    pools: Iterable[str] = (),
    emulator: str | None = None,
    accel: str = "kvm",
    limit: int = LIMIT,
    kernels: Iterable[str] = (),
) -> str:
    """Write the script that tries the lease, a volume in each pool, and KVM if given an emulator.

    With an empty `uri` libvirt is left alone, for one that hangs costs its limit at each question.
    It always exits with 0, ends within `limit` seconds and half a minute, and leaves nothing.
    """
    settings = {
        "n": nonce,
        "uri": uri,
        "pools": "\n".join(pools),
        "emulator": emulator or "",
        "accel": accel,
        "limit": str(limit),
        "kernels": "\n".join(kernels),
    }
    head = "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
    return head + Path(__file__).with_name("check.sh").read_text(encoding="utf-8")


def parse_trial(text: str, nonce: str, *, host: str) -> Trial:
    """Read what the trial said; ProbeError where the text holds none."""
    sections = split_answer(text, nonce)
    if "begin" not in sections:
        said = " ".join(text.split())[:200]
        raise ProbeError(host, f"{host} answered with something else than a trial: {said}")
    who = sections.get("who", [])
    return Trial(
        user=who[0] if who else None,
        groups=tuple(who[1].split()) if len(who) > 1 else (),
        lease=_tried(sections.get("lease")),
        nwfilter=_tried(sections.get("nwfilter")),
        volumes=tuple(
            (title.removeprefix("volume "), tried)
            for title, lines in sections.items()
            if title.startswith("volume ") and (tried := _tried(lines)) is not None
        ),
        kvm=_kvm(sections["kvm"]) if "kvm" in sections else None,
        whole="done" in sections,
    )


_STEPS = ("lease", "nwfilter", "create", "upload", "download", "delete")


def _tried(lines: Sequence[str] | None) -> Tried | None:
    """Give the first step that failed, with what it said; None if none was begun."""
    begun = False
    for number, line in enumerate(lines or ()):
        step, _, code = line.partition(" ")
        if step not in _STEPS:
            continue
        begun = True
        if code != "0":
            said = []
            for more in (lines or ())[number + 1 :]:
                if more.partition(" ")[0] in _STEPS:
                    break
                said.append(more.removeprefix("error: "))
            return Tried(
                step=step, fault="; ".join(said) or _CODES.get(code, f"it ended with {code}")
            )
    return Tried() if begun else None


_CODES = {
    "1": "refused",
    "124": "no answer in time",
    "127": "the command is not there",
    "differs": "what came back is not what was sent",
}


def _kvm(lines: Sequence[str]) -> KvmTrial:
    """Read how the kernel fared: what ends in a panic has run Linux."""
    unreadable = [line.partition(" ")[2] for line in lines if line.startswith("unreadable ")]
    fault = None
    for number, line in enumerate(lines):
        word, _, rest = line.partition(" ")
        match word:
            case "panicked":
                return KvmTrial(alive=True, said=BOOTED)
            case "ended" if rest.startswith(("124 ", "137 ")):
                return KvmTrial(alive=False, said=HUNG)
            case "ended":
                said = " ".join(lines[number + 1 :])[:300]
                fault = fault or f"QEMU ended with {rest.split(' ')[0]}: {said}".rstrip(": ")
            case "no-device":
                return KvmTrial(alive=False, said="there is no /dev/kvm")
            case "refused":
                return KvmTrial(alive=None, said="the login may not open /dev/kvm")
            case "no-emulator":
                return KvmTrial(alive=None, said=f"there is no {rest}")
            case "no-kernel" if unreadable:
                return KvmTrial(alive=None, said=f"the login may not read {unreadable[0]}")
            case "no-kernel":
                return KvmTrial(alive=None, said="no kernel was found to boot")
            case _:
                continue
    if fault is not None:
        return KvmTrial(alive=False, said=fault)
    return KvmTrial(alive=None, said="the trial broke off")
