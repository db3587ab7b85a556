"""Reading of real servers: as they are on their hosts, from inside, and from their consoles."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.images import READY
from tests.lab.outside import Lab, image
from tests.lab.vmctl import Vmctl


@pytest.fixture
def operator(vmctl: Vmctl, lab: Lab) -> Vmctl:
    """An operator with the small guest's image, a key and a flavor for it."""
    small = str(image("small"))
    vmctl.ok("image", "create", "mini", "--file", small, "--property", "os_admin_user=root")
    vmctl.ok("keypair", "create", "ops", "--public-key", f"{lab.plan.key}.pub")
    vmctl.ok("flavor", "create", "t", "--ram", "128", "--disk", "1")
    return vmctl


@contextlib.contextmanager
def created(vmctl: Vmctl, name: str, host: str, *words: str) -> Iterator[str]:
    """A server on this host, gone afterwards even if the host was down."""
    wish = ("--flavor", "t", "--image", "mini", "--key-name", "ops", "--wait-for", "ssh")
    ended = vmctl("server", "create", name, *wish, "--host", host, *words, seconds=180)
    try:
        assert ended.code == 0, ended.err
        yield name
    finally:
        vmctl("server", "delete", name)


def shown(vmctl: Vmctl, name: str, *words: str) -> Any:
    return json.loads(vmctl.ok("server", "show", name, *words, "-f", "json"))


def status(vmctl: Vmctl, *words: str) -> str:
    return vmctl.ok("server", "list", *words, "-f", "value", "-c", "Status").strip()


@pytest.mark.parametrize("host", ["kvm2", "kvm3"])
def test_a_server_behind_nat_is_entered_through_its_host_and_read(
    operator: Vmctl, lab: Lab, host: str
) -> None:
    key = ("-i", str(lab.plan.key))

    with created(operator, "web", host, "--network", "default"):
        ended = operator("ssh", "web", *key, "--", "hostname; exit 3")
        quoted = operator("ssh", "web", *key, "--", "echo", "a  b", "$HOME")
        said = operator.ok("console", "log", "show", "web")
        last = operator.ok("console", "log", "show", "web", "--lines", "1")
        seen = shown(operator, "web", "--refresh")

    assert (ended.code, ended.out) == (3, "web\n")
    assert quoted.out == "a  b $HOME\n"
    assert READY in said
    # A lone carriage return within the line counts as a line's end here.
    assert (len(last.splitlines()) <= 2, said.endswith(last)) == (True, True)
    (card,) = seen["vmctl:addresses"]
    assert {one["address"] for one in card["observed"]} == set(card["planned"])
    assert "lease" in {one["source"] for one in card["observed"]}


def test_another_key_at_the_same_server_is_refused(operator: Vmctl, lab: Lab) -> None:
    key = ("-i", str(lab.plan.key))
    known = operator.home / "state/vmctl/known_hosts"

    with created(operator, "web", "kvm1", "--network", "default"):
        first = operator("ssh", "web", *key, "--", "true")
        (line,) = known.read_text().splitlines()
        own = Path(f"{lab.plan.key}.pub").read_text().split()
        known.write_text(" ".join((line.split()[0], *own[:2])) + "\n")
        second = operator("ssh", "web", *key, "--", "true")

    assert (first.code, second.code) == (0, 255)
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in second.err


def test_a_refresh_sees_what_was_done_behind_our_back(operator: Vmctl, lab: Lab) -> None:
    with created(operator, "web", "kvm1"):
        lab.virsh_ok("kvm1", "suspend", "web")
        before, paused = status(operator), status(operator, "--refresh")
        lab.virsh_ok("kvm1", "destroy", "web")
        stopped = operator("server", "list", "--refresh", "-f", "value", "-c", "Status")
        lab.virsh_ok("kvm1", "undefine", "web")
        gone = operator("server", "list", "--refresh", "-f", "value", "-c", "Status")

    assert (before, paused) == ("ACTIVE", "PAUSED")
    assert stopped.out == "SHUTOFF\n"
    assert stopped.told == ["web on kvm1: PAUSED -> SHUTOFF"]
    assert gone.out == "ERROR\n"
    (told,) = gone.told
    assert told.startswith("web on kvm1: SHUTOFF -> ERROR: its domain is gone from kvm1")


def test_the_servers_of_a_host_without_power_are_unknown(operator: Vmctl, lab: Lab) -> None:
    with created(operator, "web", "kvm2"):
        lab.do("power-off", "kvm2")
        ended = operator("server", "list", "--refresh", "-f", "value", "-c", "Status")
        recorded = status(operator)
        lab.do("power-on", "kvm2")

    assert (ended.code, ended.out, recorded) == (0, "UNKNOWN\n", "UNKNOWN")
    assert "no answer within" in ended.err
