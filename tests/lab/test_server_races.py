"""Many who create at once, with one database or two: nothing is given away twice."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.outside import Lab, image
from tests.lab.servers import (
    FLAVOR,
    Running,
    assert_clean,
    create_words,
    limited,
    operator,
    owed,
    records,
    servers,
)
from tests.lab.vmctl import Ended, Vmctl
from tests.support.web import Web

EACH = 128
TAKEN = 128 + 512
"""MiB of a server of ours; of a host's foreign guests, running or not, and kept for the host."""

ROOM = {"kvm1": 2, "kvm2": 4}
PLACES = sum(ROOM.values())


@pytest.fixture(autouse=True)
def _in_the_torture(*, torture: bool) -> None:
    if not torture:
        pytest.skip("many processes race on the lab in `make torture`")


@pytest.fixture
def cramped(shared_lab: Lab, maker: Vmctl) -> Iterator[Vmctl]:
    """The maker, for whom the hosts have room for so few servers."""
    with limited(shared_lab, **{host: TAKEN + one * EACH for host, one in ROOM.items()}) as file:
        mine = replace(maker, inventory=file)
        assert places(mine) == PLACES
        yield mine


def places(mine: Vmctl) -> int:
    """For how many more servers there is room, as a look at the hosts says."""
    words = ("placement", "capacity", "--flavor", FLAVOR, "--refresh", "-f", "json")
    total: int = mine(*words).json["total"]
    return total


def crowd(mine: Vmctl, count: int, name: str, *words: str) -> list[Running]:
    return [Running(mine, *create_words(f"{name}{one}", *words)) for one in range(count)]


def told(ended: list[Ended], what: str) -> Counter[int]:
    found = Counter(one.code for one in ended)
    print(f"{what}: {dict(found)}")
    return found


def delete_all(*operators: Vmctl) -> None:
    for mine in operators:
        names = list(servers(mine))
        if names:
            assert mine("server", "delete", *names, seconds=240).code == 0
        assert owed(mine) == []


def assert_once(lab: Lab) -> list[str]:
    """See to it that no host has more than fits, and nothing is there twice."""
    names, held = [], []
    for host, fit in ROOM.items():
        found = records(lab, host)
        assert sum(one["memory"] for one in found) <= fit * EACH
        names += [one["name"] for one in found]
        held += [thing for one in found for thing in (*one["macs"], *one["addresses"])]
    assert [thing for thing, count in Counter(held).items() if count > 1] == []
    assert [name for name, count in Counter(names).items() if count > 1] == []
    return names


def test_twelve_processes_for_six_places_with_one_database(shared_lab: Lab, cramped: Vmctl) -> None:
    ended = [one.end() for one in crowd(cramped, 12, "web", "--network", "lan")]

    outcomes = told(ended, "12 processes, one database, 6 places")
    assert outcomes == {0: PLACES, 10: 12 - PLACES}
    up = [name for name, one in servers(cramped).items() if one["Status"] == "ACTIVE"]
    assert sorted(assert_once(shared_lab)) == sorted(up)
    delete_all(cramped)
    assert_clean(shared_lab)


def test_two_databases_share_hosts_and_addresses_without_a_word(
    shared_lab: Lab, cramped: Vmctl, tmp_path: Path
) -> None:
    other = replace(operator(shared_lab, tmp_path / "other"), inventory=cramped.inventory)
    mine = crowd(cramped, 12, "a", "--network", "lan")
    others = crowd(other, 12, "b", "--network", "lan")
    ended = [one.end() for one in (*mine, *others)]

    outcomes = told(ended, "2 databases with 12 processes each, 6 places")
    assert outcomes == {0: PLACES, 10: 24 - PLACES}
    there = assert_once(shared_lab)
    up = [
        name
        for one in (cramped, other)
        for name, row in servers(one).items()
        if row["Status"] == "ACTIVE"
    ]
    assert sorted(there) == sorted(up)
    assert len(up) == PLACES
    addresses = [one for mine in (cramped, other) for one in lan_addresses(mine)]
    assert len(set(addresses)) == len(addresses) == 2 * PLACES
    delete_all(cramped, other)
    assert_clean(shared_lab)


def lan_addresses(mine: Vmctl) -> list[str]:
    return [
        address
        for row in servers(mine).values()
        if row["Status"] == "ACTIVE"
        for address in row["Networks"]["lan"]
    ]


def test_ten_creates_of_an_image_that_no_host_has_fetch_it_once_for_each(
    shared_lab: Lab, maker: Vmctl, site: Web
) -> None:
    # What follows the end of a qcow2 is of no matter, and makes it another one each time.
    content = image("small").read_bytes() + uuid.uuid4().bytes
    url = site.put("new", content)
    maker.ok("image", "create", "new", "--url", url)
    site.asked.clear()
    words = ["--flavor", FLAVOR, "--image", "new", "--network", "default"]
    runs = [Running(maker, "server", "create", f"w{one}", *words) for one in range(10)]

    ended = [one.end() for one in runs]

    assert told(ended, "10 creates of a new image") == {0: 10}
    said = "".join(one.err for one in ended)
    came = re.findall(r": new comes from (\S+) on (kvm\d)", said)
    print(came, site.asked)
    hosts = {row["Host"] for row in servers(maker).values()}
    assert Counter(host for _, host in came) == dict.fromkeys(hosts, 1)
    assert 1 <= len(site.asked) <= 2  # so many hosts fetch it at a time, the others take it there
    delete_all(maker)
    forget_base(shared_lab, content)
    assert_clean(shared_lab)


def forget_base(lab: Lab, content: bytes) -> None:
    name = f"vmctl-base-{hashlib.sha256(content).hexdigest()}"
    for host in lab.hosts:
        for volume in (f"{name}.ok", name):
            lab.virsh(host.name, "vol-delete", "--pool", "default", volume)


def test_one_name_is_given_once(shared_lab: Lab, maker: Vmctl) -> None:
    words = create_words("web", "--network", "default", "--no-start")
    runs = [Running(maker, *words) for _ in range(4)]
    gladly = [Running(maker, *words, "--if-not-exists") for _ in range(3)]

    codes = Counter(one.end().code for one in runs)
    taken = [one.end() for one in gladly]

    assert codes in ({0: 1, 1: 3}, {1: 4})  # those who take what there is may have been first
    assert [one.code for one in taken] == [0, 0, 0]
    assert len(servers(maker)) == 1
    delete_all(maker)
    assert_clean(shared_lab)


def test_one_idempotency_key_makes_one_set_of_servers(shared_lab: Lab, maker: Vmctl) -> None:
    words = create_words("web", "--network", "default", "--no-start", "--min", "2")
    runs = [Running(maker, *words, "--idempotency-key", "k", "-f", "json") for _ in range(3)]

    ended = [one.end() for one in runs]

    assert len(servers(maker)) == 2
    assert [one.code for one in ended] == [0, 0, 0]
    assert len({tuple(sorted(row["ID"] for row in one.json)) for one in ended}) == 1
    delete_all(maker)
    assert_clean(shared_lab)
