"""The ground on a real host of the lab, reached as its login is."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import libvirt

from tests.lab.guests import guest
from tests.lab.outside import Lab
from tests.lab.reach import Reach
from vmctl.adapters.base_prune import BasePruner
from vmctl.adapters.hypervisor import LibvirtHypervisors, Limits
from vmctl.domain.host import Host
from vmctl.ports import BaseCache, Hypervisor

LIMITS = Limits(ask=5.0, act=30.0, patience=5.0)

NETWORK = "contract-net"
_NETWORK = f"""
<network>
  <name>{NETWORK}</name>
  <bridge name='virbr77'/>
  <ip address='192.168.77.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.77.2' end='192.168.77.254'/></dhcp>
  </ip>
  <ip family='ipv6' address='fd77::1' prefix='64'>
    <dhcp><range start='fd77::100' end='fd77::1ff'/></dhcp>
  </ip>
</network>"""
_BARE = "contract-bare"
_BARE_NETWORK = (
    f"<network><name>{_BARE}</name><forward mode='bridge'/><bridge name='br-lan'/></network>"
)
_PLAIN = "contract-plain"
_PLAIN_POOL = (
    f"<pool type='mpath'><name>{_PLAIN}</name><target><path>/dev/mapper</path></target></pool>"
)
_BRIDGE = "virbr0"
_WITH_GUEST = "kvm2"
_STOPPED = "contract-stopped"
_STOPPED_POOL = (
    f"<pool type='dir'><name>{_STOPPED}</name><target><path>/var/empty</path></target></pool>"
)


@dataclass(frozen=True, kw_only=True)
class LabGround:
    """See the protocol for what each part is."""

    name: str
    host: Host
    hypervisor: Hypervisor
    cache: BaseCache
    on: libvirt.virConnect
    lab: Lab
    pool: str = "default"
    plain_pool: str = _PLAIN
    stopped_pool: str = _STOPPED
    network: str = NETWORK
    bare_network: str = _BARE

    @property
    def now(self) -> float:
        return time.time()

    def pause(self, uuid: str) -> None:
        self.on.lookupByUUIDString(uuid).suspend()

    def save(self, uuid: str) -> None:
        self.on.lookupByUUIDString(uuid).managedSave(0)

    def promises(self, network: str) -> dict[str, str]:
        xml = self.on.networkLookupByName(network).XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE)
        hosts = ET.fromstring(xml).findall("ip/dhcp/host")
        return {host.get("ip", ""): host.get("mac") or host.get("id") or "" for host in hosts}

    def promise(self, network: str, mac: str, address: str) -> None:
        self.on.networkLookupByName(network).update(
            libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST,
            libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST,
            0,
            f"<host mac='{mac}' ip='{address}'/>",
            libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG,
        )

    def remember(self, mac: str, address: str) -> None:
        entry = {"ip-address": address, "mac-address": mac, "expiry-time": int(self.now) + 3000}
        status = f"/var/lib/libvirt/dnsmasq/{_BRIDGE}.status"
        held = self.lab.do("inside", self.name, "sh", "-c", f"cat {status} 2>/dev/null || true")
        leases = json.dumps([*json.loads(held or "[]"), entry])
        table = f"ip neigh replace {address} dev {_BRIDGE} lladdr {mac} nud stale"
        script = f"printf %s {shlex.quote(leases)} >{status}; {table}"
        self.lab.do("inside", self.name, "sh", "-c", script)

    def put(self, name: str, content: bytes) -> None:
        path = f"/var/lib/libvirt/images/{name}"
        script = f"umask 77; printf %s {shlex.quote(content.decode())} >{path}"
        self.lab.do("inside", self.name, "sh", "-c", script)

    def screen_password(self, uuid: str) -> tuple[str, float]:
        xml = self.on.lookupByUUIDString(uuid).XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
        found = ET.fromstring(xml).find("devices/graphics")
        assert found is not None
        until = datetime.fromisoformat(f"{found.get('passwdValidTo')}+00:00")
        return found.get("passwd", ""), until.timestamp() - time.time()

    def filter(self, name: str) -> str | None:
        try:
            xml: str = self.on.nwfilterLookupByName(name).XMLDesc(0)
        except libvirt.libvirtError:
            return None
        return xml

    def guest(self, folder: Path) -> contextlib.AbstractContextManager[str] | None:
        return _guest(self.lab, self.name, folder) if self.name == _WITH_GUEST else None


@contextlib.contextmanager
def lab_ground(reach: Reach, name: str) -> Iterator[LabGround]:
    """A host of the lab, with the pools and networks of the contract for as long as it lasts."""
    host = reach.host(name, virt_type="qemu")
    on = reach.libvirt.connection(host)
    hypervisor = LibvirtHypervisors(reach.libvirt, reach.shells, LIMITS).on(host)
    with contextlib.ExitStack() as stack:
        stack.callback(on.networkDefineXML(_NETWORK).undefine)
        stack.callback(on.networkDefineXML(_BARE_NETWORK).undefine)
        stack.callback(on.storagePoolCreateXML(_PLAIN_POOL, 0).destroy)
        stack.callback(on.storagePoolDefineXML(_STOPPED_POOL, 0).undefine)
        yield LabGround(
            name=name,
            host=host,
            hypervisor=hypervisor,
            cache=BasePruner(reach.shells, reach.libvirt, reach.leases),
            on=on,
            lab=reach.lab,
        )


@contextlib.contextmanager
def _guest(lab: Lab, host: str, folder: Path) -> Iterator[str]:
    with guest(lab, host, folder) as made:
        made.virsh("start", made.name)
        made.wait_ready(folder)
        yield made.virsh("domuuid", made.name).strip()
