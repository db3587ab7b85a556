"""What reading an inventory costs in CPU time, as a multiple of `python -c pass` in one run."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figure

ROUNDS = 9
READ = "from vmctl.adapters.inventory import check_inventory as f; f({path!r})"
KEPT = "from vmctl.adapters.inventory import load_inventory as f; f({path!r}, {cache!r})"
NAMES = "from vmctl.adapters.inventory import known_names as f; f({path!r}, {cache!r}, 'hosts')"

CASES = (
    ("5,000 hosts, each with settings", "plain", 5000, READ, 70.0),
    ("5,000 hosts in 50 ranges", "ranges", 5000, READ, 25.0),
    ("5,000 hosts, kept", "plain", 5000, KEPT, 12.0),
    ("500 hosts, kept", "plain", 500, KEPT, 6.0),
    ("names of 500 hosts, kept", "plain", 500, NAMES, 4.0),
)


def plain(count: int) -> str:
    """One entry for each host, as a generated inventory has."""
    lines = ["defaults: {user: ops, become: sudo}", "hosts:"]
    lines += [
        f"  kvm{at:05}: {{address: 10.{at // 200}.{at % 200}.1, zone: az{at % 3},"
        f" labels: {{rack: r{at % 40}}}, capacity: {{memory: 256GiB, vcpus: 64}}}}"
        for at in range(count)
    ]
    return "\n".join(lines)


def ranges(count: int) -> str:
    """A range for each rack of a hundred."""
    lines = ["hosts:"]
    lines += [
        f"  r{rack}-kvm[001:100]: {{address: '10.0.{rack}.{{n}}', labels: {{rack: r{rack}}}}}"
        for rack in range(count // 100)
    ]
    return "\n".join(lines)


def run() -> list[Figure]:
    """Measure every case, each as a multiple of an empty Python."""
    floor = _cpu("pass")
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name, shape, count, code, limit in CASES:
            path = Path(folder) / f"{shape}{count}.yaml"
            path.write_text({"plain": plain, "ranges": ranges}[shape](count), encoding="utf-8")
            cost = _cpu(code.format(path=str(path), cache=folder))
            figures.append(
                Figure(name=name, value=cost / floor, unit="x python -c pass", at_most=limit)
            )
    return figures


def _cpu(code: str) -> float:
    samples = []
    for _ in range(ROUNDS + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        samples.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(samples[1:])  # the first one made bytecode, or the record
