"""`python -m tests.lab`: the lab at the command line."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.lab import demo, faults, foreign, lab, neighbour, stock
from tests.lab.host import inside, is_on, power_off, power_on
from tests.lab.images import debian_guest, small_guest
from tests.lab.plan import HostPlan, default_cache, default_root
from tests.lab.registry import one_at_a_time
from tests.lab.shell import LabError

HOST_VERBS: dict[str, Callable[[HostPlan], None]] = {
    "power-off": power_off,
    "power-on": power_on,
    "restart-libvirt": faults.restart_libvirt,
}
for _name, (_cause, _mend) in faults.FAULTS.items():
    HOST_VERBS[_name] = _cause
    HOST_VERBS[f"{_name}-undo"] = _mend
IMAGES = {"small": small_guest, "debian": debian_guest}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.lab", description=__doc__)
    parser.add_argument("--dir", type=Path, default=default_root(), help="the lab's folder")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="bring it up, or complete and heal it")
    up.add_argument("--hosts", type=int, default=3)
    verbs.add_parser("down", help="take it down without a trace")
    verbs.add_parser("status", help="which hosts there are")
    verbs.add_parser("stock", help="put the small guest and the operator's key into the catalog")
    verbs.add_parser("demo", help="bring it up and run the main job on it")
    verbs.add_parser("check-foreign", help="compare what is not ours with the beginning")
    for verb in HOST_VERBS:
        verbs.add_parser(verb).add_argument("host")
    heal = verbs.add_parser("heal", help="undo every fault but a power cut, of all hosts or some")
    heal.add_argument("hosts", nargs="*")
    image = verbs.add_parser("image", help="build a guest image if need be; print its path")
    image.add_argument("kind", choices=sorted(IMAGES))
    beside = verbs.add_parser("neighbour", help="let the neighbour on the LAN do something")
    beside.add_argument("words", nargs=argparse.REMAINDER)
    every = verbs.add_parser("each", help="run a command in every host; print it all as JSON")
    every.add_argument("command", nargs=argparse.REMAINDER)
    inner = verbs.add_parser("inside", help="run a command in a host as its root")
    inner.add_argument("host")
    inner.add_argument("command", nargs=argparse.REMAINDER)
    words = parser.parse_args(argv)
    try:
        return _act(words, words.dir.absolute())
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _act(words: argparse.Namespace, root: Path) -> int:
    match words.verb:
        case "up":
            began = time.monotonic()
            plan = lab.up(root, words.hosts)
            names = ", ".join(f"{h.name} ({h.login}@{h.address})" for h in plan.hosts[:6])
            more = f" and {plan.count - 6} more" if plan.count > 6 else ""
            print(f"lab: {names}{more} up in {time.monotonic() - began:.1f} s")
            print(f"lab: source {plan.root}/env.sh")
        case "down":
            print("lab: down" if lab.down(root) else "lab: there was none")
        case "status":
            plan = lab.current(root)
            for host in plan.hosts:
                behind = f" behind {host.behind}" if host.behind else ""
                state = "on" if is_on(host) else "off"
                print(f"{host.name}\t{state}\t{host.login}@{host.address}{behind}")
        case "demo":
            # Only bringing the lab up is root's work: what vmctl writes must be the caller's own.
            hosts = str(max(3, words_hosts(root)))
            up = [sys.executable, "-m", "tests.lab", "--dir", str(root), "up", "--hosts", hosts]
            subprocess.run(up, check=True)
            return demo.run(lab.current(root))
        case "stock":
            plan = lab.current(root)
            stock.fill(plan, demo.environ(plan))
        case "check-foreign":
            plan = lab.current(root)
            changed = [line for lines in lab.each(plan.hosts, foreign.compare) for line in lines]
            print("\n".join(changed) or "lab: what is not ours is as it was")
            return 1 if changed else 0
        case "heal":
            with one_at_a_time(root):
                plan = lab.current(root)
                lab.each([plan.host(one) for one in words.hosts] or plan.hosts, faults.heal)
        case "image":
            print(IMAGES[words.kind](default_cache()))
        case "neighbour":
            neighbour.enter(lab.current(root), words.words)
        case "each":
            plan = lab.current(root)
            said = lab.each(plan.hosts, lambda host: (host.name, inside(host, *words.command)))
            print(json.dumps(dict(said)))
        case "inside":
            print(inside(lab.current(root).host(words.host), *words.command), end="")
        case verb:
            with one_at_a_time(root):
                HOST_VERBS[verb](lab.current(root).host(words.host))
    return 0


def words_hosts(root: Path) -> int:
    """How many hosts the lab that is up has, so that a demo never shrinks it."""
    try:
        return lab.current(root).count
    except LabError:
        return 0


def as_root() -> None:
    """Namespaces are root's: become root by sudo, keeping what names the lab's folders."""
    if os.geteuid() == 0 or {"demo", "stock"} & set(sys.argv[1:]):
        return
    kept = [f"{k}={v}" for k, v in os.environ.items() if k.startswith("VMCTL_LAB_")]
    command = [sys.executable, "-m", "tests.lab", *sys.argv[1:]]
    os.execvp("sudo", ["sudo", "env", "PYTHONDONTWRITEBYTECODE=1", *kept, *command])  # noqa: S606


if __name__ == "__main__":
    as_root()
    sys.exit(main())
