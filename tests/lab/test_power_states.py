"""Every deed in every state on a real guest: what is permitted, refused, and true on its host."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libvirt
import pytest

from tests.lab import stock
from tests.lab.kept import Kept, kept
from tests.lab.outside import Lab
from tests.lab.servers import assert_clean, create_words, operator, until, wipe
from tests.lab.vmctl import Ended
from tests.support.states import (
    BY_HAND,
    GONE,
    LEADS,
    LOST,
    NEVER_RAN,
    STATES,
    UNLOCKED,
    WAYS_BACK,
    status,
    way_to,
    why_not,
)

HOST = "kvm2"
BLANK = "blank"
"""An image of which nothing boots: its guest runs, and leaves the processor to others."""

QUICK = ("--timeout", "1")
WORDS = {
    "stop": QUICK,
    "reboot": QUICK,
    "rescue": QUICK,
    "unrescue": QUICK,
    "rebuild": QUICK,
    "set": ("--description", "the shop"),
    "set --password": ("correct horse",),
    "lock": ("--reason", "no hands"),
}
"""What is said with a deed; of a guest that obeys its power button another test tells."""

ON_HOST = {
    "ACTIVE": ("running", False),
    "RESCUE": ("running", False),
    "SHUTOFF": ("shut off", False),
    "PAUSED": ("paused", False),
    "SUSPENDED": ("shut off", True),
    LOST: None,
    NEVER_RAN: None,
    GONE: None,
}


@dataclass(frozen=True)
class Acted:
    """One small guest, and what is seen of it from inside, outside and on record."""

    kept: Kept
    said: pytest.CaptureFixture[str]
    name: str

    def run(self, *words: str) -> Ended:
        return self.kept.do(self.said, *words)

    def do(self, deed: str, *words: str) -> Ended:
        command, *flags = deed.split()
        return self.run("server", command, *flags, *(words or WORDS.get(deed, ())), self.name)

    def done(self, deed: str) -> None:
        ended = self.do(deed)
        assert ended.code == 0, (deed, ended.err)

    @property
    def status(self) -> str:
        rows = self.run("server", "list", "-f", "value", "-c", "Name", "-c", "Status").out
        found = dict(line.split() for line in rows.splitlines())
        return found.get(self.name, GONE)

    @property
    def on_host(self) -> tuple[str, bool] | None:
        return self.kept.on_host(self.name)

    @property
    def boot(self) -> str:
        """The boot that the guest is in, said by itself."""
        key = str(self.kept.mine.lab.plan.key)
        ask = ("ssh", self.name, "-i", key, "--", "cat", "/proc/sys/kernel/random/boot_id")
        self.kept.mine.ok("server", "wait", self.name, "--for", "ssh", "--timeout", "60")
        return self.kept.mine.ok(*ask).strip()

    def inside(self, *words: str) -> None:
        key = str(self.kept.mine.lab.plan.key)
        self.kept.mine.ok("ssh", self.name, "-i", key, "--", *words)

    def has_agent(self) -> bool:
        return self.run("server", "exec", self.name, "--", "true").code == 0

    def enter(self, state: str) -> None:
        """Lead it from ACTIVE to a state."""
        way = way_to(state)
        if way is not None:
            self.done(way)
        if state == BY_HAND:
            assert self.do("set", "--state", "error", "--auto-approve").code == 0
        elif state == LOST:
            domain = self.kept.host.lookupByName(self.name)
            domain.destroy()
            domain.undefine()
            self.run("server", "refresh", self.name)
        self.is_now(state)

    def leave(self, state: str) -> None:
        """Lead it back to ACTIVE."""
        if state in WAYS_BACK:
            self.done(WAYS_BACK[state])

    def is_now(self, state: str) -> None:
        assert self.status == (GONE if state == GONE else status(state)), state
        if state in ON_HOST:
            assert self.on_host == ON_HOST[state], state
        else:
            assert self.on_host is not None

    @property
    def definitions(self) -> list[str]:
        """How it runs, and how it is to run when it is started next."""
        domain = self.kept.host.lookupByName(self.name)
        return [domain.XMLDesc(0), domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)]

    def edit(self, old: str, new: str) -> None:
        """Change its definition by hand."""
        _, xml = self.definitions
        assert old in xml
        self.kept.host.defineXML(xml.replace(old, new))

    def refuses(self, state: str) -> None:
        """See all refused that the state forbids, and nothing changed by it."""
        there = self.on_host
        for deed, leads in LEADS.items():
            if state in leads:
                continue
            ended = self.do(deed)
            assert ended.code == 1, (deed, ended.err)
            assert any(words in ended.err for words in why_not(state).split("|")), (deed, ended.err)
        self.is_now(state)
        assert self.on_host == there

    def is_left_alone(self, state: str) -> None:
        """See all refused while it is locked, and nothing changed by it."""
        there = self.on_host
        self.done("lock")
        for deed in LEADS.keys() - UNLOCKED:
            ended = self.do(deed)
            assert (ended.code, "is locked: no hands" in ended.err) == (15, True), deed
        self.is_now(state)
        assert self.on_host == there
        self.done("unlock")


@pytest.fixture(scope="module")
def mine(shared_lab: Lab, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """An operator whose connections are kept; nothing of theirs is left afterwards."""
    folder = tmp_path_factory.mktemp("acted")
    one = operator(shared_lab, folder / "home", model)
    (folder / "blank").write_bytes(bytes(2**20))
    one.ok("image", "create", BLANK, "--file", str(folder / "blank"))
    with kept(one, HOST) as found:
        yield found
    try:
        assert_clean(shared_lab, HOST)
    finally:
        wipe(shared_lab)


@pytest.fixture
def server(mine: Kept, capfd: pytest.CaptureFixture[str]) -> Acted:
    """One that is to be made yet."""
    return Acted(mine, capfd, f"acted-{uuid.uuid4().hex[:6]}")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("state", STATES)
def test_every_deed_in_this_state_is_done_or_refused_and_the_host_agrees(
    lab: Lab, server: Acted, state: str
) -> None:
    if state == NEVER_RAN:
        lab.do("pool-full", HOST)
    # Only in ACTIVE is the guest itself asked for anything.
    image = stock.IMAGE if state == "ACTIVE" else BLANK
    words = create_words(server.name, "--network", "default", "--image", image, on=HOST)
    made = server.run(*words)
    assert made.code == (11 if state == NEVER_RAN else 0), made.err
    server.enter(state)
    server.refuses(state)
    server.is_left_alone(state)

    now = state
    for deed, leads in LEADS.items():
        if state not in leads:
            continue
        if now != state:
            server.leave(now)
            server.enter(state)
        if deed == "set --password":
            until(server.has_agent)
        there = server.on_host
        server.done(deed)
        now = leads[state]
        server.is_now(now)
        assert now != state or now in ON_HOST or server.on_host == there


@pytest.mark.slow
def test_a_delete_that_its_host_fails_is_in_the_way_of_all_else_until_it_ends(
    shared_lab: Lab, server: Acted
) -> None:
    words = ("--network", "default", "--image", BLANK, "-f", "value", "-c", "id")
    uuid = server.run(*create_words(server.name, *words, on=HOST)).out.strip()
    volume = f"/var/lib/libvirt/images/{uuid}-root"
    shared_lab.do("inside", HOST, "chattr", "+i", volume)
    try:
        failed = server.do("delete")
        assert (failed.code, server.status) == (11, "ERROR"), failed.err
        for deed in LEADS.keys() - UNLOCKED - {"delete"}:
            ended = server.do(deed)
            assert ended.code != 0, deed
            assert f"the delete of server {server.name}" in ended.err, (deed, ended.err)
        assert server.status == "ERROR"
    finally:
        shared_lab.do("inside", HOST, "chattr", "-i", volume)

    server.done("delete")

    assert server.status == GONE


@pytest.fixture
def acted(server: Acted) -> Iterator[Acted]:
    key = ("--key-name", stock.KEYPAIR, "--wait-for", "ssh")
    made = server.run(*create_words(server.name, "--network", "default", *key, on=HOST))
    assert made.code == 0, made.err
    yield server
    server.done("delete")


@pytest.mark.timeout(400)
def test_a_guest_goes_on_where_it_was_or_boots_anew_though_deaf_or_edited(acted: Acted) -> None:
    first, edited = acted.boot, "<title>by hand</title>"
    acted.edit("<metadata>", f"{edited}<metadata>")
    for deed in ("pause", "unpause", "suspend", "resume"):
        acted.done(deed)
    assert acted.boot == first

    asked = acted.do("reboot", "--timeout", "30")
    second = acted.boot
    assert asked.code == 0
    assert asked.took < 30, "it obeyed its power button"
    assert second != first
    assert [edited in one for one in acted.definitions] == [True, True]

    acted.inside("killall", "acpid")
    assert acted.do("reboot", "--timeout", "2").code == 0
    third = acted.boot
    assert third != second

    acted.inside("killall", "acpid")
    acted.done("suspend")
    acted.done("reboot --hard")
    acted.is_now("ACTIVE")
    assert acted.boot != third
    assert [edited in one for one in acted.definitions] == [False, False]
