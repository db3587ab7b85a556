"""Time and memory as hosts and servers grow by tens, as a table and a plot in docs/.

`python -m benchmarks.placement_growth` writes docs/placement-speed.md and its plot anew.
"""

from __future__ import annotations

import multiprocessing
import platform
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Figure
from benchmarks.fleets import a_request, mixed, uniform
from benchmarks.plot import Series, log_plot
from vmctl.scheduler.engine import place
from vmctl.scheduler.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from vmctl.domain.fleet import Fleet

DOCS = Path(__file__).parents[1] / "docs"
HOSTS = (10, 100, 1_000, 10_000)
SERVERS = (1, 10, 100, 1_000, 10_000)
KINDS = {"mixed": mixed, "uniform": uniform}

Measured = dict[tuple[str, int, int], tuple[float, float, bool]]


def run() -> Iterator[Figure]:
    for (kind, hosts, servers), (seconds, mebibytes, _) in measure(HOSTS, SERVERS[:-1]).items():
        name = f"{kind}, {hosts:,} hosts × {servers:,} servers"
        yield Figure(name=name, value=seconds, unit="s")
        if servers == SERVERS[-2]:
            yield Figure(name=f"{name}, memory", value=mebibytes, unit="MiB")


def measure(all_hosts: tuple[int, ...], all_servers: tuple[int, ...]) -> Measured:
    """Place in a process of its own each: what it grows by is what placing takes."""
    measured: Measured = {}
    for kind, make in KINDS.items():
        for hosts in all_hosts:
            fleet = make(hosts)
            for servers in all_servers:
                ours, theirs = multiprocessing.Pipe(duplex=False)
                context = multiprocessing.get_context("fork")
                child = context.Process(target=_child, args=(theirs, fleet, servers))
                child.start()
                measured[kind, hosts, servers] = ours.recv()
                child.join()
    return measured


def _child(answer: Connection, fleet: Fleet, servers: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    placement = place(a_request(servers), fleet, Policy())
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer.send((seconds, (after - before) / 1024, placement.failed is None))


def write(measured: Measured) -> None:
    """Write the table and the plot."""
    lines = [
        "# How long placing takes",
        "",
        "Written by `python -m benchmarks.placement_growth`: one request under the default policy,",
        f"on Python {platform.python_version()}. Seconds, and in brackets the MiB that a process",
        "of its own grew by. A request that does not fit as a whole ends where the room does (*).",
        "`make bench` holds the engine against the plain loop, in one run.",
        "",
        "![Seconds by hosts, for each number of servers](placement-speed.svg)",
    ]
    for kind in KINDS:
        lines += ["", f"## A {kind} fleet", ""]
        lines.append("| Hosts | " + " | ".join(_servers(n) for n in SERVERS) + " |")
        lines.append("|---:|" + "---:|" * len(SERVERS))
        for hosts in HOSTS:
            cells = [_cell(*measured[kind, hosts, servers]) for servers in SERVERS]
            lines.append(f"| {hosts:,} | " + " | ".join(cells) + " |")
    DOCS.joinpath("placement-speed.md").write_text("\n".join(lines) + "\n")
    series = [
        Series(
            name=f"{_servers(servers)}, {kind}",
            points=tuple((hosts, measured[kind, hosts, servers][0]) for hosts in HOSTS),
            dashed=kind == "uniform",
            colour=index,
        )
        for index, servers in enumerate(SERVERS)
        for kind in KINDS
    ]
    plot = log_plot(series, across="hosts", up="seconds", title="Placing servers: time by hosts")
    DOCS.joinpath("placement-speed.svg").write_text(plot)


def _servers(number: int) -> str:
    return "1 server" if number == 1 else f"{number:,} servers"


def _cell(seconds: float, mebibytes: float, whole: bool) -> str:  # noqa: FBT001 -- a row's parts
    words = f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}"
    return f"{words} ({mebibytes:.0f}){'' if whole else ' *'}"


if __name__ == "__main__":
    write(measure(HOSTS, SERVERS))
