"""Answers of the probe, as hosts gave them; one that was never seen says so in its name."""

from __future__ import annotations

from pathlib import Path

from vmctl.adapters.probe_answer import parse_probe
from vmctl.domain.sample import HostSample

FOLDER = Path(__file__).parent.parent / "golden/probe"
NONCE = "cafe0123cafe0123cafe0123"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.txt")))


def answer(name: str) -> str:
    return (FOLDER / f"{name}.txt").read_text()


def sample(name: str, *, taken_at: float = 1795203200.0) -> HostSample:
    return parse_probe(answer(name), NONCE, host="kvm1", taken_at=taken_at)
