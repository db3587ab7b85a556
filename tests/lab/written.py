"""A server as vmctl writes it, made on a lab host with nothing but plain virsh."""

from __future__ import annotations

import contextlib
import shlex
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.lab.guests import Guest
from tests.lab.outside import Lab, image, plain
from tests.lab.plan import lan_v6, network
from tests.support.servers import BUILD, FLAVOR, SPEC
from vmctl.adapters.render import TemplateRenderer
from vmctl.domain.build import Build, Card, Volume
from vmctl.domain.machine import Offers, PoolPlace
from vmctl.domain.network import Network, Source
from vmctl.domain.spec import GroupUse, RuleUse, Secrets, ServerSpec

OFFERS = Offers(
    arch="x86_64",
    machine="q35",
    emulator="/usr/bin/qemu-system-x86_64",
    virt_type="qemu",
    cpu_modes=("maximum",),
    firmware=("bios",),
    video=("vga",),
    graphics=("vnc",),
    rng=("virtio",),
    disk_buses=("virtio", "sata", "scsi", "usb"),
)
PLACE = PoolPlace(name="default", type="dir", path="/var/lib/libvirt/images")
BOTH: tuple[str, ...] = ("IPv4", "IPv6")
DEFAULT = GroupUse(
    name="default",
    rules=tuple(
        RuleUse(direction=direction, ethertype=family, protocol=protocol, port_min=port)
        for family in BOTH
        for direction, protocol, port in (
            ("egress", None, None),
            ("ingress", "icmp", None),
            ("ingress", "tcp", 22),
        )
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written(Guest):
    """A server made of what the renderer wrote."""

    four: str
    six: str
    user: str

    def ssh(self, address: str, script: str) -> str:
        """Run a script in the guest as root, and give all that was said."""
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        done = plain(
            *("ssh", "-F", "none", *options, "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR"),
            *("-i", str(self.lab.plan.key), f"{self.user}@{address}"),
            script if self.user == "root" else f"sudo -n sh -c {shlex.quote(script)}",
            seconds=30,
        )
        return done.stdout + done.stderr


@contextlib.contextmanager
def written(
    lab: Lab,
    host: str,
    folder: Path,
    *,
    number: int = 77,
    groups: tuple[GroupUse, ...] | None = None,
    known: bool = True,
    kind: str = "small",
    user: str = "root",
    memory: int = 128,
    secrets: Secrets | None = None,
    more: tuple[Volume, ...] = (),
    **changes: Any,
) -> Iterator[Written]:
    """Define and start a server on the LAN; nothing of it is left afterwards."""
    four = f"{network(lab.plan.lab, 'lan')}.{number}"
    six = f"{lan_v6(lab.plan.lab)}{number}"
    lan = Network(
        name="lan",
        source=Source(kind="bridge", name="br-lan"),
        cidrs=(f"{four}/24", f"{six}/64"),
        gateway=(f"{network(lab.plan.lab, 'lan')}.1",),
        dns=("198.51.100.53",),
        search=("lan.example",),
        addressing="static",
    )
    ident = str(uuid.uuid4())
    name = f"test-{ident[:8]}"
    card = Card(
        network="lan",
        kind="bridge",
        source="br-lan",
        scope="lan",
        # A MAC for each address: whoever spoke to an earlier guest there still knows the way.
        mac=f"52:54:00:77:00:{number:02x}",
        addresses=(four, six),
        addressing="static",
        filter=None if groups is None else f"vmctl-{ident}-0",
    )
    spec: ServerSpec = replace(
        SPEC,
        id=ident,
        name=name,
        hostname=name,
        flavor=replace(FLAVOR, memory=memory, vcpus=1),
        public_key=lab.plan.key.with_suffix(".pub").read_text().strip(),
        **changes,
    )
    build: Build = replace(
        BUILD,
        server=ident,
        name=name,
        vcpus=1,
        memory=memory,
        volumes=(
            Volume(name=f"{ident}-root", role="root", format="qcow2"),
            *(replace(one, name=f"{ident}-{one.name}") for one in more),
            Volume(name=f"{ident}-seed", role="seed"),
            Volume(name=f"{name}.console", role="log"),
        ),
        cards=(card,),
    )
    renderer = TemplateRenderer()
    contents = {
        "root": image(kind),
        "seed": folder / f"{name}.iso",
    }
    contents["seed"].write_bytes(
        renderer.seed(spec, build, networks={"lan": lan}, secrets=secrets or Secrets())
    )
    domain, rules = folder / f"{name}.xml", folder / f"{name}-filter.xml"
    domain.write_text(renderer.domain(spec, build, owner=ident, offers=OFFERS, place=PLACE))
    made = Written(lab=lab, host=host, name=name, mac=card.mac, four=four, six=six, user=user)
    try:
        if card.filter is not None:
            addresses = card.addresses if known else ()
            xml = renderer.filter(card.filter, groups or (), mac=card.mac, addresses=addresses)
            rules.write_text(xml)
            made.virsh("nwfilter-define", str(rules))
            made.virsh("nwfilter-define", str(rules))
        made.virsh("define", str(domain), "--validate")
        for volume in build.volumes:
            content = contents.get(volume.role)
            size = str(content.stat().st_size if content else volume.size)
            made.virsh("vol-create-as", "default", volume.name, size, "--format", volume.format)
            if content:
                made.virsh("vol-upload", volume.name, str(content), "--pool", "default")
        made.virsh("start", name)
        yield made
    finally:
        lab.virsh(host, "destroy", name)
        lab.virsh(host, "undefine", name)
        if card.filter is not None:
            lab.virsh(host, "nwfilter-undefine", card.filter)
        for volume in build.volumes:
            lab.virsh(host, "vol-delete", volume.name, "--pool", "default")
