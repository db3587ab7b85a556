"""What stands on every host before anyone comes with vmctl, and stays as it is."""

from __future__ import annotations

import json
import random
import re
import shlex
import uuid
from pathlib import Path

from tests.lab.host import inside
from tests.lab.plan import HostPlan
from tests.lab.shell import LabError

RUNNING, OFF = "legacy-db", "old-build"
POOL, NETWORK, FILTER = "archive", "storage-net", "legacy-filter"
OFF_DISK = "old-build.img"

DUMPS = {
    "guest that runs": ("dumpxml", "--inactive", "--security-info", RUNNING),
    "guest that is off": ("dumpxml", "--inactive", "--security-info", OFF),
    "its pool": ("pool-dumpxml", POOL),
    "its network": ("net-dumpxml", "--inactive", NETWORK),
    "network default and its reservation": ("net-dumpxml", "--inactive", "default"),
    "its filter": ("nwfilter-dumpxml", FILTER),
    "volumes of its pool": ("vol-list", POOL),
    "volume among ours": ("vol-path", "--pool", "default", "legacy-db.qcow2"),
    "autostart of its guests": ("list", "--all", "--autostart", "--name"),
    "guests that run": ("list", "--name"),
    "networks": ("net-list", "--all", "--name"),
    "pools": ("pool-list", "--all", "--name"),
}
"""How each of them is read, so that it can be compared byte by byte."""

FILL_LEVEL = re.compile(r"\s*<(capacity|allocation|available) .*")
"""How full a pool's file system is, is not the pool's definition."""


def write_provision(host: HostPlan) -> None:
    """Write the definitions that the host's first start makes its foreign things from."""
    folder = host.dir / "root/etc/libvirt/lab"
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "provision"
    script.write_text((Path(__file__).parent / "host/provision.sh").read_text())
    script.chmod(0o755)
    files = {
        "pool-default.xml": _pool("default", "/var/lib/libvirt/images"),
        "pool-archive.xml": _pool(POOL, "/var/lib/libvirt/archive"),
        "net-default.xml": _network(
            "default", "virbr0", "192.168.122", "52:54:00:f0:00:01", "legacy-db", forward="nat"
        ),
        "net-foreign.xml": _network(
            NETWORK, "virbr1", "192.168.140", "52:54:00:f0:00:02", "old-build"
        ),
        "nwfilter-foreign.xml": f"""
<filter name='{FILTER}' chain='root'>
  <rule action='drop' direction='out' priority='500'><tcp dstportstart='25'/></rule>
</filter>""",
        "guest-running.xml": _guest(
            host, RUNNING, "/var/lib/libvirt/images/legacy-db.qcow2", "qcow2", "52:54:00:f0:00:01"
        ),
        "guest-off.xml": _guest(
            host, OFF, f"/var/lib/libvirt/archive/{OFF_DISK}", "raw", "52:54:00:f0:00:02"
        ),
    }
    for name, text in files.items():
        (folder / name).write_text(text.strip() + "\n")
    content = random.Random(host.number).randbytes(4 << 20)
    (folder / "old-build.bytes").write_bytes(content)


def snapshot(host: HostPlan) -> dict[str, str]:
    """All of it as text: definitions, and the digest of the switched-off guest's disk."""
    end = "_end_of_one_"
    # One virsh for all of them: its start costs more than what it is asked.
    asked = f"; echo {end}; ".join(shlex.join(one) for one in DUMPS.values())
    disk = f"/var/lib/libvirt/archive/{OFF_DISK}"
    script = f"virsh -q -c qemu:///system {shlex.quote(asked)} && printf {end} && sha256sum {disk}"
    *texts, digest = inside(host, "sh", "-c", script).split(end)
    found = {what: FILL_LEVEL.sub("", text) for what, text in zip(DUMPS, texts, strict=True)}
    return found | {"disk of the guest that is off": digest}


def remember(host: HostPlan) -> None:
    """Keep the state of a new host's foreign things, to be compared with later."""
    kept = host.dir / "foreign.json"
    if not kept.exists():
        kept.write_text(json.dumps(snapshot(host), indent=1))


def compare(host: HostPlan) -> list[str]:
    """What differs from the beginning, a line each; nothing when all is as it was."""
    kept = host.dir / "foreign.json"
    if not kept.exists():
        raise LabError(f"{host.name} has no record of its foreign things: 'make lab-up' makes it")
    before, now = json.loads(kept.read_text()), snapshot(host)
    return [
        f"{host.name}: {what} changed from\n{before.get(what)}\nto\n{now.get(what)}"
        for what in sorted(before | now)
        if before.get(what) != now.get(what)
    ]


def _pool(name: str, path: str) -> str:
    return f"<pool type='dir'><name>{name}</name><target><path>{path}</path></target></pool>"


def _network(
    name: str, bridge: str, net: str, mac: str, guest: str, *, forward: str | None = None
) -> str:
    """A network of dnsmasq's with one address promised to a guest."""
    forwarding = f"<forward mode='{forward}'/>" if forward else ""
    return f"""
<network>
  <name>{name}</name>{forwarding}
  <bridge name='{bridge}' stp='off' delay='0'/>
  <ip address='{net}.1' netmask='255.255.255.0'>
    <dhcp>
      <range start='{net}.2' end='{net}.254'/>
      <host mac='{mac}' name='{guest}' ip='{net}.50'/>
    </dhcp>
  </ip>
</network>"""


def _guest(host: HostPlan, name: str, disk: str, form: str, mac: str) -> str:
    """A guest that somebody once made with virsh: no system in it, it idles in the firmware."""
    return f"""
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid.uuid5(uuid.UUID(host.uuid), name)}</uuid>
  <description>Not to be touched: ask the database team</description>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='{form}'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'>
      <mac address='{mac}'/><source network='default'/><model type='virtio'/>
    </interface>
    <graphics type='vnc' port='-1' autoport='yes' passwd='legacy'/>
    <memballoon model='none'/>
  </devices>
</domain>"""
