"""A request as a file, and the answer as data; docs/scheduler.md has the formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.request import FlavorSpec, ImageSpec, RequestSpec
from vmctl.errors import UsageError
from vmctl.scheduler.reading import Reader

if TYPE_CHECKING:
    from vmctl.domain.placement import Placement, Verdict


def request_from(data: object) -> RequestSpec:
    """Read a loaded request file, or raise a UsageError with everything that is wrong in it."""
    problems: list[str] = []
    reader = Reader(data, "", problems)
    reader.read("version", "1", lambda value: value == 1, 1)
    if not reader.has("flavor"):
        reader.complain("flavor", "is missing")
    count = reader.whole("count", 1, least=1)
    request = RequestSpec(
        flavor=_flavor(reader.inner("flavor")),
        count=count,
        min_count=reader.whole("min", None, least=1),
        image=_image(reader),
        availability_zone=reader.text("availability_zone", None),
        host=reader.text("host", None),
        force_host=reader.text("force_host", None),
        ignore_hosts=frozenset(reader.names("ignore_hosts", ())),
        tried=frozenset(reader.names("tried_hosts", ())),
        group=reader.text("group", None),
        hints=reader.facts("hints"),
        labels=reader.texts("labels"),
        networks=reader.names("networks", ()),
        pool=reader.text("pool", None),
        names=reader.names("names", ()),
        project=reader.text("project", None),
        server=reader.text("server", None),
        seed=reader.read("seed", "a whole number or a text", _is_seed, 0),
    )
    if request.min_count is not None and request.min_count > count:
        reader.complain("min", f"must be at most the count of {count}, not {request.min_count}")
    reader.end()
    if problems:
        raise UsageError("\n".join(problems))
    return request


def answer(placement: Placement) -> dict[str, object]:
    """Write a placement as data: the hosts chosen, a verdict for each host, and why it failed.

    With a trace there are verdicts for each server, and each verdict bears the server's index.
    """
    if placement.trace:
        verdicts = [
            {"index": index, **_verdict(verdict)}
            for index, verdicts in enumerate(placement.trace)
            for verdict in verdicts
        ]
    else:
        verdicts = [_verdict(verdict) for verdict in placement.verdicts]
    return {
        "placements": [
            {
                "index": choice.index,
                "host": choice.host,
                "weight": choice.weight,
                "alternates": list(choice.alternates),
            }
            for choice in placement.choices
        ],
        "verdicts": verdicts,
        "failed": placement.failed,
    }


def _verdict(verdict: Verdict) -> dict[str, object]:
    refusal = verdict.refusal
    return {
        "host": verdict.host,
        "passed": verdict.passed,
        "filter": verdict.filter,
        "reason": None if refusal is None else refusal.reason,
        "need": None if refusal is None else _plain(refusal.need),
        "have": None if refusal is None else _plain(refusal.have),
        "weights": {name: score._asdict() for name, score in verdict.weights.items()},
    }


def _plain(number: float | None) -> float | None:
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _flavor(reader: Reader) -> FlavorSpec:
    flavor = FlavorSpec(
        name=reader.text("name", ""),
        vcpus=reader.whole("vcpus", 1),
        memory=reader.whole("memory_mb", 0),
        disk=reader.gib("disk_gb", 0),
        ephemeral=reader.gib("ephemeral_gb", 0),
        swap=reader.whole("swap_mb", 0),
        extra_specs=reader.texts("extra_specs"),
    )
    reader.end()
    return flavor


def _image(reader: Reader) -> ImageSpec | None:
    if not reader.has("image"):
        reader.skip("image")
        return None
    inner = reader.inner("image")
    image = ImageSpec(
        id=inner.text("id", None),
        name=inner.text("name", None),
        properties=inner.facts("properties"),
    )
    inner.end()
    return image


def _is_seed(value: object) -> bool:
    return type(value) in {int, str}
