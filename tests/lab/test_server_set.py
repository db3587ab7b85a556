"""What is said of a server, said otherwise: seen by plain tools on its host, and in its guest."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace

from tests.lab.outside import Lab
from tests.lab.servers import assert_clean, create, show
from tests.lab.vmctl import Vmctl

HOST = "kvm2"


def domains(lab: Lab) -> set[str]:
    return set(lab.virsh_ok(HOST, "list", "--all", "--name").split())


def record(lab: Lab, name: str) -> str:
    return lab.virsh_ok(HOST, "metadata", name, "urn:vmctl:server:1")


def known_as(lab: Lab) -> set[str]:
    net = lab.virsh_ok(HOST, "net-dumpxml", "default")
    return set(re.findall(r"<host mac='52:54:00:(?!f0:)[^>]*name='([^']+)'", net))


def autostarts(lab: Lab) -> set[str]:
    return set(lab.virsh_ok(HOST, "list", "--all", "--autostart", "--name").split())


def in_guest(mine: Vmctl, name: str, *words: str) -> str:
    """Run a command in a guest, once its agent is up."""
    until = time.monotonic() + 60
    while (ended := mine("server", "exec", name, "--", *words)).code:
        assert time.monotonic() < until, ended
        time.sleep(0.5)
    return ended.out


def test_a_running_server_is_named_tagged_and_given_a_password(
    shared_lab: Lab, maker: Vmctl
) -> None:
    assert create(maker, "old", "--network", "default", "--tag", "t1", on=HOST).code == 0
    changed = maker(
        *("server", "set", "old", "--name", "new", "--tag", "t2", "--property", "role=<db>"),
        *("--description", "the 'shop'", "--hostname", "shop", "--autostart", "--protected"),
    )
    assert (changed.code, changed.out) == (0, "")
    assert "its domain is called old until it is off" in changed.err

    assert {"old"} == domains(shared_lab) & {"old", "new"}
    assert '"tags":["t1","t2"]' in record(shared_lab, "old")
    assert known_as(shared_lab) == {"shop"}
    assert "old" in autostarts(shared_lab)

    # A password reaches the guest as a hash, and a hash only.
    assert "root:$6$" not in in_guest(maker, "new", "cat", "/etc/shadow")
    given = maker("server", "set", "new", "--password", "-", stdin="correct horse\n")
    assert (given.code, given.out, given.err) == (0, "", "")
    assert "root:$6$" in in_guest(maker, "new", "cat", "/etc/shadow")

    # The domain follows once it is off; one that switched itself off, at its next start.
    shared_lab.virsh_ok(HOST, "destroy", "old")
    assert maker("server", "start", "new").code == 0
    assert {"new"} == domains(shared_lab) & {"old", "new"}
    shown = show(maker, "new")
    assert (shown["OS-EXT-SRV-ATTR:instance_name"], shown["status"]) == ("new", "ACTIVE")

    # A lost database has it all from the host.
    lost = replace(maker, home=maker.home.parent / "another")
    lost.home.mkdir()
    assert lost("db", "rebuild", "--host", HOST).code == 0
    back = show(lost, "new")
    assert (back["tags"], back["properties"]) == (["t1", "t2"], {"role": "<db>"})
    assert (back["description"], back["OS-EXT-SRV-ATTR:hostname"]) == ("the 'shop'", "shop")

    # The first operator goes on; what is off is named at once.
    assert maker("server", "stop", "--force", "new").code == 0
    maker.ok("server", "set", "new", "--name", "old", "--no-autostart")
    maker.ok("server", "unset", "old", "--all-tags", "--description")
    assert {"old"} == domains(shared_lab) & {"old", "new"}
    assert "old" not in autostarts(shared_lab)
    assert maker("server", "reboot", "--hard", "old").code == 0
    assert '"tags":[]' in record(shared_lab, "old")
    told = [
        one["Action"] for one in json.loads(maker.ok("events", "--server", "old", "-f", "json"))
    ]
    assert told.count("server-set") == 6
    assert maker("server", "delete", "--force", "old").code == 0
    assert_clean(shared_lab, HOST)
