"""The engine against the plain loop, in one run, and how long single questions take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from benchmarks.figures import Figure
from benchmarks.fleets import a_request, mixed, uniform
from tests.support.naive_placement import naive_place
from vmctl.scheduler.capacity import capacity
from vmctl.scheduler.engine import place
from vmctl.scheduler.fleet_data import fleet_data
from vmctl.scheduler.fleet_file import fleet_from
from vmctl.scheduler.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vmctl.domain.fleet import Fleet

HOSTS, SERVERS, SAMPLE = 10_000, 1_000, 5
T = TypeVar("T")


def run() -> Iterator[Figure]:
    for kind, make in (("mixed", mixed), ("uniform", uniform)):
        yield from _against_the_plain_loop(kind, make(HOSTS))
    small = mixed(1000)
    once = min(_timed(lambda: place(a_request(1), small, Policy()))[0] for _ in range(5))
    yield Figure(name="1,000 hosts × 1 server", value=once * 1000, unit="ms", at_most=20)
    data = fleet_data(mixed(HOSTS), Policy())
    seconds, _ = _timed(lambda: fleet_from(data))
    yield Figure(name="10,000 hosts read from a loaded fleet file", value=seconds, unit="s")
    large = mixed(HOSTS)
    seconds, _ = _timed(lambda: capacity(a_request(1), large, Policy()))
    yield Figure(name="capacity of 10,000 hosts", value=seconds, unit="s")


def _against_the_plain_loop(kind: str, fleet: Fleet) -> Iterator[Figure]:
    """The plain loop's time for all servers is told from a few: each costs it the same."""
    name = f"{len(fleet.hosts):,} hosts × {SERVERS:,} servers, {kind}"
    engine, placed = min(
        (_timed(lambda: place(a_request(SERVERS), fleet, Policy())) for _ in range(2)),
        key=lambda each: each[0],
    )
    first, _ = _timed(lambda: naive_place(a_request(1), fleet, Policy()))
    some, plain = _timed(lambda: naive_place(a_request(SAMPLE), fleet, Policy()))
    if [each.host for each in placed.choices[:SAMPLE]] != [each.host for each in plain.choices]:
        raise AssertionError("the engine and the plain loop disagree")
    # A request for several ends with one round more, for the alternates.
    each = (some - first) / SAMPLE
    loop = first + each * SERVERS
    yield Figure(name=f"{name}: engine", value=engine, unit="s", at_most=2)
    yield Figure(name=f"{name}: plain loop, extrapolated", value=loop, unit="s")
    yield Figure(name=f"{name}: times faster", value=loop / engine, unit="×", at_least=50)


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result
