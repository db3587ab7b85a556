"""Many who create at once, with one database or two: nothing is given away twice."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

WON, REFUSED, UNHEARD = 0, 10, 11
SLOW_HOST = re.compile(r"within [0-9.]+ s|in time")
"""What is said of a host that has so much to do that a limit passes: no fault of a race's."""

EACH = 128
TAKEN = 128 + 512
"""MiB of a server of ours; of a host's foreign guests, running or not, and kept for the host."""

FEW, SOME = {"kvm1": 1, "kvm2": 2}, {"kvm1": 2, "kvm2": 4}
"""How many servers there is room for on each host."""

SLOW = 900
"""Seconds in which so many processes come to their end on a machine that does much else."""

Tell = Callable[[str, list[Ended]], Counter[int]]


@pytest.fixture
def _in_the_torture(*, torture: bool) -> None:
    if not torture:
        pytest.skip("many processes race on the lab in `make torture`")


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Show how many ended how, whatever pytest shows; give them by their codes."""

    def told(what: str, ended: list[Ended]) -> Counter[int]:
        found = Counter(one.code for one in ended)
        others = sorted(set(found) - {WON, REFUSED})
        rest = "".join(f", {found[code]} ended with {code}" for code in others)
        with capsys.disabled():
            print(f"\n{what}: {found[WON]} won, {found[REFUSED]} refused{rest}")
        return found

    return told


@contextmanager
def cramped(mine: Vmctl, room: dict[str, int]) -> Iterator[Vmctl]:
    """The same operator, for whom the hosts have room for so few servers."""
    fits = {host: TAKEN + one * EACH for host, one in room.items()}
    with limited(mine.lab, **fits) as file:
        few = replace(mine, inventory=file)
        assert places(few) == sum(room.values())
        yield few


def places(mine: Vmctl) -> int:
    """For how many more servers there is room, as a look at the hosts says."""
    words = ("placement", "capacity", "--flavor", FLAVOR, "--refresh", "-f", "json")
    total: int = mine(*words).json["total"]
    return total


def crowd(mine: Vmctl, count: int, name: str, *words: str) -> list[Running]:
    return [Running(mine, *create_words(f"{name}{one}", *words)) for one in range(count)]


def ends(runs: list[Running]) -> list[Ended]:
    return [one.end(SLOW) for one in runs]


def delete_all(*operators: Vmctl) -> None:
    for mine in operators:
        names = list(servers(mine))
        if names:
            assert mine("server", "delete", *names, seconds=240).code == 0
        assert owed(mine) == []


def assert_once(lab: Lab, room: dict[str, int]) -> list[str]:
    """See to it that no host has more than fits, and nothing is there twice."""
    names, held = [], []
    for host, fit in room.items():
        found = records(lab, host)
        assert sum(one["memory"] for one in found) <= fit * EACH
        names += [one["name"] for one in found]
        held += [thing for one in found for thing in (*one["macs"], *one["addresses"])]
    assert [thing for thing, count in Counter(held).items() if count > 1] == []
    assert [name for name, count in Counter(names).items() if count > 1] == []
    return names


def assert_shared_out(ended: list[Ended], count: int) -> None:
    """See to it that all places are taken, but for those of hosts that were too busy to answer."""
    late = [one for one in ended if one.code == UNHEARD and SLOW_HOST.search(one.err)]
    codes = Counter(one.code for one in ended)
    assert codes[WON] + codes[REFUSED] + len(late) == len(ended)
    assert count - len(late) <= codes[WON] <= count


def up(*operators: Vmctl) -> list[str]:
    return [
        name
        for mine in operators
        for name, row in servers(mine).items()
        if row["Status"] == "ACTIVE"
    ]


def race(one: Vmctl, other: Vmctl, each: int, room: dict[str, int], tell: Tell) -> None:
    """Have two databases want more than there is, at once; take it all away afterwards."""
    mine = crowd(one, each, "a", "--network", "lan")
    others = crowd(other, each, "b", "--network", "lan")
    count = sum(room.values())
    ended = ends([*mine, *others])
    tell(f"2 databases with {each} processes each, {count} places on a common LAN", ended)
    assert_shared_out(ended, count)
    assert sorted(assert_once(one.lab, room)) == sorted(up(one, other))
    addresses = [found for mine in (one, other) for found in lan_addresses(mine)]
    assert len(set(addresses)) == len(addresses) == 2 * len(up(one, other))
    delete_all(one, other)
    assert_clean(one.lab)


@pytest.mark.timeout(SLOW)
def test_two_databases_race_for_the_last_places_and_addresses(
    shared_lab: Lab, maker: Vmctl, model: Path, tmp_path: Path, tell: Tell
) -> None:
    with cramped(maker, FEW) as one:
        other = replace(operator(shared_lab, tmp_path / "b", model), inventory=one.inventory)
        race(one, other, 4, FEW, tell)


@pytest.mark.usefixtures("_in_the_torture")
def test_two_databases_share_hosts_and_addresses_without_a_word(
    shared_lab: Lab, maker: Vmctl, model: Path, tmp_path: Path, tell: Tell
) -> None:
    with cramped(maker, SOME) as one:
        other = replace(operator(shared_lab, tmp_path / "b", model), inventory=one.inventory)
        race(one, other, 12, SOME, tell)


@pytest.mark.usefixtures("_in_the_torture")
def test_twelve_processes_for_six_places_with_one_database(
    shared_lab: Lab, maker: Vmctl, tell: Tell
) -> None:
    count = sum(SOME.values())
    with cramped(maker, SOME) as mine:
        ended = ends(crowd(mine, 12, "web", "--network", "lan"))

        tell(f"12 processes, one database, {count} places", ended)
        assert_shared_out(ended, count)
        assert sorted(assert_once(shared_lab, SOME)) == sorted(up(mine))
        delete_all(mine)
    assert_clean(shared_lab)


def lan_addresses(mine: Vmctl) -> list[str]:
    return [
        address
        for row in servers(mine).values()
        if row["Status"] == "ACTIVE"
        for address in row["Networks"]["lan"]
    ]


@pytest.mark.usefixtures("_in_the_torture")
def test_ten_creates_of_an_image_that_no_host_has_fetch_it_once_for_each(
    shared_lab: Lab, maker: Vmctl, site: Web, tell: Tell, capsys: pytest.CaptureFixture[str]
) -> None:
    # What follows the end of a qcow2 is of no matter, and makes it another one each time.
    content = image("small").read_bytes() + uuid.uuid4().bytes
    url = site.put("new", content)
    maker.ok("image", "create", "new", "--url", url)
    site.asked.clear()
    words = ["--flavor", FLAVOR, "--image", "new", "--network", "default"]
    runs = [Running(maker, "server", "create", f"w{one}", *words) for one in range(10)]

    ended = ends(runs)

    assert tell("10 creates of an image that no host has", ended) == {WON: 10}
    said = "".join(one.err for one in ended)
    came = re.findall(r": new comes from (\S+) on (kvm\d)", said)
    with capsys.disabled():
        print(f"it came from {came}; the site was asked {len(site.asked)} times")
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


@pytest.mark.usefixtures("_in_the_torture")
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


@pytest.mark.usefixtures("_in_the_torture")
def test_one_idempotency_key_makes_one_set_of_servers(shared_lab: Lab, maker: Vmctl) -> None:
    words = create_words("web", "--network", "default", "--no-start", "--min", "2")
    runs = [Running(maker, *words, "--idempotency-key", "k", "-f", "json") for _ in range(3)]

    ended = [one.end() for one in runs]

    assert len(servers(maker)) == 2
    assert [one.code for one in ended] == [0, 0, 0]
    assert len({tuple(sorted(row["ID"] for row in one.json)) for one in ended}) == 1
    delete_all(maker)
    assert_clean(shared_lab)
