"""The machine on the guests' LAN that is not ours: it listens, knocks, and hears what passes by.

Run inside its namespace: `python -m tests.lab neighbour VERB …`. It knows nothing of vmctl.
"""

from __future__ import annotations

import json
import os
import select
import selectors
import socket
import subprocess
import sys
from ipaddress import IPv6Address, ip_address

from tests.lab.plan import LabPlan, prefix

GREETING = b"the neighbour greets you\n"
WAIT = 4.0
"""Seconds after which nothing that was knocked at is taken for silent."""

EVERY = 0x0003
"""Frames of whatever protocol."""


def enter(plan: LabPlan, words: list[str]) -> None:
    """Become a process of the neighbour's that does this; there is no way back."""
    inside = ["ip", "netns", "exec", f"{prefix(plan.lab)}neighbour"]
    os.execvp("ip", [*inside, sys.executable, "-m", "tests.lab.neighbour", *words])  # noqa: S606 - none


def main(words: list[str]) -> int:
    match words:
        case ["knock", protocol, address, port]:
            print(knock(protocol, address, int(port)))
        case ["ping", address]:
            return subprocess.run(["ping", "-c", "2", "-W", "5", address], check=False).returncode
        case ["forget"]:
            return subprocess.run(["ip", "neigh", "flush", "all"], check=False).returncode
        case ["serve", port]:
            serve(int(port))
        case ["hear"]:
            hear()
        case _:
            raise SystemExit("knock tcp|udp ADDRESS PORT, ping ADDRESS, forget, serve PORT, hear")
    return 0


def knock(protocol: str, address: str, port: int) -> str:
    """Say whether a port is open, closed (its machine says so), or silent."""
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as one:
        one.settimeout(WAIT)
        try:
            one.connect((address, port))
            if protocol == "udp":
                one.send(b"?")
                one.recv(1)
        except ConnectionRefusedError:
            return "closed"
        except OSError:
            return "silent"
        return "open"


def serve(port: int) -> None:
    """Greet whoever comes by TCP or UDP, over both families, until stdin ends."""
    chosen = selectors.DefaultSelector()
    chosen.register(sys.stdin, selectors.EVENT_READ)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        one = socket.socket(socket.AF_INET6, kind)
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        one.bind(("::", port))
        if kind is socket.SOCK_STREAM:
            one.listen()
        chosen.register(one, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in chosen.select():
            if not isinstance(key.fileobj, socket.socket):
                return
            if key.fileobj.type == socket.SOCK_STREAM:
                with key.fileobj.accept()[0] as caller:
                    caller.sendall(GREETING)
            else:
                _, caller_at = key.fileobj.recvfrom(100)
                key.fileobj.sendto(GREETING, caller_at)


def hear() -> None:
    """Listen to the wire until stdin ends, then tell the senders' MACs and addresses."""
    macs: set[str] = set()
    addresses: set[str] = set()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(EVERY)) as wire:
        wire.bind(("eth0", EVERY))
        print("ready", flush=True)
        while wire in (ready := select.select([wire, sys.stdin], [], [])[0]) or not ready:
            frame, place = wire.recvfrom(2048)
            if place[2] == socket.PACKET_OUTGOING:
                continue
            macs.add(frame[6:12].hex(":"))
            addresses |= _senders(frame)
    print(json.dumps({"macs": sorted(macs), "addresses": sorted(addresses)}), flush=True)


def _senders(frame: bytes) -> set[str]:
    """Whom a frame says it is from; for ARP also by whose MAC the address is said to be."""
    match int.from_bytes(frame[12:14]), frame[14:]:
        case 0x0800, packet:
            return {socket.inet_ntoa(packet[12:16])}
        case 0x86DD, packet:
            return {str(IPv6Address(packet[8:24]))}
        case 0x0806, packet:
            return {socket.inet_ntoa(packet[14:18]), packet[8:14].hex(":")}
    return set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
