"""Run every benchmark; each prints its figures and fails when one is over its limit."""

from __future__ import annotations

import sys

from benchmarks import inventory, refresh, startup

BENCHMARKS = (startup.main, inventory.main, refresh.main)


def main() -> int:
    return max(benchmark() for benchmark in BENCHMARKS)


if __name__ == "__main__":
    sys.exit(main())
