"""The main job, shown on the lab: each command before its output, and what is proven at the end."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.lab import stock
from tests.lab.operator import libvirt_uri
from tests.lab.outside import Lab, plain
from tests.lab.plan import LabPlan
from tests.lab.servers import Left, lefts

GROUP, FLAVOR = "spread", "m1.nano"


def run(plan: LabPlan) -> int:
    """Show hosts, and the main job on all of them: from the words to a guest, and nothing left."""
    stock.fill(plan, environ(plan))
    _clear(plan)
    before = lefts(Lab(root=plan.root))
    key = str(plan.key)
    names = [f"demo-{index}" for index in range(1, min(len(plan.hosts), 3) + 1)]
    create = (
        *("vmctl", "server", "create", "--flavor", FLAVOR, "--image", "mini", "--key-name", "lab"),
        *("--server-group", GROUP, "--min", str(len(names)), "--wait-for", "ssh", "demo"),
    )
    commands: list[tuple[str, ...]] = [
        ("vmctl", "host", "list", "--refresh"),
        ("vmctl", "host", "check"),
        ("vmctl", "flavor", "create", "--ram", "128", "--disk", "1", FLAVOR),
        ("vmctl", "server", "group", "create", "--policy", "anti-affinity", GROUP),
        create if len(names) > 1 else (*create[:-1], names[0]),
        ("vmctl", "server", "list", "--long", "-c", "Name", "-c", "Status", "-c", "Host",
         "-c", "Networks"),
        ("vmctl", "server", "show", names[0], "-c", "status", "-c", "addresses", "-c", "image",
         "-c", "flavor", "-c", "vmctl:attempts"),
        ("vmctl", "placement", "explain", names[0]),
        *(("vmctl", "ssh", name, "-i", key, "--", "uname", "-n") for name in names),
        ("vmctl", "console", "log", "show", names[0], "--lines", "4"),
        ("vmctl", "server", "event", "list", names[0]),
        ("vmctl", "server", "delete", *names),
        ("vmctl", "server", "list"),
        ("vmctl", "image", "cache", "prune"),
    ]  # fmt: skip
    for host in plan.hosts[:3]:
        commands.append(("virsh", "-c", libvirt_uri(plan, host), "list", "--all"))
        commands.append(("virsh", "-c", libvirt_uri(plan, host), "vol-list", "default"))
    failed = [shlex.join(command) for command in commands if _show(plan, *command)]
    failed += prove(Lab(root=plan.root), before)
    _clear(plan)
    print(f"""
The lab is up. To go on by hand:
    source {plan.root}/env.sh
    vmctl server create --flavor m1.tiny --image mini --key-name lab web
    vmctl ssh web -i {key}
    make lab-down""")
    for command in failed:
        print(f"failed: {command}", file=sys.stderr)
    return 1 if failed else 0


def prove(lab: Lab, before: dict[str, Left]) -> list[str]:
    """Look at each host as if at its keyboard; say what of the demo is left, or is changed."""
    print()
    wrong = []
    for name, found in lefts(lab).items():
        # Somebody who went on by hand has servers of their own there.
        new = found.since(before.get(name))
        if new:
            wrong.append(f"{name}: left of the demo: {new}")
        else:
            print(f"proven: {name} has no domain, volume, packet filter or DHCP promise of it left")
    changed = plain(*lab.command("check-foreign"), seconds=120)
    if changed.returncode:
        wrong.append(f"what is not ours is not as it was: {changed.stdout}{changed.stderr}")
    else:
        print("proven: what was there before vmctl is byte for byte as it was, on every host")
    return wrong


def _clear(plan: LabPlan) -> None:
    """Take away what a demo before this one made, so that each begins alike."""
    for words in (
        ("server", "delete", "--ignore-missing", "demo", "demo-1", "demo-2", "demo-3"),
        ("server", "group", "delete", GROUP),
        ("flavor", "delete", FLAVOR),
    ):
        subprocess.run(
            ["vmctl", *words], check=False, env=environ(plan), capture_output=True, text=True
        )


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
