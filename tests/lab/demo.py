"""The main job, shown on the lab: each command before its output."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from tests.lab.operator import libvirt_uri
from tests.lab.plan import LabPlan


def run(plan: LabPlan) -> int:
    """Show that each host answers over ssh and over libvirt; say how to go on by hand."""
    config = str(plan.ssh_config)
    failed = False
    for host in plan.hosts[:3]:
        failed |= _show("ssh", "-F", config, host.name, "uname -n; id -un")
        failed |= _show("virsh", "-c", libvirt_uri(plan, host), "list", "--all")
    print(f"""
The lab is up. To go on by hand:
    source {plan.root}/env.sh
    ssh -F {plan.ssh_config} {plan.hosts[0].name}
    make lab-down""")
    return 1 if failed else 0


def _show(*argv: str) -> bool:
    """Run a command as a person would see it; say whether it failed."""
    print(f"\n$ {shlex.join(argv)}", flush=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith("VMCTL_")}
    code = subprocess.run(argv, check=False, env=env, stdin=subprocess.DEVNULL).returncode
    if code:
        print(f"exit code {code}", file=sys.stderr)
    return bool(code)
