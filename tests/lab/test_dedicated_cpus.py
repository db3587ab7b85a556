"""CPUs of servers' own on a real host: pinned, seen by others, given back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.lab import stock
from tests.lab.outside import Lab
from tests.lab.servers import LONG, ZONES, create, left, show
from tests.lab.vmctl import Ended, Vmctl
from tests.support.stood import identity

HOST = "kvm2"
SOMEBODYS = f"""<domain type='qemu'><name>somebodys</name><uuid>{identity("somebodys")}</uuid>
<memory unit='MiB'>16</memory><vcpu>1</vcpu>
<cputune><{{how}} cpuset='1'/></cputune>
<os><type>hvm</type></os></domain>"""


@pytest.fixture
def own(maker: Vmctl) -> Vmctl:
    """An operator whose kvm2 gives out its second CPU, with a flavor that asks for one."""
    mine = maker.changed((rf"( {HOST}:\n)", r"\1    dedicated_cpus: 1\n"))
    words = ("--ram", "128", "--disk", "1", "--property", "hw:cpu_policy=dedicated")
    mine.ok("flavor", "create", *words, "own")
    return mine


def pins(lab: Lab, name: str) -> tuple[dict[str, str], set[str]]:
    """To which CPU each vCPU of a domain is pinned, and on which all of its threads may run."""
    said = dict(re.findall(r"(\d+)\s+(\S+)", lab.virsh_ok(HOST, "-q", "vcpupin", name)))
    threads = f"/proc/$(cat /run/libvirt/qemu/{name}.pid)/task/*/status"
    allowed = lab.do("inside", HOST, "sh", "-c", f"grep -h ^Cpus_allowed_list: {threads}")
    return said, {line.split()[1] for line in allowed.splitlines()}


def create_own(mine: Vmctl, name: str, place: str = f"--host={HOST}") -> Ended:
    words = ("--flavor", "own", "--image", stock.IMAGE, "--network", "default", place)
    return mine("server", "create", name, *words, seconds=LONG)


def host(mine: Vmctl) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(mine.ok("host", "show", HOST, "--refresh", "-f", "json"))
    return found


def test_one_server_has_the_cpu_and_all_others_the_rest(shared_lab: Lab, own: Vmctl) -> None:
    made = create_own(own, "pinned")
    shared = create(own, "shared", "--network", "default", on=HOST)

    assert (made.code, shared.code) == (0, 0), made.err + shared.err
    # The lab emulates: such a machine has its CPUs as a whole, every thread of it.
    assert pins(shared_lab, "pinned") == ({"0": "1"}, {"1"})
    assert pins(shared_lab, "shared") == ({"0": "0"}, {"0"})
    assert json.loads(own.ok("server", "show", "pinned", "--topology", "-f", "json"))["topology"][
        "nodes"
    ][0]["cpu_pinning"] == {"0": 1}
    seen = host(own)
    assert (seen["vcpus"], seen["dedicated_cpus"], seen["dedicated_cpus_used"]) == (1, "1", "1")

    second = create_own(own, "second")
    assert second.code == 10
    why = own("placement", "explain", "second").out
    assert "DedicatedCpus: needs 1 dedicated CPU, 0 of 1 free" in why

    own.ok("server", "reboot", "--hard", "pinned")
    assert pins(shared_lab, "pinned") == ({"0": "1"}, {"1"})

    own.ok("server", "delete", "pinned", "second")
    assert create_own(own, "third").code == 0
    assert pins(shared_lab, "third") == ({"0": "1"}, {"1"})
    own.ok("server", "delete", "third", "shared")
    assert not left(shared_lab, HOST)


@pytest.mark.parametrize("how", ["vcpupin vcpu='0'", "emulatorpin"])
def test_a_cpu_that_somebodys_machine_is_bound_to_is_left_alone(
    shared_lab: Lab, own: Vmctl, how: str
) -> None:
    xml = SOMEBODYS.format(how=how)
    shared_lab.do("inside", HOST, "sh", "-c", f'printf %s "{xml}" >/tmp/it; virsh define /tmp/it')

    refused = create_own(own, "web")
    forced = create_own(own, "forced", f"--availability-zone={ZONES[HOST]}:{HOST}")

    assert (refused.code, forced.code) == (10, 10)
    assert "needs 1 dedicated CPU, 0 of 1 free" in forced.err
    assert host(own)["dedicated_cpus_used"] == "1"
    assert {show(own, one)["status"] for one in ("web", "forced")} == {"ERROR"}
    assert left(shared_lab, HOST).domains == {"somebodys"}
    shared_lab.virsh_ok(HOST, "undefine", "somebodys")
    own.ok("server", "delete", "web", "forced")
