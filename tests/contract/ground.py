"""What a contract test stands on: a hypervisor, and hands on the host that are not vmctl's."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from vmctl.domain.host import Host
from vmctl.ports import BaseCache, Hypervisor

RECORD = (
    '<v:server xmlns:v="urn:vmctl:server:1" number="{number}">{{"name": "a &lt; b"}}</v:server>'
)

_AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
_CONSOLE = "<serial type='pty'/>"
_CARD = (
    "<interface type='network'><mac address='{mac}'/><source network='default'/>"
    "<model type='virtio'/></interface>"
)
_SCREEN = "<graphics type='vnc' port='-1' listen='127.0.0.1' passwd=''/>"


class Ground(Protocol):
    """One host with the hypervisor under test, and what its own administrator can see and do."""

    @property
    def name(self) -> str:
        """The host's name."""

    @property
    def hypervisor(self) -> Hypervisor:
        """What is tested."""

    @property
    def host(self) -> Host:
        """The host itself."""

    @property
    def cache(self) -> BaseCache:
        """What is tested of the base images on it."""

    @property
    def now(self) -> float:
        """What time it is there."""

    @property
    def pool(self) -> str:
        """A pool that is a folder."""

    @property
    def plain_pool(self) -> str:
        """A pool that holds no qcow2."""

    @property
    def stopped_pool(self) -> str:
        """A pool that is defined and not started."""

    @property
    def network(self) -> str:
        """A network with a DHCP for 192.168.77.0/24 and fd77::/64; it need not run."""

    @property
    def bare_network(self) -> str:
        """A network with no DHCP of its own."""

    def pause(self, uuid: str) -> None:
        """Pause a machine."""

    def save(self, uuid: str) -> None:
        """Save a machine's memory, so that its next start goes on from there."""

    def promises(self, network: str) -> dict[str, str]:
        """What a network's DHCP promises: for each address the MAC, or a DUID made of it."""

    def promise(self, network: str, mac: str, address: str) -> None:
        """Promise an address of a network to somebody else's card."""

    def remember(self, mac: str, address: str) -> None:
        """Have the host remember that a card had an address, on its network `default`."""

    def put(self, name: str, content: bytes) -> None:
        """Have a file in the pool of which nobody told its hypervisor."""

    def screen_password(self, uuid: str) -> tuple[str, float]:
        """The password that the screen of a machine asks for, and for how many seconds."""

    def filter(self, name: str) -> str | None:
        """The XML of a network filter."""

    def guest(self, folder: Path) -> AbstractContextManager[str] | None:
        """The uuid of a machine whose guest is up with an agent; None where another ground's does.

        Its programs are found by name, among them sh, cat and sleep.
        """


def domain_xml(
    uuid: str,
    name: str,
    *,
    number: int = 1,
    record: bool = True,
    agent: bool = False,
    console: bool = False,
    screen: bool = False,
    mac: str = "",
) -> str:
    """A machine that starts at once and idles in its firmware, for it has no disk.

    With a MAC it has a card on the network `default`, and nobody who uses it.
    """
    metadata = f"<metadata>{RECORD.format(number=number)}</metadata>" if record else ""
    more = f"{_AGENT if agent else ''}{_CONSOLE if console else ''}{_SCREEN if screen else ''}"
    more += _CARD.format(mac=mac) if mac else ""
    return f"""
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  {metadata}
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>{more}<memballoon model='none'/></devices>
</domain>"""


def filter_xml(name: str, port: int) -> str:
    """A filter that lets one port in."""
    return f"""
<filter name='{name}' chain='root'>
  <rule action='accept' direction='in' priority='500'><tcp dstportstart='{port}'/></rule>
</filter>"""
