"""What asking 40 real hosts costs, against a bare loop over Fabric that runs `true` on them."""

from __future__ import annotations

import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.figures import Figure
from tests.lab.outside import Lab, plain
from tests.lab.plan import CHECKOUT, HostPlan

HOSTS, ROUNDS, LIMIT = 40, 5, 1.3
AT_ONCE = 32
VMCTL = [sys.executable, "-m", "vmctl"]
LOADED = ("vmctl.adapters.ssh", "vmctl.adapters.store")
"""What a refresh loads and a list from the record does not: Fabric and SQLAlchemy."""


def bare_loop(lab: Lab) -> float:
    """Seconds in which plain Fabric runs `true` on every host, as many at a time as vmctl."""
    from fabric import Connection
    from paramiko import RejectPolicy

    waiting: queue.SimpleQueue[HostPlan] = queue.SimpleQueue()
    failures: list[Exception] = []
    jump = lab.host("kvm1")
    for host in lab.hosts:
        waiting.put(host)

    def connection(host: HostPlan, gateway: Connection | None = None) -> Connection:
        keys = {"key_filename": str(lab.plan.key), "look_for_keys": False, "allow_agent": False}
        made = Connection(host.address, user=host.login, connect_kwargs=keys, gateway=gateway)
        made.client.load_host_keys(str(lab.plan.known_hosts))
        made.client.set_missing_host_key_policy(RejectPolicy())
        return made

    def work() -> None:
        while True:
            try:
                host = waiting.get_nowait()
            except queue.Empty:
                return
            # sshd drops some of many connects at once: whoever loops over it tries again.
            for attempt in range(5):
                gateway = connection(jump) if host.behind else None
                try:
                    with connection(host, gateway) as made:
                        made.run("true", hide=True, in_stream=False)
                    break
                except Exception as error:  # noqa: BLE001 - whatever it is, it is raised below
                    time.sleep(0.1 * (attempt + 1))
                    if attempt == 4:
                        failures.append(error)
                finally:
                    if gateway is not None:
                        gateway.close()

    began = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return time.monotonic() - began


def refresh(env: dict[str, str]) -> float:
    """Seconds of `vmctl host list --refresh`."""
    began = time.monotonic()
    words = [*VMCTL, "host", "list", "--refresh", "-f", "value", "-c", "State"]
    done = subprocess.run(words, env=env, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    took = time.monotonic() - began
    if done.stdout.split() != ["up"] * HOSTS:
        raise RuntimeError(f"not all hosts are up: {done.stdout.split()}{done.stderr}")
    return took


def start(env: dict[str, str], *libraries: str) -> float:
    """Seconds that vmctl takes to start and to list from the record, with these modules loaded.

    What a refresh loads before it asks the first host is its start too, as Fabric's import is no
    part of the bare loop's time.
    """
    code = "".join(f"import {name}; " for name in libraries)
    code += "import sys; from vmctl.__main__ import main; sys.exit(main())"
    began = time.monotonic()
    words = [sys.executable, "-c", code, "host", "list"]
    subprocess.run(words, env=env, cwd=CHECKOUT, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def run() -> list[Figure]:
    """Measure on a lab of its own."""
    with tempfile.TemporaryDirectory(dir=CHECKOUT / ".lab") as folder:
        lab = Lab(root=Path(folder) / "lab")
        try:
            plain(*lab.command("up", "--hosts", str(HOSTS)), seconds=300)
            env = {
                "PATH": os.environ["PATH"],
                "HOME": folder,
                "VMCTL_INVENTORY": f"{lab.root}/inventory.yaml",
                "VMCTL_DB": f"{folder}/state.db",
            }
            refresh(env)  # the first look at a host asks for its guests twice
            bare_loop(lab)
            rounds = [
                (bare_loop(lab), refresh(env), start(env), start(env, *LOADED))
                for _ in range(ROUNDS)
            ]
        finally:
            plain(*lab.command("down"), seconds=120)
    bare, whole, listing, started = (
        statistics.median(column) for column in zip(*rounds, strict=True)
    )
    ratio = statistics.median((w - s) / b for b, w, _, s in rounds)
    strict = statistics.median((w - s) / b for b, w, s, _ in rounds)
    return [
        Figure(name=f"bare Fabric loop over {HOSTS} hosts", value=bare, unit="s"),
        Figure(name="host list --refresh over the same", value=whole, unit="s"),
        Figure(name="of which listing from the record", value=listing, unit="s"),
        Figure(name="the same with its libraries loaded", value=started, unit="s"),
        Figure(name="all but the listing, against the bare loop", value=strict, unit="x"),
        Figure(
            name="all but the start, against the bare loop", value=ratio, unit="x", at_most=LIMIT
        ),
    ]
