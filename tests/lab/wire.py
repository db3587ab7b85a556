"""The cables: what joins the hosts to each other, to the operator and to a neighbour.

The switches live in a namespace of their own, so that this machine's firewall, routes and bridges
never touch the lab: all it sees is two links, into the management network and the guests' LAN.
"""

from __future__ import annotations

from pathlib import Path

from tests.lab.plan import NEIGHBOUR, HostPlan, lan_v6, network, prefix
from tests.lab.shell import LabError, ip_batch, namespaces, run

PORTS = ("mgmt", "lan", "inner")
"""A host's cables; one behind a jump host lacks mgmt."""


def lay_wire(lab: int) -> None:
    """Make the switches, the operator's links and the neighbour; what is there already stays."""
    wire, neighbour, start = f"{prefix(lab)}wire", f"{prefix(lab)}neighbour", prefix(lab)
    there = namespaces()
    if wire not in there:
        run("ip", "netns", "add", wire)
        ip_batch(
            ["link set lo up"]
            + [f"link add {port} type bridge forward_delay 0" for port in PORTS]
            + [f"link set {port} up" for port in PORTS],
            netns=wire,
        )
        ip_batch(
            [
                f"link add {start}{port} type veth peer name operator-{port} netns {wire}"
                for port in ("mgmt", "lan")
            ]
            + [f"link set {start}{port} up" for port in ("mgmt", "lan")]
            + [
                f"addr add {network(lab, 'mgmt')}.1/24 dev {start}mgmt",
                f"addr add {network(lab, 'lan')}.1/24 dev {start}lan",
                f"addr add {lan_v6(lab)}1/64 dev {start}lan nodad",
                # Without this the machine would ask its own gateway for the inner network.
                f"route add {network(lab, 'inner')}.0/24 dev {start}mgmt scope link",
            ],
        )
        ip_batch(
            [
                f"link set operator-{port} {word}"
                for port in ("mgmt", "lan")
                for word in (f"master {port}", "up")
            ],
            netns=wire,
        )
    if neighbour not in there:
        run("ip", "netns", "add", neighbour)
        ip_batch(
            [
                f"link add neighbour type veth peer name eth0 netns {neighbour}",
                "link set neighbour master lan",
                "link set neighbour up",
            ],
            netns=wire,
        )
        ip_batch(
            [
                "link set lo up",
                "link set eth0 up",
                f"addr add {network(lab, 'lan')}.{NEIGHBOUR}/24 dev eth0",
                f"addr add {lan_v6(lab)}{NEIGHBOUR}/64 dev eth0 nodad",
            ],
            netns=neighbour,
        )


def ports(host: HostPlan) -> tuple[str, ...]:
    """The cables that this host has."""
    return tuple(p for p in PORTS if not (p == "mgmt" and host.behind))


def plug_in(host: HostPlan) -> None:
    """Give a host its namespace, its links with their addresses, and its bridge br-lan."""
    wire = f"{prefix(host.lab)}wire"
    run("ip", "netns", "add", host.netns)
    for port in ports(host):
        end = wire_end(host, port)
        run("ip", "-n", wire, "link", "del", end, check=False)
        ip_batch(
            [
                f"link add {end} type veth peer {_card(host, port)}",
                f"link set {end} master {port}",
                f"link set {end} up",
            ],
            netns=wire,
        )
    last = 10 + host.number
    addresses = {
        "mgmt": f"addr add {network(host.lab, 'mgmt')}.{last}/24 dev mgmt",
        "inner": f"addr add {host.inner_address}/24 dev inner",
    }
    ip_batch(
        [
            "link set lo up",
            f"link add br-lan address {_mac(host, 'lan')} type bridge forward_delay 0",
            "link set lan master br-lan",
            "link set br-lan up",
        ]
        + [f"link set {port} up" for port in ports(host)]
        + [addresses[port] for port in ports(host) if port in addresses],
        netns=host.netns,
    )


def set_cables(host: HostPlan, state: str) -> None:
    """Pull every cable of a host at the switch ("down"), or put them back ("up")."""
    wire = f"{prefix(host.lab)}wire"
    ip_batch([f"link set {wire_end(host, port)} {state}" for port in ports(host)], netns=wire)


def unplug(netns: str) -> None:
    """Remove a namespace; its links go with it."""
    if netns in namespaces():
        run("ip", "netns", "del", netns)


def remove_links(lab: int) -> None:
    """Remove the operator's links, should their other ends have left them behind."""
    for line in run("ip", "-o", "link", "show").splitlines():
        name = line.split(":")[1].strip().split("@")[0]
        if name.startswith(prefix(lab)):
            run("ip", "link", "del", name, check=False)


def need_kernel() -> None:
    """Load the kernel's modules that the lab needs, where they are modules."""
    for module in ("bridge", "br_netfilter", "veth", "tun", "loop"):
        run("sh", "-c", f"modprobe -q {module} 2>/dev/null || true")
    if not Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists():
        raise LabError(
            "this kernel has no br_netfilter: nothing could filter on the hosts' bridges"
        )


def _card(host: HostPlan, port: str) -> str:
    return f"name {port} address {_mac(host, port)} netns {host.netns}"


def _mac(host: HostPlan, port: str) -> str:
    """The same at each start, as a network card's is: a host that returns is not a stranger."""
    return f"02:56:4d:{host.lab:02x}:{PORTS.index(port):02x}:{host.number:02x}"


def wire_end(host: HostPlan, port: str) -> str:
    return f"{host.name}-{port}"
