"""Run every benchmark, or those named; each prints its figures, and one over its limit fails."""

from __future__ import annotations

import sys

from benchmarks import (
    create,
    fleet_values,
    inventory,
    placement,
    placement_growth,
    refresh,
    server_list,
    startup,
)

BENCHMARKS = {
    "startup": startup.run,
    "inventory": inventory.run,
    "fleet-values": fleet_values.run,
    "placement": placement.run,
    "placement-growth": placement_growth.run,
    "refresh": refresh.run,
    "server-list": server_list.run,
    "create": create.run,
}


def main() -> int:
    kept = True
    for name in sys.argv[1:] or BENCHMARKS:
        print(f"== {name}", flush=True)
        for figure in BENCHMARKS[name]():
            print(figure, flush=True)
            kept = kept and figure.kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
