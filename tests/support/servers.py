"""A server and its attempt, to be changed one field at a time, and a host that offers all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vmctl.domain.build import Build, Card, Volume
from vmctl.domain.machine import Offers, PoolPlace
from vmctl.domain.request import FlavorSpec
from vmctl.domain.spec import CardWish, ImageUse, ServerSpec

ID = "6c9e2f0a-3a54-4f58-9a1c-0d6b1c2e3f40"
OWNER = "0b7a1de4-5f0e-4c43-8a70-1f2e3d4c5b6a"
DIGEST = "ab" * 32
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 ops@desk"

FLAVOR = FlavorSpec(name="m1.tiny", vcpus=2, memory=512, disk=10240)
IMAGE = ImageUse(
    id="1",
    name="mini",
    digest=DIGEST,
    format="qcow2",
    size=15_000_000,
    virtual_size=64 * 2**20,
    url="https://images.example/mini.qcow2",
)
SPEC = ServerSpec(
    id=ID,
    name="web-1",
    flavor=FLAVOR,
    image=IMAGE,
    cards=(CardWish(network="lan"),),
    key_name="ops",
    public_key=KEY,
    hostname="web-1",
    tags=("blue",),
    properties={"role": "web"},
)
CARD = Card(
    network="lan",
    kind="bridge",
    source="br-lan",
    scope="lan",
    mac="52:54:00:12:34:56",
    addresses=("198.51.100.10",),
    addressing="static",
    filter=f"vmctl-{ID}-0",
    groups=("default",),
)
BUILD = Build(
    server=ID,
    name="web-1",
    number=1,
    host="kvm1",
    pool="default",
    base=f"vmctl-base-{DIGEST}",
    vcpus=2,
    memory=512,
    disk=10240,
    volumes=(
        Volume(
            name=f"{ID}-root",
            role="root",
            size=10 * 2**30,
            format="qcow2",
            backing=f"vmctl-base-{DIGEST}",
            backing_format="qcow2",
        ),
        Volume(name=f"{ID}-seed", role="seed"),
        Volume(name=f"{ID}-log", role="log"),
    ),
    cards=(CARD,),
)
OFFERS = Offers(
    arch="x86_64",
    machine="pc-q35-7.2",
    emulator="/usr/bin/qemu-system-x86_64",
    virt_type="kvm",
    cpu_modes=("host-passthrough", "maximum", "host-model", "custom"),
    cpu_models=("qemu64", "EPYC"),
    firmware=("bios", "efi"),
    secure_boot=True,
    loaders=("/usr/share/OVMF/OVMF_CODE_4M.ms.fd",),
    video=("vga", "cirrus", "virtio", "none", "bochs", "qxl"),
    graphics=("vnc", "spice"),
    rng=("virtio",),
    tpm=("tpm-tis", "tpm-crb"),
    disk_buses=("fdc", "scsi", "virtio", "usb", "sata"),
    hugepage_sizes=(2048, 1048576),
    libvirt=9_000_000,
    qemu=7_002_000,
)
PLACE = PoolPlace(name="default", type="dir", path="/var/lib/libvirt/images")


def with_image(**properties: str) -> ServerSpec:
    return replace(SPEC, image=replace(IMAGE, properties=properties))


def with_extra(specs: dict[str, str], **changes: Any) -> ServerSpec:
    return replace(SPEC, flavor=replace(FLAVOR, extra_specs=specs, **changes))
