"""Servers on the lab: who makes them, and what of them is found on the hosts, by plain tools."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.lab import foreign, stock
from tests.lab.outside import Lab
from tests.lab.plan import lan_v6, network
from tests.lab.vmctl import Ended, Vmctl, argv
from tests.support.children import begun

FLAVOR = "nano"
ZONES = {"kvm1": "az1", "kvm2": "az2", "kvm3": "az1"}
LONG = 240
_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LOOK = """
virsh -q -c qemu:///system 'list --all --name; echo @@; vol-list default; echo @@; nwfilter-list;
    echo @@; net-dumpxml default'
printf @@
ls /var/lib/libvirt/images
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


def unleased(lab: Lab, *hosts: str) -> str:
    """An address on `default` that none of these has leased: a lease outlives its server."""
    leased = "".join(lab.virsh_ok(host, "net-dhcp-leases", "default") for host in hosts)
    free = (f"192.168.122.{last}" for last in range(100, 250))
    return next(one for one in free if f"{one}/" not in leased)


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

    def since(self, before: Left | None) -> Left:
        """What is there that was not there before."""
        if before is None:
            return self
        return Left(
            domains=self.domains - before.domains,
            volumes=self.volumes - before.volumes,
            filters=self.filters - before.filters,
            reserved=self.reserved - before.reserved,
            files=self.files - before.files,
        )


def left(lab: Lab, name: str) -> Left:
    """Look at a host as if at its keyboard."""
    return _left(lab.do("inside", name, "sh", "-c", _LOOK))


def lefts(lab: Lab) -> dict[str, Left]:
    """Look at every host."""
    return {name: _left(said) for name, said in lab.each(_LOOK).items()}


def _left(said: str) -> Left:
    domains, volumes, filters, net, files = said.split("@@")
    return Left(
        domains=frozenset(domains.split()) - {foreign.RUNNING, foreign.OFF},
        volumes=frozenset(one for one in volumes.split() if re.match(_UUID, one)),
        filters=frozenset(one for one in filters.split() if one.startswith("vmctl-")),
        reserved=frozenset(re.findall(r"<host mac='(52:54:00:(?!f0:)[^']+)'", net)),
        files=frozenset(one for one in files.split() if re.match(_UUID, one)),
    )


def assert_clean(lab: Lab, *names: str) -> None:
    """See to it that nothing of ours is on the hosts, and what is others' is as it was."""
    for name, found in lefts(lab).items():
        assert not (found and (not names or name in names)), (name, found)
    lab.do("check-foreign")


def wipe(lab: Lab) -> None:
    """Take everything of ours off the hosts, for the sake of the tests that follow.

    It proves nothing: it works with plain virsh, whatever any record says.
    """
    for name, found in lefts(lab).items():
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
            lab.do("inside", name, "sh", "-c", "\n".join([*script, "true"]))


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


@contextmanager
def limited(lab: Lab, **hosts: int) -> Iterator[Path]:
    """An inventory of only these hosts, each with so many MiB of memory."""
    inventory = yaml.safe_load((lab.root / "inventory.yaml").read_text())
    inventory["hosts"] = {name: inventory["hosts"][name] for name in hosts}
    for name, memory in hosts.items():
        inventory["hosts"][name]["capacity"] |= {"memory": f"{memory}MiB", "vcpus": 32}
    file = lab.root / "limited.yaml"  # what it refers to is looked for beside it
    file.write_text(yaml.safe_dump(inventory))
    yield file
    file.unlink()


class Running:
    """A run that goes on while the test looks at what it says."""

    def __init__(self, mine: Vmctl, *words: str, **environ: str) -> None:
        self.words = " ".join(words)
        self._files = [mine.home / f"{uuid.uuid4().hex}.{end}" for end in ("out", "err")]
        out, err = (file.open("wb") for file in self._files)
        with out, err:
            self.process: subprocess.Popen[bytes] = begun(
                argv(*words),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=mine.environ | environ,
                cwd=mine.home,
            )

    @property
    def err(self) -> str:
        return self._files[1].read_text()

    def says(self, wanted: str) -> None:
        """Wait until it says this at the beginning of a line."""
        while f"\n{wanted}" not in f"\n{self.err}":
            code = self.process.poll()
            assert code is None or f"\n{wanted}" in f"\n{self.err}", (code, self.err)
            time.sleep(0.02)

    def end(self, seconds: float = LONG) -> Ended:
        """Wait for its end."""
        self.process.wait(seconds)
        print(f"{self.process.returncode:3}  {self.words}\n{self.err}")
        out = self._files[0].read_text()
        return Ended(code=self.process.returncode, out=out, err=self.err, took=0)


def until(what: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.1)
