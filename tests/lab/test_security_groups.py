"""Security groups on the guests' LAN, held to by a machine there that is not ours."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.lab.outside import Lab, plain
from tests.lab.plan import NEIGHBOUR, lan_v6, network
from tests.lab.test_host_check import FILTERS
from tests.lab.vmctl import Vmctl
from tests.support.children import started

FALSE_MAC = "52:54:00:00:00:88"
LISTEN = "httpd -p 8080 -h /run; wget -qO /dev/null -T 5 http://127.0.0.1:8080/lock/ 2>&1 || true"

OUTWARDS = """
for address in {four} {six}; do
    ping -c 2 -W 5 $address >/dev/null && echo "ping $address"
    nc -w 5 $address 9000 </dev/null | grep -q greets && echo "tcp $address"
done
true
"""

AS_ANOTHER = """
ip addr add {false4}/24 dev eth0
ip -6 addr add {false6}/64 dev eth0 nodad
for from in {false4} {false6}; do
    case $from in *:*) to={six} ;; *) to={four} ;; esac
    ping -c 2 -W 2 -I $from $to >/dev/null && echo "$from was answered"
done
arping -U -c 2 -I eth0 -s {false4} {false4} >/dev/null
ip addr del {false4}/24 dev eth0
ip -6 addr del {false6}/64 dev eth0
read true_mac </sys/class/net/eth0/address
ip link set eth0 address {false_mac}
cat /sys/class/net/eth0/address
ip neigh flush dev eth0 >/dev/null 2>&1
ping -c 2 -W 2 {four} >/dev/null && echo "a false MAC was answered"
ip link set eth0 address $true_mac
ip neigh flush dev eth0 >/dev/null 2>&1
ping -c 2 -W 5 {four} >/dev/null && echo well
ping -c 2 -W 5 {six} >/dev/null && echo well
"""


def knock(lab: Lab, *doors: tuple[str, str, int]) -> list[str]:
    """Let the neighbour knock at all of them at once: each protocol, address and port."""
    with ThreadPoolExecutor(len(doors)) as pool:
        return list(pool.map(lambda one: _knock(lab, *one), doors))


def _knock(lab: Lab, protocol: str, address: str, port: int) -> str:
    return lab.do("neighbour", "knock", protocol, address, str(port)).strip()


@contextlib.contextmanager
def neighbour(lab: Lab, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The neighbour at something that ends when its stdin does."""
    with started(
        lab.command("neighbour", *words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
        if child.stdin is not None and not child.stdin.closed:
            child.stdin.close()


def heard(child: subprocess.Popen[str]) -> dict[str, set[str]]:
    said, _ = child.communicate(timeout=30)
    return {name: set(values) for name, values in json.loads(said).items()}


def make(vmctl: Vmctl, **servers: tuple[str, ...]) -> None:
    """Make servers on the LAN that answer ssh, side by side."""
    common = (
        *("--flavor", "m1.mini", "--image", "mini", "--key-name", "lab", "--network", "lan"),
        *("--wait-for", "ssh", "--timeout", "240"),
    )
    started = [vmctl.start("server", "create", *common, *servers[one], one) for one in servers]
    for child in started:
        _, err = child.communicate(timeout=300)
        assert child.returncode == 0, err


def addresses(vmctl: Vmctl, name: str) -> tuple[str, str, dict[str, Any]]:
    """Its addresses of each family, and all that show says."""
    shown = json.loads(vmctl.ok("server", "show", name, "-f", "json"))
    four, six = sorted(shown["addresses"]["lan"], key=lambda one: ":" in one)
    return four, six, shown


def inside(vmctl: Vmctl, name: str, script: str) -> str:
    key = ("-i", str(vmctl.lab.plan.key))
    ended = vmctl("ssh", name, *key, "-l", "root", "--", script, seconds=120)
    assert ended.code in (0, 1), ended.err
    return ended.out


def test_a_group_lets_in_what_it_says_and_a_server_is_heard_as_itself_alone(
    lab: Lab, stocker: Vmctl
) -> None:
    number = lab.plan.lab
    four, six = f"{network(number, 'lan')}.{NEIGHBOUR}", f"{lan_v6(number)}{NEIGHBOUR}"
    false = {"false4": f"{network(number, 'lan')}.88", "false6": f"{lan_v6(number)}88"}
    stocker.ok("flavor", "create", "m1.mini", "--ram", "128", "--disk", "0")
    stocker.ok("security", "group", "create", "web")
    for protocol, port in (("tcp", "8080"), ("udp", "5353")):
        for remote in (four, six):
            rule = ("--protocol", protocol, "--dst-port", port, "--remote-ip", remote)
            stocker.ok("security", "group", "rule", "create", *rule, "web")
    groups = ("--security-group", "default", "--security-group", "web")
    make(stocker, closed=("--host", "kvm1"), open=("--host", "kvm2", *groups))
    closed4, closed6, shown = addresses(stocker, "closed")
    open4, open6, _ = addresses(stocker, "open")
    for name in ("closed", "open"):
        inside(stocker, name, LISTEN)
    # Servers of other tests had these addresses a moment ago.
    lab.do("neighbour", "forget")

    # In comes ssh and ping, and where a group says so, what it says.
    for address in (closed4, closed6, open4, open6):
        assert _ping(lab, address)
        assert knock(lab, ("tcp", address, 22)) == ["open"]
    closed = [
        (protocol, address, port)
        for address in (closed4, closed6)
        for protocol, port in (("tcp", 8080), ("udp", 5353))
    ]
    assert set(knock(lab, *closed, ("tcp", open4, 8081), ("tcp", open6, 8081))) == {"silent"}
    # At the second of each nobody listens, and the guest itself says so.
    assert knock(lab, ("tcp", open4, 8080), ("udp", open4, 5353)) == ["open", "closed"]
    assert knock(lab, ("tcp", open6, 8080), ("udp", open6, 5353)) == ["open", "closed"]

    # Out goes everything.
    with neighbour(lab, "serve", "9000"):
        said = inside(stocker, "closed", OUTWARDS.format(four=four, six=six)).split("\n")
    assert {f"{kind} {one}" for kind in ("ping", "tcp") for one in (four, six)} <= set(said)

    # But not under another's name.
    with neighbour(lab, "hear") as child:
        script = AS_ANOTHER.format(four=four, six=six, false_mac=FALSE_MAC, **false)
        said = inside(stocker, "closed", script).split("\n")
        wire = heard(child)
    assert said == [FALSE_MAC, "well", "well", ""]
    (card,) = shown["vmctl:addresses"]
    assert card["mac"] in wire["macs"]
    assert {closed4, closed6} <= wire["addresses"]
    assert FALSE_MAC not in wire["macs"]
    assert not {*false.values(), FALSE_MAC} & wire["addresses"]


def _ping(lab: Lab, address: str) -> bool:
    done = plain(*lab.command("neighbour", "ping", address), seconds=60)
    return done.returncode == 0


def test_where_a_bridge_passes_by_the_filter_a_create_is_refused_or_says_so(
    lab: Lab, stocker: Vmctl
) -> None:
    stocker.ok("flavor", "create", "m1.mini", "--ram", "128", "--disk", "0")
    create = (
        *("server", "create", "bare", "--flavor", "m1.mini", "--image", "mini", "--no-start"),
        *("--network", "lan", "--host", "kvm3"),
    )
    stocker.ok("host", "list", "--refresh")
    for name in FILTERS:
        lab.do("inside", "kvm3", "sysctl", "-w", f"{name}=0")
    try:
        # What was heard of the host a moment ago says that it filters.
        late = stocker(*create)
        refused = stocker(*create, "--refresh")
        allowed = stocker(*create, "--allow-unenforced", "-f", "json")
    finally:
        for name in FILTERS:
            lab.do("inside", "kvm3", "sysctl", "-w", f"{name}=1")

    assert (late.code, refused.code) == (11, 10)
    for ended in (late, refused):
        assert "kvm3 cannot enforce security groups on lan" in ended.err
        assert "--allow-unenforced" in ended.err
    assert allowed.code == 0, allowed.err
    assert "warning: bare on kvm3: security groups are not enforced on lan" in allowed.err
    (card,) = json.loads(allowed.out)["vmctl:enforcement"]
    assert card["enforcement"] == "not enforced"
    assert card["security_groups"] == ["default"]
    (event, *_) = json.loads(stocker.ok("server", "event", "list", "bare", "--long", "-f", "json"))
    assert event["Message"] == "security groups are not enforced on lan"
    assert event["Result"] == "done"
