"""What is done to servers past vmctl, by hand on real hosts, and told truthfully afterwards."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab import servers
from tests.lab.outside import Lab, plain
from tests.lab.reach import operator
from tests.lab.servers import until
from tests.lab.vmctl import Vmctl
from tests.support.stores import ACTOR
from vmctl.adapters.hypervisor import LibvirtHypervisors
from vmctl.adapters.leases import open_leases
from vmctl.adapters.prober import ShellProber
from vmctl.adapters.store import open_store
from vmctl.domain.server_line import line_of
from vmctl.services.believing import seen_by
from vmctl.services.observing import Watch
from vmctl.services.seeking import Eyes

INACTIVE, SECURE = 2, 1  # VIR_DOMAIN_XML_INACTIVE, _SECURE
POOL = "/var/lib/libvirt/images"


@pytest.fixture(scope="module")
def web(shared_lab: Lab, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vmctl]:
    """An operator with one server that is up, `web` on kvm1, for all the tests here."""
    mine = servers.operator(shared_lab, tmp_path_factory.mktemp("truth") / "home", model)
    # It will be moved to kvm3, and is to keep its address there.
    address = servers.unleased(shared_lab, "kvm1", "kvm3")
    words = ("--nic", f"net-id=default,v4-fixed-ip={address}", "--key-name", "lab")
    ended = servers.create(mine, "web", *words, "--wait-for", "ssh", on="kvm1")
    assert ended.code == 0, ended.err
    yield mine
    shared_lab.do("up", "--hosts", str(shared_lab.plan.count))
    servers.wipe(shared_lab)


@pytest.fixture
def lab(web: Vmctl) -> Lab:
    return web.lab


def status(mine: Vmctl, name: str = "web") -> str:
    return mine.ok("server", "show", name, "-f", "value", "-c", "status").strip()


def told(mine: Vmctl, *words: str) -> list[str]:
    """What a refresh says has changed."""
    return mine.ok("server", "refresh", *words).splitlines()


def is_off(lab: Lab, host: str, name: str) -> bool:
    return lab.virsh_ok(host, "domstate", name).strip() == "shut off"


def test_a_guest_that_ends_by_itself_or_is_killed_is_off(web: Vmctl, lab: Lab) -> None:
    web("ssh", "web", "-i", str(lab.plan.key), "--", "poweroff")
    until(lambda: is_off(lab, "kvm1", "web"))
    assert status(web) == "ACTIVE"
    assert told(web, "web") == ["web on kvm1: ACTIVE -> SHUTOFF"]

    web.ok("server", "start", "web")
    lab.do("inside", "kvm1", "sh", "-c", "kill -9 $(cat /run/libvirt/qemu/web.pid)")
    until(lambda: is_off(lab, "kvm1", "web"))
    listed = web("server", "list", "--refresh", "-f", "value", "-c", "Status")

    assert (listed.out, listed.told) == ("SHUTOFF\n", ["web on kvm1: ACTIVE -> SHUTOFF"])


@contextmanager
def looking(mine: Vmctl, folder: Path) -> Iterator[Callable[[], list[str]]]:
    """Whoever looks again and again over the same connections, and says what has changed."""
    names = ("kvm1", "kvm2", "kvm3")
    with operator(mine.lab, folder) as reach, open_store(str(mine.db)) as store:
        eyes = Eyes(
            hypervisors=LibvirtHypervisors(reach.libvirt, reach.shells),
            prober=ShellProber(reach.shells, time.time),
            store=store,
            leases=open_leases(store.location),
            clock=time.time,
        )
        hosts = {name: reach.host(name) for name in names}
        watch = Watch(hosts=hosts, eyes=eyes, event=seen_by(ACTOR))

        def look() -> list[str]:
            seen = watch.observe(map(line_of, store.servers()))
            assert not seen.failures
            return [*(turn.words for turn in seen.turns), *seen.notes]

        yield look


def test_what_is_done_by_hand_is_what_it_is(web: Vmctl, lab: Lab, tmp_path: Path) -> None:
    with looking(web, tmp_path) as look, operator(lab, tmp_path) as mine:
        libvirt = mine.libvirt.connection(mine.host("kvm1"))
        domain = libvirt.lookupByName("web")
        domain.create()
        assert look() == ["web on kvm1: SHUTOFF -> ACTIVE"]
        domain.suspend()
        assert look() == ["web on kvm1: ACTIVE -> PAUSED"]
        domain.resume()
        assert look() == ["web on kvm1: PAUSED -> ACTIVE"]
        domain.managedSave()
        assert look() == ["web on kvm1: ACTIVE -> SUSPENDED"]
        domain.managedSaveRemove()
        assert look() == ["web on kvm1: SUSPENDED -> SHUTOFF"]
        domain.rename("www")
        assert look() == ["www on kvm1: it was renamed, web -> www"]
        domain = libvirt.lookupByName("www")
        domain.rename("web")
        assert look() == ["web on kvm1: it was renamed, www -> web"]
        domain = libvirt.lookupByName("web")
        domain.create()
        xml = domain.XMLDesc(INACTIVE)
        domain.undefine()
        lasts = "web runs on kvm1 without a definition: once it is off, it is gone"
        assert look() == ["web on kvm1: SHUTOFF -> ACTIVE", lasts]
        domain.destroy()
        (gone,) = look()
        assert gone.startswith("web on kvm1: ACTIVE -> ERROR: its domain is gone from kvm1")
        libvirt.defineXML(xml)
        assert look() == ["web on kvm1: ERROR -> SHUTOFF"]
        libvirt.lookupByName("web").undefine()
        assert len(look()) == 1

    refused = web("server", "start", "web")
    assert (refused.code, "while it is ERROR" in refused.err) == (1, True)
    assert "its domain is gone" in web.ok("server", "show", "web", "-f", "value", "-c", "fault")
    web.ok("server", "reboot", "--hard", "web")
    assert (status(web), told(web, "web")) == ("ACTIVE", [])


def test_a_libvirt_that_was_restarted_changes_nothing(web: Vmctl, lab: Lab) -> None:
    lab.do("restart-libvirt", "kvm1")

    ended = web("server", "refresh")

    assert (ended.code, ended.out, ended.told) == (0, "", [])
    assert status(web) == "ACTIVE"


def carried(lab: Lab, uuid: str, one: str, other: str) -> None:
    """Have the disks of a server on another host, too."""
    ssh = f"ssh -F {shlex.quote(str(lab.plan.ssh_config))}"
    script = (
        f"{ssh} {one} 'cd {POOL} && sudo tar -cSf - {uuid}-*'"
        f" | {ssh} {other} 'sudo tar -C {POOL} -xf - && sudo virsh -q pool-refresh default'"
    )
    done = plain("sh", "-c", script, seconds=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(400)
def test_one_that_was_moved_is_followed_and_one_on_two_hosts_is_not_touched(
    web: Vmctl, lab: Lab, tmp_path: Path
) -> None:
    web.ok("image", "cache", "push", "mini", "--host", "kvm3")
    with operator(lab, tmp_path) as mine:
        one, other = (mine.libvirt.connection(mine.host(name)) for name in ("kvm1", "kvm3"))
        domain = one.lookupByName("web")
        uuid, xml = domain.UUIDString(), domain.XMLDesc(INACTIVE | SECURE)
        domain.destroy()
        carried(lab, uuid, "kvm1", "kvm3")
        other.defineXML(xml)
        domain.create()

        # Nobody has looked yet: each deed finds both, and it runs on.
        deeds = ("reboot --hard web", "rescue web", "delete --graceful web", "exec web -- true")
        refused = [web("server", *line.split()) for line in deeds]
        assert domain.isActive()
        domain.destroy()
        refused.append(web("server", "start", "web"))
        both = web("server", "refresh", "web")
        listed = web("server", "list")

        assert "web stands on kvm1 and on kvm3: nothing is done to it" in both.told
        assert [one.code for one in refused] == [1] * len(refused)
        assert all("web stands on kvm1 and on kvm3" in one.err for one in refused)
        assert not other.lookupByName("web").isActive()
        assert not domain.isActive()
        assert "was seen on kvm3 as well" in listed.err
        assert servers.show(web, "web")["vmctl:also_on"] == ["kvm3"]

        domain.undefine()
        assert told(web) == ["web: it was moved, kvm1 -> kvm3"]
        shown = servers.show(web, "web")
        assert (shown["vmctl:host"], shown["vmctl:also_on"]) == ("kvm3", [])
        assert (shown["status"], told(web)) == ("SHUTOFF", [])

        # What only a create makes is there once it starts, as it was on its old host.
        before = servers.left(lab, "kvm1")
        web.ok("server", "start", "web")
        domain = other.lookupByName("web")
        assert domain.isActive()
        here = servers.left(lab, "kvm3")
        assert here.filters
        assert (here.filters, here.reserved) == (before.filters, before.reserved)
        web.ok("server", "reboot", "--hard", "web")

        # What it left there is owed, and taken away: that is another disk than this host's.
        (owed,) = web("operation", "list", "-f", "json").json
        assert (owed["Kind"], owed["Host"], owed["State"]) == ("move", "kvm1", "owed")
        assert before.volumes
        web.ok("operation", "resume", owed["ID"])
        assert not servers.left(lab, "kvm1")
        assert web("operation", "list", "-f", "json").json == []
        assert domain.isActive()
        web.ok("server", "stop", "web")

        # And back again, seen by nobody until something is to be done to it.
        carried(lab, uuid, "kvm3", "kvm1")
        domain.undefine()
        domain = one.defineXML(xml)
        web.ok("server", "start", "web")
        assert servers.show(web, "web")["vmctl:host"] == "kvm1"
        assert domain.isActive()


def test_after_its_host_lost_power_it_is_unknown_until_it_is_seen(web: Vmctl, lab: Lab) -> None:
    lab.do("power-off", "kvm1")
    dead = web("server", "refresh")
    assert (dead.code, status(web)) == (14, "UNKNOWN")
    assert "kvm1" in dead.err
    assert web("server", "stop", "web").code == 11

    lab.do("power-on", "kvm1")
    web.ok("host", "list", "--refresh")
    assert status(web) == "UNKNOWN"

    assert told(web) == ["web on kvm1: ACTIVE -> SHUTOFF"]
    assert status(web) == "SHUTOFF"


def test_one_that_nobody_has_seen_since_it_was_made_is_unknown_then_too(
    web: Vmctl, lab: Lab
) -> None:
    made = servers.create(web, "plain", "--no-security-group", on="kvm1")
    assert (made.code, status(web, "plain")) == (0, "ACTIVE")

    lab.do("power-off", "kvm1")
    lab.do("power-on", "kvm1")
    web.ok("host", "list", "--refresh")

    assert status(web, "plain") == "UNKNOWN"
    web.ok("server", "delete", "plain")


def test_a_pass_finds_what_is_left_and_takes_it_away_on_request(
    web: Vmctl, lab: Lab, tmp_path: Path
) -> None:
    xml = tmp_path / "web.xml"
    xml.write_text(lab.virsh_ok("kvm1", "dumpxml", "--inactive", "--security-info", "web"))
    assert web("sync").code == 0
    web.ok("server", "delete", "web")
    lab.virsh_ok("kvm1", "define", str(xml))

    dry = web("sync", "--images-older-than", "0", "-f", "json")
    again = web("sync", "--fix", "-f", "json")
    last = web("sync")

    domains = [one for one in dry.json if one["Task"] == "domains"]
    assert (dry.code, [one["Result"] for one in domains]) == (16, ["left"])
    assert [(one["Task"], one["Result"], one["Host"]) for one in again.json] == [
        ("domains", "done", "kvm1")
    ]
    assert (again.code, last.code, last.out.strip()) == (0, 0, "")
    assert not servers.left(lab, "kvm1").domains
