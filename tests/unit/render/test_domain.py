from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.goldens_xml import is_valid_and_as_golden
from tests.support.servers import (
    BUILD,
    CARD,
    ID,
    OFFERS,
    OWNER,
    PLACE,
    SPEC,
    with_extra,
    with_image,
)
from vmctl.adapters.render import TemplateRenderer
from vmctl.domain import hardware
from vmctl.domain.build import Build, Volume
from vmctl.domain.machine import Offers, PoolPlace
from vmctl.domain.sample import RECORD_NAMESPACE
from vmctl.domain.server_record import ServerRecord, from_xml
from vmctl.domain.spec import ServerSpec
from vmctl.errors import VmctlError

ONE_TIME = "oneTime1"
RENDERER = TemplateRenderer()
SEED = Volume(name=f"{ID}-seed", role="seed")
TCG = replace(OFFERS, virt_type="qemu", cpu_modes=("maximum", "custom"))
BARE = Offers(
    arch="x86_64", machine="pc-i440fx-2.8", emulator="/usr/libexec/qemu-kvm", virt_type="kvm"
)
ARM = Offers(
    arch="aarch64",
    machine="virt-7.2",
    emulator="/usr/bin/qemu-system-aarch64",
    virt_type="kvm",
    cpu_modes=("host-passthrough", "maximum"),
    firmware=("efi",),
    video=("virtio", "ramfb", "none"),
    graphics=("vnc",),
    rng=("virtio",),
)


def a_domain(
    spec: ServerSpec = SPEC,
    build: Build = BUILD,
    offers: Offers = OFFERS,
    place: PoolPlace = PLACE,
    password: str | None = None,
) -> str:
    return RENDERER.domain(
        spec, build, owner=OWNER, offers=offers, place=place, console_password=password
    )


CASES: dict[str, dict[str, Any]] = {
    "plain": {"password": ONE_TIME},
    "tcg": {"offers": TCG},
    "bare": {"offers": BARE},
    "arm": {"offers": ARM},
    "uefi": {"spec": with_image(hw_firmware_type="uefi")},
    "secure": {
        "spec": with_image(hw_firmware_type="uefi", os_secure_boot="required", hw_tpm_version="2.0")
    },
    "windows": {
        "spec": with_image(
            os_type="windows",
            hw_disk_bus="sata",
            hw_vif_model="e1000e",
            hw_cdrom_bus="sata",
            hw_pointer_model="usbtablet",
            hw_video_model="qxl",
        )
    },
    "pinned": {
        "spec": with_extra(
            {
                "hw:cpu_policy": "dedicated",
                "hw:cpu_sockets": "1",
                "hw:cpu_cores": "2",
                "hw:mem_page_size": "2MB",
                "hw:numa_nodes": "2",
                "hw:locked_memory": "true",
                "hw:maxphysaddr_bits": "42",
            }
        ),
        "build": replace(BUILD, cpus=(4, 6)),
    },
    "disks": {
        "spec": with_image(hw_disk_bus="scsi", hw_watchdog_action="reset", hw_boot_menu="true"),
        "build": replace(
            BUILD,
            volumes=(
                SEED,
                Volume(name=f"{ID}-swap", role="swap"),
                Volume(name=f"{ID}-eph0", role="ephemeral"),
                Volume(name=f"{ID}-eph1", role="ephemeral"),
                Volume(name=f"{ID}-root", role="root"),
            ),
        ),
    },
    "rescued": {
        "build": replace(
            BUILD,
            volumes=(
                Volume(name=f"{ID}-g2-rescue", role="rescue", format="qcow2"),
                Volume(name=f"{ID}-g2-rescue-seed", role="rescue-seed"),
                *BUILD.volumes,
            ),
            generation=2,
        ),
    },
    "cards": {
        "spec": with_extra(
            {
                "hw:vif_multiqueue_enabled": "true",
                "hw_rng:rate_bytes": "2048",
                "hw_rng:rate_period": "1000",
                "hw:hide_hypervisor_id": "true",
            }
        ),
        "build": replace(
            BUILD,
            cards=(
                replace(CARD, mtu=9000),
                replace(
                    CARD,
                    kind="network",
                    source="ovs",
                    mac="52:54:00:00:00:02",
                    filter=None,
                    vlan=42,
                ),
            ),
        ),
    },
}


@pytest.mark.parametrize("name", CASES)
def test_a_domain_is_written_as_it_always_was_and_fits_libvirts_schema(
    name: str, tmp_path: Path
) -> None:
    xml = a_domain(**CASES[name])

    is_valid_and_as_golden("domain", f"domain-{name}.xml", xml, tmp_path)


def test_the_record_in_a_domain_is_the_whole_server() -> None:
    tree = ET.fromstring(a_domain())

    (record,) = tree.findall(f"metadata/{{{RECORD_NAMESPACE}}}server")

    read = from_xml(ET.tostring(record, encoding="unicode"))
    assert read == ServerRecord(owner=OWNER, spec=SPEC, build=BUILD)


def test_without_a_console_password_nobody_is_let_in() -> None:
    graphics = ET.fromstring(a_domain()).find("devices/graphics")

    assert graphics is not None
    assert graphics.get("passwd") == ""
    assert graphics.get("listen") == "127.0.0.1"


def test_the_console_password_is_nowhere_but_at_the_console() -> None:
    assert a_domain(password=ONE_TIME).count(ONE_TIME) == 1


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "uefi": ({"spec": with_image(hw_firmware_type="uefi"), "offers": BARE}, "no UEFI firmware"),
    "bios": ({"spec": with_image(hw_firmware_type="bios"), "offers": ARM}, "no BIOS firmware"),
    "secure boot": (
        {
            "spec": with_image(os_secure_boot="required"),
            "offers": replace(OFFERS, secure_boot=False),
        },
        "no UEFI firmware with secure boot",
    ),
    "secure boot without q35": (
        {"spec": with_image(os_secure_boot="required", hw_machine_type="pc")},
        "needs a q35 machine",
    ),
    "secure boot with BIOS": (
        {"spec": with_image(os_secure_boot="required", hw_firmware_type="bios")},
        "needs hw_firmware_type=uefi",
    ),
    "tpm": ({"spec": with_image(hw_tpm_version="2.0"), "offers": BARE}, "no emulated TPM"),
    "tpm model": (
        {
            "spec": with_image(hw_tpm_version="2.0", hw_tpm_model="tpm-crb"),
            "offers": replace(OFFERS, tpm=("tpm-tis",)),
        },
        "no TPM model tpm-crb, but tpm-tis",
    ),
    "disk bus": ({"spec": with_image(hw_disk_bus="ide")}, "no disk bus ide, but fdc"),
    "video": ({"spec": with_image(hw_video_model="vmvga")}, "no video model vmvga"),
    "hugepages": (
        {"spec": with_extra({"hw:mem_page_size": "64KB"})},
        "no hugepages of 64 KiB",
    ),
    "hugepages that do not fit": (
        {"spec": with_extra({"hw:mem_page_size": "1GB"})},
        "512 MiB are not made of hugepages of 1048576 KiB",
    ),
    "no hugepages": (
        {"spec": with_extra({"hw:mem_page_size": "large"}), "offers": BARE},
        "no hugepages that",
    ),
    "NUMA": ({"spec": with_extra({"hw:numa_nodes": "3"})}, "do not divide into 3"),
    "topology": (
        {"spec": with_extra({"hw:cpu_threads": "3"})},
        "2 vCPUs are not 1 sockets of 1 cores of 3 threads",
    ),
    "pinning": ({"spec": with_extra({"hw:cpu_policy": "dedicated"})}, "0 of its CPUs were chosen"),
    "unknown extra spec": (
        {"spec": with_extra({"hw:cpu_realtime": "yes"})},
        "extra spec hw:cpu_realtime is not supported",
    ),
    "quota": ({"spec": with_extra({"quota:cpu_shares": "9"})}, "quota:cpu_shares is not supported"),
    "unknown property": (
        {"spec": with_image(hw_mem_encryption="true")},
        "property hw_mem_encryption is not supported",
    ),
    "wrong value": (
        {"spec": with_image(hw_vif_model="ne3k")},
        "hw_vif_model is 'ne3k': virtio, e1000",
    ),
    "contradiction": (
        {
            "spec": replace(
                with_image(hw_cpu_policy="shared"),
                flavor=with_extra({"hw:cpu_policy": "dedicated"}).flavor,
            )
        },
        "hw_cpu_policy contradicts the flavor's extra spec hw:cpu_policy",
    ),
    "a path that XML cannot hold": (
        {"place": replace(PLACE, path="/var/\x01")},
        r"XML cannot hold the sign '\\x01'",
    ),
}


@pytest.mark.parametrize(("case", "said"), REFUSED.values(), ids=REFUSED)
def test_what_the_host_cannot_make_is_refused_by_name(case: dict[str, Any], said: str) -> None:
    with pytest.raises(VmctlError, match=said):
        a_domain(**case)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    spec = with_image(hw_disk_bus="ide", hw_tpm_version="2.0", hw_firmware_type="uefi")

    with pytest.raises(VmctlError) as caught:
        a_domain(spec, offers=replace(BARE, disk_buses=("virtio",)))

    assert caught.value.message.count(";") == 2


def test_properties_that_are_not_the_machines_change_nothing() -> None:
    spec = replace(
        with_image(architecture="x86_64", os_distro="debian", hw_architecture="x86_64", note="x"),
        flavor=with_extra(
            {"capabilities:arch": "x86_64", "trait:HW_CPU_X86_AVX": "required"}
        ).flavor,
    )
    tree, plain = ET.fromstring(a_domain(spec)), ET.fromstring(a_domain())
    for each in (tree, plain):
        each.remove(each.findall("metadata")[0])

    assert ET.tostring(tree) == ET.tostring(plain)


def test_the_27th_disk_follows_the_26th() -> None:
    more = tuple(Volume(name=f"e{number}", role="ephemeral") for number in range(26))
    build = replace(BUILD, volumes=(*BUILD.volumes, *more))

    targets = [disk.get("dev") for disk in ET.fromstring(a_domain(build=build)).iter("target")]

    assert targets[25:28] == ["vdz", "vdaa", "vdab"]


LEGAL = st.text(
    st.one_of(
        st.sampled_from("<>&'\"{}% \t\n\r]]>/"),
        st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"),
    ),
    min_size=1,
    max_size=20,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(LEGAL, min_size=10, max_size=10), st.dictionaries(LEGAL, LEGAL, max_size=3))
def test_no_value_gets_out_of_its_place_in_a_domain(
    words: list[str], properties: dict[str, str]
) -> None:
    name, pool, path, volume, source, mac, filter_, password, emulator, machine = words
    spec = replace(SPEC, name=name, description=path, properties=properties, hostname=mac)
    build = replace(
        BUILD,
        name=name,
        pool=pool,
        volumes=(Volume(name=volume, role="root"), Volume(name=volume, role="log")),
        cards=(replace(CARD, source=source, mac=mac, filter=filter_, tag=password),),
    )
    offers = replace(OFFERS, emulator=emulator, machine=machine)

    xml = a_domain(spec, build, offers, replace(PLACE, path="/" + path.rstrip("/")), password)

    tree = ET.fromstring(xml)
    plain = replace(build, volumes=tuple(replace(one, name="a") for one in build.volumes))
    harmless = ET.fromstring(a_domain(build=plain))

    def found(where: str, attribute: str) -> str | None:
        (element,) = tree.findall(where)
        return element.get(attribute)

    file = f"/{path.rstrip('/')}".rstrip("/") + f"/{volume}"
    assert tree.findtext("name") == name
    assert tree.findtext("devices/emulator") == emulator
    assert found("devices/disk/source", "file") == file
    assert found("devices/serial/log", "file") == file
    assert found("devices/interface/source", "bridge") == source
    assert found("devices/interface/mac", "address") == mac
    assert found("devices/interface/filterref", "filter") == filter_
    assert found("devices/graphics", "passwd") == password
    (record,) = tree.findall(f"metadata/{{{RECORD_NAMESPACE}}}server")
    assert from_xml(ET.tostring(record, encoding="unicode")).spec == spec
    assert [each.tag for each in tree.iter()] == [each.tag for each in harmless.iter()]


HOSTILE = st.lists(
    st.sampled_from(
        (
            *("<pwned/>", "'/><pwned a='", '"/><pwned a="', "]]><pwned/>", "</domain><pwned>"),
            *(
                "&pwned;",
                "&lt;pwned/&gt;",
                "{{ pwned }}",
                "{% pwned %}",
                "<!-- pwned",
                "--><pwned/>",
            ),
            *("' pwned='", '" pwned="', "<!DOCTYPE pwned>", "\n<pwned/>\n", "<![CDATA[pwned"),
        )
    ),
    min_size=1,
    max_size=3,
).map("".join)
MEANT = st.sampled_from(
    ("virtio", "scsi", "sata", "usb", "uefi", "true", "1", "2", "2.0", "q35", "reset", "custom")
)


def wishes_of(keys: dict[str, Any]) -> st.SearchStrategy[dict[str, str]]:
    known = st.sampled_from(sorted(keys))
    beyond = HOSTILE | HOSTILE.map(lambda word: f"hw_{word}") | HOSTILE.map(lambda w: f"hw:{w}")
    return st.dictionaries(known | beyond, HOSTILE | MEANT, max_size=4)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(wishes_of(hardware._BY_PROPERTY), wishes_of(hardware._BY_SPEC))
@example({"os_type": "'/><pwned a='"}, {})
@example({"hw_machine_type": "q35'/><pwned a='"}, {})
@example({}, {"hw:cpu_model": "x</model><pwned/>", "hw:cpu_mode": "custom"})
def test_no_property_of_an_image_or_flavor_gets_out_of_its_place(
    properties: dict[str, str], specs: dict[str, str]
) -> None:
    spec = replace(with_image(**properties), flavor=replace(SPEC.flavor, extra_specs=specs))
    try:
        xml = a_domain(spec)
    except VmctlError:
        return  # refused by its name

    root = ET.fromstring(xml)
    (metadata,) = root.findall("metadata")
    (record,) = metadata
    told = from_xml(ET.tostring(record, encoding="unicode")).spec
    assert (told.image.properties, told.flavor.extra_specs) == (properties, specs)
    root.remove(metadata)
    assert "pwned" not in ET.tostring(root, encoding="unicode")
