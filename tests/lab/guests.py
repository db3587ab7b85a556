"""The small guest on a lab host, made with nothing but plain virsh: what the lab can carry."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.lab.images import READY
from tests.lab.images.boot import vfat_seed
from tests.lab.outside import Lab, image
from tests.lab.shell import LabError

POOL = "/var/lib/libvirt/images"

DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>128</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <cpu mode='maximum'/>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{pool}/{name}.qcow2'/><target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='{pool}/{name}.seed'/><target dev='vdb' bus='virtio'/><readonly/>
    </disk>
    <interface type='{kind}'>
      <mac address='{mac}'/><source {kind}='{source}'/><model type='virtio'/>
    </interface>
    <serial type='pty'><log file='{pool}/{name}.console' append='on'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """One small guest on one host; made by `guest` below."""

    lab: Lab
    host: str
    name: str
    mac: str

    def virsh(self, *words: str) -> str:
        return self.lab.virsh_ok(self.host, *words)

    @property
    def state(self) -> str:
        return self.virsh("domstate", self.name).strip()

    def console(self, folder: Path) -> str:
        """The console log, fetched as any libvirt user can: as a volume of the pool."""
        target = folder / f"{self.name}.console"
        self.virsh("vol-download", f"{self.name}.console", str(target), "--pool", "default")
        return target.read_text(errors="replace")

    def wait_ready(self, folder: Path, *, seconds: float = 60) -> str:
        """What the ready line says, once it stands on the console."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            said = self.console(folder)
            if READY in said:
                return said.split(READY)[1].splitlines()[0].strip()
            time.sleep(0.2)
        raise LabError(f"{self.name} on {self.host} is not ready:\n{self.console(folder)[-2000:]}")

    def wait_state(self, state: str, *, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while self.state != state:
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} is {self.state}, not {state}")
            time.sleep(0.2)


@contextlib.contextmanager
def guest(
    lab: Lab,
    host: str,
    folder: Path,
    *,
    network_config: str | None = None,
    bridge: str | None = None,
) -> Iterator[Guest]:
    """A defined guest, not yet started; nothing of it is left afterwards.

    `{mac}` in its network configuration stands for the address of its card.
    """
    number = uuid.uuid4()
    name, mac = (
        f"test-{number.hex[:8]}",
        "52:54:00:" + ":".join(f"{b:02x}" for b in number.bytes[:3]),
    )
    made = Guest(lab=lab, host=host, name=name, mac=mac)
    meta = f"instance-id: {number}\nlocal-hostname: {name}\npublic-keys:\n  - {_public_key(lab)}\n"
    seed = {"meta-data": meta}
    if network_config:
        seed["network-config"] = network_config.replace("{mac}", mac)
    seed_volume = vfat_seed(folder, seed)
    base = image("small")
    volumes = {
        "qcow2": (base, "qcow2"),
        "seed": (seed_volume, "raw"),
        "console": (None, "raw"),
    }
    xml = folder / f"{name}.xml"
    kind, source = ("bridge", bridge) if bridge else ("network", "default")
    xml.write_text(DOMAIN.format(name=name, pool=POOL, mac=mac, kind=kind, source=source))
    try:
        for end, (content, form) in volumes.items():
            size = str(content.stat().st_size) if content else "0"
            made.virsh("vol-create-as", "default", f"{name}.{end}", size, "--format", form)
            if content:
                made.virsh("vol-upload", f"{name}.{end}", str(content), "--pool", "default")
        made.virsh("define", str(xml))
        yield made
    finally:
        lab.virsh(host, "destroy", name)
        lab.virsh(host, "undefine", name)
        for end in volumes:
            lab.virsh(host, "vol-delete", f"{name}.{end}", "--pool", "default")


def _public_key(lab: Lab) -> str:
    return lab.plan.key.with_suffix(".pub").read_text().strip()
