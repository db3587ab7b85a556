"""Bringing the lab up and taking it down; both may be run at any time, after any crash."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.lab import faults, foreign, operator, registry, wire
from tests.lab.host import is_on, make_files, power_off, power_on
from tests.lab.plan import MAX_HOSTS, HostPlan, LabPlan, prefix
from tests.lab.shell import LabError, kill_all, namespaces

PLAN_FILE = "lab.json"
AT_ONCE = 8
T = TypeVar("T")
R = TypeVar("R")


def up(root: Path, count: int) -> LabPlan:
    """Bring up a lab of so many hosts, or complete and heal the one that is there."""
    if not 1 <= count <= MAX_HOSTS:
        raise LabError(f"a lab has 1 to {MAX_HOSTS} hosts, not {count}")
    with registry.one_at_a_time(root):
        wire.need_kernel()
        number, remains = registry.take_number(root)
        if remains:
            _clear(number)
        before = _read(root)
        # Fewer hosts than before: the others end, and their files with them.
        for host in before.hosts if before else ():
            if host.number > count or (before and before.count != count):
                power_off(host)
            if host.number > count:
                shutil.rmtree(host.dir, ignore_errors=True)
        plan = LabPlan(lab=number, root=root, count=count)
        (root / PLAN_FILE).write_text(json.dumps({"lab": number, "count": count}))
        wire.lay_wire(number)
        public = operator.make_key(plan)
        operator.hand_over(plan)

        def bring_up(host: HostPlan) -> None:
            faults.heal(host)
            if is_on(host):
                # An `up` that was killed here left a host on, and nothing known of it.
                foreign.remember(host)
                return
            # Whatever half-started is there ends first, so that every start begins from nothing.
            power_off(host)
            foreign.write_provision(host)
            make_files(host, public)
            power_on(host)
            foreign.remember(host)

        each(plan.hosts, bring_up)
        operator.write_files(plan)
        operator.hand_over(plan)
        return plan


def down(root: Path) -> bool:
    """Take the lab in this folder down, whole or half; say whether there was one."""
    if not root.exists():
        return False
    with registry.one_at_a_time(root):
        number = registry.number_of(root)
        if number is not None:
            _clear(number)
            registry.forget(number)
        for name in ("hosts", "keys", "leases", "images"):
            shutil.rmtree(root / name, ignore_errors=True)
        # What vmctl has on record of these hosts is about no other ones.
        for state in root.glob("state.db*"):
            state.unlink()
        for name in (PLAN_FILE, *operator.FILES):
            (root / name).unlink(missing_ok=True)
        return number is not None


def current(root: Path) -> LabPlan:
    """The lab that is up in this folder."""
    plan = _read(root)
    if plan is None or registry.number_of(root) != plan.lab:
        raise LabError(f"no lab is up in {root}: 'make lab-up' brings one up")
    return plan


def is_up(root: Path) -> bool:
    """Whether a whole lab is up in this folder."""
    plan = _read(root)
    if plan is None or registry.number_of(root) != plan.lab:
        return False
    return all(is_on(host) for host in plan.hosts)


def _read(root: Path) -> LabPlan | None:
    try:
        found = json.loads((root / PLAN_FILE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return LabPlan(lab=found["lab"], root=root, count=found["count"])


def _clear(number: int) -> None:
    """Remove every process, namespace and link that bears this lab's prefix."""
    mine = [name for name in namespaces() if name.startswith(prefix(number))]
    each(mine, kill_all)
    for name in mine:
        wire.unplug(name)
    wire.remove_links(number)


def each(things: Sequence[T], act: Callable[[T], R]) -> list[R]:
    """Act on all of them, some at a time, and fail with every failure there was."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = [pool.submit(act, thing) for thing in things]
    failures = [str(o.exception()) for o in outcomes if o.exception()]
    if failures:
        raise LabError("\n".join(failures))
    return [one.result() for one in outcomes]
