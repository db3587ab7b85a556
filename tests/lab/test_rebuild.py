"""A lost database made anew from what stands on real hosts, and a host that never comes back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.lab.bases import clear
from tests.lab.outside import Lab, image
from tests.lab.vmctl import Ended, Vmctl

HOSTS = ("kvm1", "kvm2", "kvm3")
PATIENCE = 240.0

_OURS = """
virsh -q list --all --uuid | while read -r uuid; do
    virsh dumpxml "$uuid" | grep -q urn:vmctl:server && virsh domname "$uuid"
done
virsh -q vol-list default | sed -nE 's/^ *([0-9a-f-]{36}-[^ ]*) .*/\\1/p'
virsh -q nwfilter-list | awk '$2 ~ /^vmctl-/ { print $2 }'
"""
_SWEEP = """
virsh -q list --all --uuid | while read -r uuid; do
    virsh dumpxml "$uuid" | grep -q urn:vmctl:server || continue
    virsh -q destroy "$uuid" || true
    virsh -q undefine "$uuid"
done
virsh -q vol-list default | sed -nE 's/^ *([0-9a-f-]{36}-[^ ]*) .*/\\1/p' |
    while read -r name; do virsh -q vol-delete --pool default "$name"; done
virsh -q nwfilter-list | awk '$2 ~ /^vmctl-/ { print $2 }' |
    while read -r name; do virsh -q nwfilter-undefine "$name"; done
"""


def left(lab: Lab, host: str) -> list[str]:
    """What of any vmctl's servers is on a host: domains, volumes and filters."""
    return lab.do("inside", host, "sh", "-c", _OURS).split()


@pytest.fixture
def hosts(lab: Lab) -> Iterator[Lab]:
    """The lab without a server or base image of anybody's, before and afterwards."""
    clear(lab)
    assert [left(lab, host) for host in HOSTS] == [[], [], []]
    yield lab
    for host in HOSTS:
        lab.do("inside", host, "sh", "-c", _SWEEP)
    clear(lab)


def at_length(vmctl: Vmctl, *words: str) -> Ended:
    """Run a command that may take its time on a busy machine."""
    ended = vmctl(*words, seconds=PATIENCE)
    assert ended.code == 0, f"{words}: {ended.code}\n{ended.out}{ended.err}"
    return ended


def stocked(vmctl: Vmctl) -> Vmctl:
    """An operator with the small guest in their catalog."""
    at_length(vmctl, "image", "create", "mini", "--file", str(image("small")))
    at_length(vmctl, "flavor", "create", "small", "--ram", "128", "--disk", "1")
    return vmctl


def another(vmctl: Vmctl, folder: Path) -> Vmctl:
    """Another operator, with a home and a database of their own."""
    folder.mkdir()
    return replace(vmctl, home=folder)


def create(vmctl: Vmctl, name: str, host: str, *words: str) -> None:
    wanted = ("--flavor", "small", "--image", "mini", "--host", host, *words)
    at_length(vmctl, "server", "create", name, *wanted)


def listed(vmctl: Vmctl) -> Any:
    return json.loads(vmctl.ok("server", "list", "--long", "-f", "json"))


def lose(vmctl: Vmctl) -> None:
    """Lose the database, as if its disk had died."""
    for file in vmctl.db.parent.glob("state.db*"):
        file.unlink()
    assert not vmctl.db.exists()


def rebuilt(vmctl: Vmctl, code: int, *words: str) -> dict[str, str]:
    """Rebuild, and give what became of each server, or of each host without an answer."""
    ended = vmctl("db", "rebuild", *words, "-f", "json", seconds=PATIENCE)
    assert ended.code == code, ended
    return {f"{row['Server']}@{row['Host']}": row["Result"] for row in ended.json}


def test_a_lost_database_comes_back_from_the_hosts_and_deletes_what_stands_there(
    hosts: Lab, vmctl: Vmctl
) -> None:
    stocked(vmctl)
    create(vmctl, "web", "kvm1", "--network", "lan", "--property", "role=web", "--autostart")
    create(vmctl, "db", "kvm2", "--network", "lan", "--no-start")
    create(vmctl, "nat", "kvm3", "--network", "default", "--no-start")
    before, uuid = listed(vmctl), vmctl.ok("db", "version", "-f", "value", "-c", "uuid")
    lose(vmctl)

    hosts.do("cut-off", "kvm2")
    assert rebuilt(vmctl, 14, "--dry-run")["web@kvm1"] == "brought back"
    assert listed(vmctl) == []
    some = rebuilt(vmctl, 14)
    hosts.do("cut-off-undo", "kvm2")
    rest = rebuilt(vmctl, 0)

    assert some == {
        "web@kvm1": "brought back",
        "nat@kvm3": "brought back",
        "None@kvm2": "no answer",
    }
    assert rest == {"web@kvm1": "on record", "nat@kvm3": "on record", "db@kvm2": "brought back"}
    assert vmctl.ok("db", "version", "-f", "value", "-c", "uuid") == uuid
    assert listed(vmctl) == before
    at_length(vmctl, "server", "delete", "web", "db", "nat")
    assert [left(hosts, host) for host in HOSTS] == [[], [], []]
    hosts.do("check-foreign")


def test_two_databases_are_not_guessed_between_and_neither_loses_a_server(
    hosts: Lab, vmctl: Vmctl, tmp_path: Path
) -> None:
    mine, theirs = stocked(vmctl), stocked(another(vmctl, tmp_path / "theirs"))
    create(mine, "web", "kvm1", "--network", "default", "--no-start")
    create(theirs, "web", "kvm2", "--network", "default", "--no-start")
    create(theirs, "db", "kvm2", "--network", "default", "--no-start")
    us, them = (
        one.ok("db", "version", "-f", "value", "-c", "uuid").strip() for one in (mine, theirs)
    )
    lose(mine)

    undecided = mine("db", "rebuild", seconds=PATIENCE)
    assert undecided.code == 1
    assert f"{us} (1)" in undecided.err
    assert f"{them} (2)" in undecided.err
    assert rebuilt(mine, 0, "--adopt-owner", us) == {
        "web@kvm1": "brought back",
        "web@kvm2": "another's",
        "db@kvm2": "another's",
    }
    at_length(theirs, "server", "show", "web")

    # A name is held once: that one stays theirs, whatever else is brought over.
    assert rebuilt(mine, 14, "--adopt-owner", them) == {
        "web@kvm1": "on record",
        "web@kvm2": "conflict",
        "db@kvm2": "brought back",
    }
    refused = theirs("server", "delete", "db", seconds=PATIENCE)
    assert refused.code == 1
    assert "is another database's" in refused.err
    assert rebuilt(theirs, 14, "--host", "kvm2") == {"web@kvm2": "on record", "db@kvm2": "conflict"}
    at_length(mine, "server", "delete", "web", "db")
    at_length(theirs, "server", "delete", "web")
    assert [left(hosts, host) for host in HOSTS] == [[], [], []]
    hosts.do("check-foreign")


def test_a_host_that_never_comes_back_gives_its_name_and_addresses_free(
    hosts: Lab, vmctl: Vmctl
) -> None:
    stocked(vmctl)
    address = ("--nic", "net-id=lan,v4-fixed-ip=" + fixed(hosts))
    create(vmctl, "web", "kvm2", "--no-start", *address)
    alive = vmctl("host", "retire", "kvm2", "--with-servers", "--confirm", "kvm2")
    hosts.do("cut-off", "kvm2")

    unsaid = vmctl("host", "retire", "kvm2", "--confirm", "kvm2")
    done = vmctl("host", "retire", "kvm2", "--with-servers", "--confirm", "kvm2")
    # On a network that spans hosts, its record there cannot be asked any more: nor need it be.
    create(vmctl, "web", "kvm1", "--no-start", *address)

    assert alive.code == 1
    assert "kvm2 answers: it is not gone" in alive.err
    assert unsaid.code == 1
    assert "1 server on kvm2 would be lost with it" in unsaid.err
    assert done.code == 0
    assert [row["Host"] for row in listed(vmctl)] == ["kvm1"]
    assert json.loads(vmctl.ok("operation", "list", "-f", "json")) == []
    at_length(vmctl, "server", "delete", "web")
    hosts.do("cut-off-undo", "kvm2")

    # It did come back: what stands there is told, and not taken for a server again.
    assert rebuilt(vmctl, 14) == {"web@kvm2": "conflict"}
    assert listed(vmctl) == []


def fixed(lab: Lab) -> str:
    """An address of the network that spans the lab's hosts."""
    inventory = (lab.root / "inventory.yaml").read_text()
    found = re.search(r"allocation_pool: \[([0-9.]+)\.100-", inventory)
    assert found
    return f"{found[1]}.142"
