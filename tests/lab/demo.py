"""The main job, shown on the lab: each command before its output."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.lab import stock
from tests.lab.operator import libvirt_uri
from tests.lab.plan import LabPlan


def run(plan: LabPlan) -> int:
    """Show the hosts as vmctl sees them, and that each answers over ssh and over libvirt."""
    stock.fill(plan, environ(plan))
    commands = [
        ("vmctl", "image", "list"),
        ("vmctl", "host", "list", "--refresh"),
        ("vmctl", "host", "check"),
        ("vmctl", "host", "show", plan.hosts[0].name, "-c", "guests", "-c", "pools", "-c", "os"),
    ]
    for host in plan.hosts[:3]:
        commands.append(("vmctl", "host", "ssh", host.name, "--", "uname", "-n"))
        commands.append(("virsh", "-c", libvirt_uri(plan, host), "list", "--all"))
    failed = [shlex.join(command) for command in commands if _show(plan, *command)]
    print(f"""
The lab is up. To go on by hand:
    source {plan.root}/env.sh
    vmctl host list
    ssh -F {plan.ssh_config} {plan.hosts[0].name}
    make lab-down""")
    for command in failed:
        print(f"failed: {command}", file=sys.stderr)
    return 1 if failed else 0


def environ(plan: LabPlan) -> dict[str, str]:
    """What env.sh makes of the caller's environment."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("VMCTL_", "OS_"))}
    return env | {
        "PATH": f"{Path(sys.executable).parent}:{env['PATH']}",
        "VMCTL_INVENTORY": f"{plan.root}/inventory.yaml",
        "VMCTL_DB": f"{plan.root}/state.db",
    }


def _show(plan: LabPlan, *argv: str) -> bool:
    """Run a command as a person would see it; say whether it failed."""
    print(f"\n$ {shlex.join(argv)}", flush=True)
    code = subprocess.run(argv, check=False, env=environ(plan), stdin=subprocess.DEVNULL).returncode
    return bool(code)
