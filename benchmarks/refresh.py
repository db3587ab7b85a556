"""What asking 40 real hosts costs, against a bare loop over Fabric that runs `true` on them.

The start of vmctl does not count: both are timed in a process that has loaded what it needs, from
the first word of the command to the last of its output. The inventory and the record are read, the
samples are kept and the list is written within that time. What a user waits for, the start of
Python and all imports included, is told beside it.

All the hosts, their sshd and their libvirtd, are this one machine, so that a process on a host is
paid for here. A third loop tells what that makes of the least that a look at libvirt can be: Fabric
alone, that runs one virsh for `true`, and asks it for nothing but the list of machines.
"""

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
WORDS = ["host", "list", "--refresh", "-f", "value", "-c", "State"]
VMCTL = [sys.executable, "-m", "vmctl"]
LEAST = "virsh -q -c qemu:///system list --all"
TIMED = f"""
import sys, time
import vmctl.adapters.prober, vmctl.adapters.ssh, vmctl.adapters.store, vmctl.services.fanout
from vmctl.__main__ import main
sys.argv = ["vmctl", "host", "list", "-f", "csv"]
main()
sys.argv = ["vmctl", *{WORDS!r}]
began = time.monotonic()
code = main()
print(time.monotonic() - began, file=sys.stderr)
sys.exit(code)
"""
"""A list from the record loads what lists have in common, and then the refresh is timed."""


def bare_loop(lab: Lab, command: str = "true") -> float:
    """Seconds in which plain Fabric runs a command on every host, as many at a time as vmctl."""
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
            line = f"sudo -n {command}" if command != "true" and host.login == "admin" else command
            # sshd drops some of many connects at once: whoever loops over it tries again.
            for attempt in range(5):
                gateway = connection(jump) if host.behind else None
                try:
                    with connection(host, gateway) as made:
                        made.run(line, hide=True, in_stream=False)
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


def refresh(env: dict[str, str]) -> tuple[float, float]:
    """Seconds of `vmctl host list --refresh` in a process that has loaded it, and on its own."""
    loaded = _run([sys.executable, "-c", TIMED], env)
    began = time.monotonic()
    whole = _run([*VMCTL, *WORDS], env)
    took = time.monotonic() - began
    for done in (loaded, whole):
        states = done.stdout.split()[-HOSTS:]
        if states != ["up"] * HOSTS:
            raise RuntimeError(f"not all hosts are up: {states}{done.stderr}")
    return float(loaded.stderr), took


def _run(words: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, env=env, cwd=CHECKOUT, capture_output=True, text=True, check=True)


def run() -> list[Figure]:
    """Measure on a lab of its own."""
    (CHECKOUT / ".lab").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CHECKOUT / ".lab") as folder:
        lab = Lab(root=Path(folder) / "lab")
        try:
            plain(*lab.command("up", "--hosts", str(HOSTS)), seconds=300)
            return measure(lab, folder)
        finally:
            plain(*lab.command("down"), seconds=120)


def measure(lab: Lab, folder: str) -> list[Figure]:
    """Measure on a lab that is up, with this home folder."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": folder,
        "VMCTL_INVENTORY": f"{lab.root}/inventory.yaml",
        "VMCTL_DB": f"{folder}/state.db",
    }
    refresh(env)  # the first look at a host asks for its guests twice
    bare_loop(lab)
    rounds = [(bare_loop(lab), bare_loop(lab, LEAST), *refresh(env)) for _ in range(ROUNDS)]
    bare, least, loaded, whole = (statistics.median(column) for column in zip(*rounds, strict=True))
    return [
        Figure(name=f"bare Fabric loop over {HOSTS} hosts", value=bare, unit="s"),
        Figure(name="the same with one virsh on each", value=least, unit="s"),
        Figure(name="host list --refresh over the same, once loaded", value=loaded, unit="s"),
        Figure(name="with its start, as a user waits", value=whole, unit="s"),
        Figure(
            name="one virsh on each, against the bare loop",
            value=statistics.median(row[1] / row[0] for row in rounds),
            unit="x",
        ),
        Figure(
            name="host list --refresh, against the bare loop",
            value=statistics.median(row[2] / row[0] for row in rounds),
            unit="x",
            at_most=LIMIT,
        ),
    ]
