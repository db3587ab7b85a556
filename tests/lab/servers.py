"""Servers on the lab: who makes them, and what of them is found on the hosts, by plain tools."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.lab import foreign, stock
from tests.lab.outside import Lab
from tests.lab.plan import lan_v6, network
from tests.lab.vmctl import Ended, Vmctl

FLAVOR = "nano"
ZONES = {"kvm1": "az1", "kvm2": "az2", "kvm3": "az1"}
LONG = 240
_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LOOK = """
virsh -q -c qemu:///system list --all --name
echo --
virsh -q -c qemu:///system vol-list default | awk '{print $1}'
ls /var/lib/libvirt/images
echo --
virsh -q -c qemu:///system nwfilter-list | awk '{print $2}'
echo --
virsh -q -c qemu:///system net-dumpxml default
echo --
ls /var/lib/libvirt/qemu/nvram /var/lib/libvirt/qemu/save 2>/dev/null; true
"""


def operator(lab: Lab, home: Path, model: Path | None = None) -> Vmctl:
    """An operator with a database of their own, the small guest, a key and a tiny flavor.

    A model is the home of another one, which is copied: that spares seconds, not the database.
    """
    if model is not None:
        shutil.copytree(model, home)
    home.mkdir(exist_ok=True)
    mine = Vmctl(lab=lab, home=home, inventory=lab.root / "inventory.yaml")
    if model is None:
        stock.put(mine.ok, lab.plan.key.with_suffix(".pub"))
        mine.ok("flavor", "create", FLAVOR, "--ram", "128", "--disk", "1")
    return mine


def create_words(name: str, *words: str, on: str | None = None) -> list[str]:
    """The words of a create of the small guest, forced onto a host if one is named."""
    place = ["--availability-zone", f"{ZONES[on]}:{on}"] if on else []
    return ["server", "create", name, "--flavor", FLAVOR, "--image", stock.IMAGE, *place, *words]


def create(mine: Vmctl, name: str, *words: str, on: str | None = None, **environ: str) -> Ended:
    """Create and wait for the end."""
    return mine(*create_words(name, *words, on=on), seconds=LONG, **environ)


def servers(mine: Vmctl) -> dict[str, dict[str, Any]]:
    """What the list says, by name."""
    return {
        row["Name"]: row for row in json.loads(mine.ok("server", "list", "--long", "-f", "json"))
    }


def show(mine: Vmctl, name: str) -> dict[str, Any]:
    """All that is told of one server."""
    found: dict[str, Any] = json.loads(mine.ok("server", "show", name, "-f", "json"))
    return found


def owed(mine: Vmctl) -> list[dict[str, Any]]:
    """The operations that are not over."""
    found: list[dict[str, Any]] = json.loads(mine.ok("operation", "list", "-f", "json"))
    return found


@dataclass(frozen=True, kw_only=True)
class Left:
    """What is on one host that is neither foreign nor a base image."""

    domains: frozenset[str]
    volumes: frozenset[str]
    filters: frozenset[str]
    reserved: frozenset[str]
    files: frozenset[str]

    def __bool__(self) -> bool:
        return any((self.domains, self.volumes, self.filters, self.reserved, self.files))


def left(lab: Lab, name: str) -> Left:
    """Look at a host as if at its keyboard."""
    said = lab.do("inside", name, "sh", "-c", _LOOK)
    domains, volumes, filters, net, files = said.split("--\n")
    return Left(
        domains=frozenset(domains.split()) - {foreign.RUNNING, foreign.OFF},
        volumes=frozenset(one for one in volumes.split() if re.match(_UUID, one)),
        filters=frozenset(one for one in filters.split() if one.startswith("vmctl-")),
        reserved=frozenset(re.findall(r"<host mac='(52:54:00:(?!f0:)[^']+)'", net)),
        files=frozenset(one for one in files.split() if re.match(_UUID, one)),
    )


def assert_clean(lab: Lab, *names: str) -> None:
    """See to it that nothing of ours is on the hosts, and what is others' is as it was."""
    for host in lab.hosts:
        if not names or host.name in names:
            found = left(lab, host.name)
            assert not found, (host.name, found)
    lab.do("check-foreign")


def wipe(lab: Lab) -> None:
    """Take everything of ours off the hosts, for the sake of the tests that follow.

    It proves nothing: it works with plain virsh, whatever any record says.
    """
    for host in lab.hosts:
        found = left(lab, host.name)
        script = [
            *(f"virsh -q destroy {one}" for one in found.domains),
            *(f"virsh -q undefine {one} --managed-save --nvram" for one in found.domains),
            *(f"virsh -q vol-delete --pool default {one}" for one in found.volumes),
            *(f"virsh -q nwfilter-undefine {one}" for one in found.filters),
            *(
                f"virsh -q net-update default delete ip-dhcp-host \"<host mac='{mac}'/>\""
                " --live --config"
                for mac in found.reserved
            ),
        ]
        if script:
            lab.do("inside", host.name, "sh", "-c", "\n".join([*script, "true"]))


def records(lab: Lab, name: str) -> list[dict[str, Any]]:
    """Of each server of ours on a host: name, MiB, MACs and addresses, as its definition says."""
    found = []
    prefix = network(lab.plan.lab, "lan")
    for domain in sorted(left(lab, name).domains):
        xml = lab.do("inside", name, "virsh", "-q", "-c", "qemu:///system", "dumpxml", domain)
        memory = re.search(r"<memory unit='KiB'>(\d+)</memory>", xml)
        assert memory is not None
        found.append(
            {
                "name": domain,
                "memory": int(memory[1]) // 1024,
                "macs": re.findall(r"<mac address='([^']+)'", xml),
                "addresses": sorted(set(re.findall(rf"{re.escape(prefix)}\.1\d\d(?!\d)", xml))),
            }
        )
    return found


def lan(lab: Lab, number: int) -> tuple[str, str]:
    """The two addresses of a number on the guests' LAN."""
    return f"{network(lab.plan.lab, 'lan')}.{number}", f"{lan_v6(lab.plan.lab)}{number}"


def limited(mine: Vmctl, **hosts: str) -> Vmctl:
    """The same operator with only these hosts, each with so much memory: `kvm1="1GiB"`."""
    import yaml

    root = mine.lab.root
    inventory = yaml.safe_load((root / "inventory.yaml").read_text())
    inventory["hosts"] = {name: inventory["hosts"][name] for name in hosts}
    for name, memory in hosts.items():
        inventory["hosts"][name]["capacity"] |= {"memory": memory, "vcpus": 32}
    file = root / f"{mine.home.name}.yaml"  # what it refers to is looked for beside it
    file.write_text(yaml.safe_dump(inventory))
    return replace(mine, inventory=file)


def finish(started: subprocess.Popen[str], seconds: float = LONG) -> Ended:
    """Wait for a run that was started."""
    out, err = started.communicate(timeout=seconds)
    print(f"{started.returncode:3}  {' '.join(map(str, started.args))[-120:]}\n{err}")  # type: ignore[arg-type]  # a list
    return Ended(code=started.returncode, out=out, err=err, took=0)


def until(what: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.1)
