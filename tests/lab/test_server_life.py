"""Servers from the words to a booted guest and back, on hosts with every kind of login."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from tests.lab import stock
from tests.lab.outside import Lab
from tests.lab.reach import EVERY_LOGIN
from tests.lab.servers import (
    Running,
    assert_clean,
    create,
    create_words,
    lan,
    left,
    owed,
    servers,
    show,
)
from tests.lab.vmctl import Vmctl
from tests.support.isos import files_in

USER_DATA = "#!/bin/sh\necho our-user-data-ran\n"


def xml(lab: Lab, host: str, name: str) -> str:
    return lab.virsh_ok(host, "dumpxml", name)


@pytest.fixture
def three(maker: Vmctl, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """One server on each kind of host, made side by side, each in another way."""
    data = tmp_path / "user-data"
    data.write_text(USER_DATA)
    fixed = lan(maker.lab, 177)
    key = ("--key-name", stock.KEYPAIR)
    ways = {
        "kvm1": ("--network", "lan", *key, "--wait-for", "ssh", "--property", "role=web"),
        "kvm2": (
            *("--network", "default", "--network", "lan", "--swap", "16", "--autostart"),
            *("--ephemeral", "size=1", "--user-data", str(data), "--wait-for", "ip"),
        ),
        "kvm3": (
            *("--nic", f"net-id=lan,v4-fixed-ip={fixed[0]},v6-fixed-ip={fixed[1]}"),
            *("--nic", "net-id=default", *key, "--tag", "t1", "--wait-for", "ssh"),
        ),
    }
    started = [Running(maker, *create_words(f"on-{h}", *words, on=h)) for h, words in ways.items()]
    for one in started:
        assert one.end().code == 0
    return {name: show(maker, name) for name in servers(maker)}


def test_each_kind_of_host_carries_a_server_and_loses_all_of_it(
    shared_lab: Lab, maker: Vmctl, three: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    listed = servers(maker)
    assert {name: (row["Status"], row["Host"]) for name, row in listed.items()} == {
        f"on-{host}": ("ACTIVE", host) for host in EVERY_LOGIN
    }
    for host in EVERY_LOGIN:
        assert shared_lab.virsh_ok(host, "domstate", f"on-{host}").strip() == "running"
        assert (
            shared_lab.virsh_ok(host, "domuuid", f"on-{host}").strip() == listed[f"on-{host}"]["ID"]
        )

    # The order of the cards is the order of the words; addresses are the lowest free ones.
    on2 = xml(shared_lab, "kvm2", "on-kvm2")
    assert re.findall(r"<interface type='(\w+)'", on2) == ["network", "bridge"]
    on3 = xml(shared_lab, "kvm3", "on-kvm3")
    assert re.findall(r"<interface type='(\w+)'", on3) == ["bridge", "network"]
    assert three["on-kvm3"]["addresses"]["lan"] == list(lan(shared_lab, 177))

    # What else was asked for: disks, autostart, properties, tags.
    volumes = {one.split("-", 5)[5] for one in left(shared_lab, "kvm2").volumes}
    assert volumes == {"root", "ephemeral0", "swap", "seed", "console.log"}
    assert "on-kvm2" in shared_lab.virsh_ok("kvm2", "list", "--all", "--autostart", "--name")
    assert "on-kvm1" not in shared_lab.virsh_ok("kvm1", "list", "--all", "--autostart", "--name")
    assert three["on-kvm1"]["properties"] == {"role": "web"}
    assert three["on-kvm3"]["tags"] == ["t1"]

    # What was waited for was seen, and is on record.
    seen = [one for card in three["on-kvm2"]["vmctl:addresses"] for one in card["observed"]]
    assert seen
    seed = tmp_path / "seed"
    volume = f"{listed['on-kvm2']['ID']}-seed"
    shared_lab.virsh_ok("kvm2", "vol-download", "--pool", "default", volume, str(seed))
    told = message_from_bytes(files_in(seed.read_bytes())["user-data"])
    parts = [part.get_payload(decode=True) for part in told.walk()]
    assert USER_DATA.encode() in parts

    # The guest has the addresses that were planned, and the key lets in.
    ended = maker(
        "ssh", "on-kvm3", "-l", "root", "-i", str(shared_lab.plan.key), "--", "ip address"
    )
    assert ended.code == 0
    assert all(one in ended.out for one in lan(shared_lab, 177))

    events = [one["Action"] for one in json.loads(maker.ok("events", "-f", "json"))]
    assert events.count("server-create") == 2 * len(three)

    gone = maker("server", "delete", *three)
    assert (gone.code, gone.out, gone.err) == (0, "", "")
    assert_clean(shared_lab)
    assert servers(maker) == {}
    assert owed(maker) == []


def test_a_server_may_be_made_and_left_off(shared_lab: Lab, maker: Vmctl) -> None:
    ended = create(maker, "idle", "--network", "default", "--no-start", "-f", "json", on="kvm2")

    assert ended.code == 0
    assert ended.json["status"] == "SHUTOFF"
    assert shared_lab.virsh_ok("kvm2", "domstate", "idle").strip() == "shut off"
    assert maker("server", "delete", "idle").code == 0
    assert_clean(shared_lab, "kvm2")


def test_the_address_of_a_deleted_server_is_free_at_once(shared_lab: Lab, maker: Vmctl) -> None:
    nic = f"net-id=lan,v4-fixed-ip={lan(shared_lab, 150)[0]}"
    assert create(maker, "phoenix", "--nic", nic, "--wait-for", "ip", on="kvm1").code == 0
    taken = create(maker, "other", "--nic", nic, on="kvm2")
    assert taken.code == 1
    assert f"{lan(shared_lab, 150)[0]} on lan is held by another server" in taken.err
    assert "hint: leave it out" in taken.err
    assert maker("server", "delete", "phoenix", "other").code == 0

    # Its host remembers it still.
    again = create(maker, "phoenix", "--nic", nic, "--no-start", on="kvm1")
    assert again.code == 0, again.err
    assert maker("server", "delete", "phoenix").code == 0
    assert_clean(shared_lab)


@pytest.fixture
def stranger(shared_lab: Lab) -> Iterator[str]:
    """The first address that would be given away, at which a machine answers that nobody knows."""
    address = lan(shared_lab, 100)[0]
    link = (f"{address}/24", "dev", "br-lan")
    shared_lab.do("inside", "kvm2", "ip", "address", "add", *link)
    yield address
    shared_lab.do("inside", "kvm2", "ip", "address", "del", *link)


def test_an_address_that_a_stranger_answers_at_is_passed_over(
    shared_lab: Lab, maker: Vmctl, stranger: str
) -> None:
    asked = create(maker, "asked", "--nic", f"net-id=lan,v4-fixed-ip={stranger}", on="kvm3")

    assert asked.code == 1
    assert f"the address {stranger} on lan is in use already" in asked.err
    assert create(maker, "free", "--network", "lan", on="kvm1").code == 0
    assert show(maker, "free")["addresses"]["lan"][0] == lan(shared_lab, 101)[0]
    assert len(show(maker, "asked")["vmctl:attempts"]) == 1
    assert servers(maker)["asked"]["Status"] == "ERROR"
    assert not left(shared_lab, "kvm3")


def test_an_address_that_its_host_promises_to_somebody_is_passed_over(
    shared_lab: Lab, maker: Vmctl
) -> None:
    pool = r"cidrs: [192.168.122.0/24]\n    allocation_pool: [192.168.122.50-192.168.122.59]"
    mine = maker.changed((r"cidrs: \[192\.168\.122\.0/24\]", pool))

    ended = create(mine, "beside", "--network", "default", "--no-start", on="kvm2")

    assert ended.code == 0, ended.err
    assert shared_lab.virsh_ok("kvm2", "net-dumpxml", "default").count("192.168.122.50'") == 1
    (address,) = show(mine, "beside")["addresses"]["default"]
    assert address.startswith("192.168.122.5")
    assert address != "192.168.122.50"
    assert len(show(mine, "beside")["vmctl:attempts"]) == 1
    assert mine("server", "delete", "beside").code == 0
    assert_clean(shared_lab, "kvm2")
