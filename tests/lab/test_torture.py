"""vmctl killed on real hosts at every kind of moment: recovered, it leaves all or nothing."""

from __future__ import annotations

import dataclasses
import os
import random
import re
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import stock
from tests.lab.outside import Lab
from tests.lab.plan import CHECKOUT
from tests.lab.vmctl import Ended, Vmctl

SAMPLE, SEED = 40, 20261120
HOSTS = ("kvm1", "kvm2", "kvm3")
WAYS = ("unwind", "resume", "delete")
LIVED = "lived on"
HELD = ("claims", "addresses", "nics", "secrets")
OF_A_DOMAIN = ("domstate", "dumpxml --inactive", "dominfo")
OF_A_HOST = ("vol-list default", "nwfilter-list")
TELLS = re.compile(r"^(State|Persistent|Autostart|Managed save):|^[^:]*$|<")
"""What of the answers stays the same as long as the server does: no counters."""
OWN = re.compile(
    r"52:54:00(:[0-9a-f]{2}){3}|vmctl-tap-\S+|(192\.168|198\.18)(\.\d+){2}|[0-9a-f-]{36}"
)


@dataclasses.dataclass(frozen=True)
class Blow:
    """One death: in a create or a delete, at this moment, and how it is recovered from."""

    deed: str
    moment: int
    way: str


@dataclasses.dataclass(frozen=True)
class Victim:
    """One operator with a database of their own, who works on one host alone."""

    vmctl: Vmctl
    host: str
    name: str
    ideal: dict[str, object] = dataclasses.field(default_factory=dict)
    """What there is of a server that nothing befell."""

    def struck(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tests.lab.struck", *words],
            env=self.vmctl.environ | environ,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @property
    def create(self) -> list[str]:
        words = [
            "server",
            "create",
            "--flavor",
            "tiny",
            "--image",
            stock.EMPTY,
            "--key-name",
            "lab",
        ]
        lan = ["--network", "lan", "--network", "default"]
        return [*words, *lan, "--host", self.host, "--autostart", self.name]

    def made(self) -> None:
        self.vmctl.ok(*self.create)

    def left(self) -> list[str]:
        """Whatever of ours is on the host; a base image is for everybody."""
        inside = self.vmctl.lab
        ids = self.ids()
        found = []
        for what in ("list --all --uuid", "vol-list default", "nwfilter-list"):
            text = inside.do("inside", self.host, *f"virsh -q {what}".split())
            found += [line for line in text.splitlines() if any(one in line for one in ids)]
        net = inside.do("inside", self.host, "virsh", "-q", "net-dumpxml", "default")
        found += [line for line in net.splitlines() if f"name='{self.name}'" in line]
        return found

    def picture(self) -> dict[str, object]:
        """Say what there is of the server, on record and on its host, but for what is its own."""
        shown = self.vmctl("server", "show", self.name, "-f", "json").json
        own = shown["id"]
        found: dict[str, object] = {
            key: shown.get(key) for key in ("status", "fault", "OS-EXT-STS:task_state")
        }
        for words in OF_A_DOMAIN:
            found[words] = [one for one in self._told(f"{words} {own}", own) if TELLS.search(one)]
        for words in OF_A_HOST:
            found[words] = sorted(one for one in self._told(words, own) if "ID" in one)
        net = self._told("net-dumpxml default", own)
        found["promises"] = [one for one in net if f"name='{self.name}'" in one]
        return found | {"held": self.held()}

    def _told(self, words: str, own: str) -> list[str]:
        text = self.vmctl.lab.do("inside", self.host, *f"virsh -q {words}".split())
        text = re.sub(r"<metadata>.*</metadata>", "", text, flags=re.DOTALL)
        return OWN.sub("…", text.replace(own, "ID")).splitlines()

    def ids(self) -> list[str]:
        return [str(row[0]) for row in self.query("SELECT id FROM servers")]

    def held(self) -> dict[str, int]:
        counts = {one: int(self.query(f"SELECT count(*) FROM {one}")[0][0]) for one in HELD}  # noqa: S608 - tables of ours
        return {one: count for one, count in counts.items() if count}

    def query(self, sql: str) -> list[tuple[int | str, ...]]:
        db = sqlite3.connect(self.vmctl.db)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def status(self) -> str | None:
        rows = self.vmctl("server", "list", "--name", f"^{self.name}$", "-f", "json").json
        return rows[0]["Status"] if rows else None


@pytest.fixture(scope="module")
def victims(shared_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Victim]]:
    found = []
    for host in HOSTS:
        home = tmp_path_factory.mktemp(host)
        vmctl = Vmctl(lab=shared_lab, home=home, inventory=shared_lab.root / "inventory.yaml")
        stock.put(vmctl.ok, shared_lab.plan.key.with_suffix(".pub"))
        vmctl.ok("flavor", "create", "--ram", "128", "--disk", "1", "tiny")
        stock.put_empty(vmctl.ok, home)
        vmctl.ok("image", "cache", "push", stock.EMPTY, "--host", host)
        victim = Victim(vmctl, host, f"torn-{host}")
        victim.made()
        victim.ideal.update(victim.picture())
        vmctl.ok("server", "delete", victim.name)
        found.append(victim)
    yield found
    for victim in found:
        victim.vmctl("operation", "unwind", "--all")
        victim.vmctl("server", "delete", "--ignore-missing", victim.name)


def moments(victim: Victim, folder: Path) -> dict[str, list[str]]:
    """Count the moments of a create and of a delete that nothing befalls."""
    listed = {}
    for deed, words in (("create", victim.create), ("delete", ["server", "delete", victim.name])):
        file = folder / deed
        done = victim.struck(*words, STRIKE_LIST=str(file))
        assert done.returncode == 0, done.stderr
        listed[deed] = file.read_text().splitlines()
    assert victim.left() == []
    return listed


def befall(victim: Victim, blow: Blow) -> str:
    """Let one blow fall, recover, and say how it ended; an AssertionError says what is left."""
    vmctl = victim.vmctl
    if blow.deed == "delete":
        victim.made()
    words = victim.create if blow.deed == "create" else ["server", "delete", victim.name]
    done = victim.struck(*words, STRIKE_AT=str(blow.moment))
    if done.returncode == 0:
        # Not every run has as many moments: an address that is replaced takes some more.
        if blow.deed == "create":
            vmctl.ok("server", "delete", victim.name)
        assert victim.left() == []
        return LIVED
    assert done.returncode == -9, f"{blow}: {done.stdout}{done.stderr}"
    ended = recovered(vmctl, blow, victim)
    status = victim.status()
    told = f"{blow}: {status}, {ended.out}{ended.err}"
    if status == "ACTIVE":
        assert victim.picture() == victim.ideal, told
    elif status is not None:
        assert status == "ERROR", told
    if status is not None:
        vmctl.ok("server", "delete", victim.name)
    assert victim.left() == [], told
    assert victim.held() == {}, told
    return f"{blow.deed}: {status or 'gone'}"


def recovered(vmctl: Vmctl, blow: Blow, victim: Victim) -> Ended:
    if blow.way == "delete" and victim.status() is not None:
        return vmctl("server", "delete", victim.name)
    back = blow.deed == "create" and blow.way == "unwind"
    return vmctl("operation", "unwind" if back else "resume", "--all")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_kill_at_any_moment_leaves_all_or_nothing_on_real_hosts(
    victims: list[Victim], tmp_path: Path, *, torture: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = moments(victims[0], tmp_path)
    every = [(deed, at) for deed, found in listed.items() for at in range(len(found))]
    chance = random.Random(SEED)
    chosen = every if torture else chance.sample(every, SAMPLE)
    # Each host has every third blow; the second summand gives it every way of recovery.
    ways = [WAYS[(turn + turn // 3) % 3] for turn in range(len(chosen))]
    blows = [Blow(deed, at, way) for way, (deed, at) in zip(ways, chosen, strict=True)]
    ended: Counter[str] = Counter()
    problems: list[str] = []

    def work(victim: Victim, mine: list[Blow]) -> None:
        for blow in mine:
            try:
                ended[befall(victim, blow)] += 1
            except Exception as error:  # noqa: BLE001 - told with all the others
                problems.append(f"{victim.host}: {blow}: {error!r}"[:2000])
                victim.vmctl("operation", "unwind", "--all")
                victim.vmctl("server", "delete", "--ignore-missing", victim.name)

    threads = [
        threading.Thread(target=work, args=(victim, blows[number :: len(victims)]))
        for number, victim in enumerate(victims)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with capsys.disabled():
        sys.stdout.write(f"\n{len(blows)} of {len(every)} moments killed: {dict(ended)}\n")
    assert problems == []
    assert sum(ended.values()) == len(blows)
    assert ended[LIVED] <= len(blows) // 10


def test_the_struck_vmctl_is_the_product_but_for_its_watch(victims: list[Victim]) -> None:
    words = ("server", "list", "-f", "json")

    assert victims[0].struck(*words).stdout == victims[0].vmctl.ok(*words)
    assert "STRIKE_AT" not in os.environ
