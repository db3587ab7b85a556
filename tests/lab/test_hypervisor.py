"""What real hosts do to the hypervisor that no contract foresees."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import libvirt
import pytest

from tests.contract.ground import domain_xml, filter_xml
from tests.lab.guests import POOL, guest
from tests.lab.outside import Lab
from tests.lab.reach import Reach
from vmctl.adapters.hypervisor import LibvirtHypervisor, LibvirtHypervisors, Limits
from vmctl.domain.build import Volume, filter_name
from vmctl.domain.machine import SeenAddress
from vmctl.domain.record import Power
from vmctl.errors import AddressTaken, RemoteFailed

OTHER = "52:54:00:99:99:99"
HOST = "kvm2"
"""A plain user's, where nothing but libvirt may touch the pool."""


@pytest.fixture
def on(reach: Reach) -> LibvirtHypervisor:
    limits = Limits(ask=5, act=30, patience=1)
    hypervisors = LibvirtHypervisors(reach.libvirt, reach.shells, limits)
    return hypervisors.on(reach.host(HOST, virt_type="qemu"))


@pytest.fixture
def raw(reach: Reach) -> libvirt.virConnect:
    """The same host without vmctl's hands."""
    connection: libvirt.virConnect = reach.libvirt.connection(reach.host(HOST))
    return connection


@pytest.fixture
def server(on: LibvirtHypervisor, shared_lab: Lab) -> Iterator[str]:
    name = str(uuid.uuid4())
    yield name
    on.ensure_undefined(name)
    on.remove_filter(name)
    for volume in on.volumes("default"):
        if volume.startswith(name):
            on.remove_volume("default", volume)
    assert name not in files(shared_lab)


def files(lab: Lab) -> str:
    """What really lies in the pool's folder."""
    return lab.do("inside", HOST, "ls", POOL)


def write(lab: Lab, name: str, text: str) -> None:
    lab.do("inside", HOST, "sh", "-c", f"printf '{text}' >{POOL}/{name}")


def volume(server: str, end: str = "-disk", *, size: int = 3) -> Volume:
    return Volume(name=f"{server}{end}", role="ephemeral", size=size)


def test_a_file_that_libvirt_does_not_know_of_gives_way_to_the_volume(
    on: LibvirtHypervisor, server: str, shared_lab: Lab
) -> None:
    write(shared_lab, f"{server}-disk", "someone left this")
    write(shared_lab, f"{server}-seed", "or that")

    on.ensure_volume("default", volume(server))
    on.ensure_content("default", volume(server, "-seed"), b"mine")

    assert on.read_volume("default", f"{server}-disk") == bytes(3)
    assert on.read_volume("default", f"{server}-seed") == b"mine"


def test_a_volume_whose_file_is_gone_is_not_there_and_is_made_anew(
    on: LibvirtHypervisor, server: str, shared_lab: Lab
) -> None:
    for end in ("-disk", "-seed", "-gone"):
        on.ensure_volume("default", volume(server, end))
        shared_lab.do("inside", HOST, "rm", f"{POOL}/{server}{end}")

    assert on.volume("default", f"{server}-disk") is None
    on.ensure_volume("default", volume(server))
    on.ensure_content("default", volume(server, "-seed"), b"mine")
    on.remove_volume("default", f"{server}-gone")

    assert on.read_volume("default", f"{server}-disk") == bytes(3)
    assert on.read_volume("default", f"{server}-seed") == b"mine"
    assert f"{server}-gone" not in on.volumes("default")


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("parts", [0, 1, 3])
def test_a_log_goes_with_the_parts_that_were_moved_aside(
    on: LibvirtHypervisor, server: str, shared_lab: Lab, known: bool, parts: int
) -> None:
    on.ensure_volume("default", volume(server, "-log", size=0))
    write(shared_lab, f"{server}-log", "login: ")
    for number in range(parts):
        write(shared_lab, f"{server}-log.{number}", "older")
    if known:
        shared_lab.do("inside", HOST, "virsh", "-q", "pool-refresh", "default")

    on.remove_volume("default", f"{server}-log")

    assert server not in files(shared_lab)
    assert not [name for name in on.volumes("default") if name.startswith(server)]


def failing(act: Callable[..., object], *words: object) -> None:
    with pytest.raises(libvirt.libvirtError):
        act(*words)


def test_a_volume_that_is_being_made_is_busy_and_then_is_not(
    on: LibvirtHypervisor, raw: libvirt.virConnect, server: str, shared_lab: Lab
) -> None:
    pool = raw.storagePoolLookupByName("default")
    big = f"""
<volume><name>{server}-disk</name><capacity unit='TiB'>1</capacity>
<target><format type='qcow2'/></target></volume>"""
    # Preallocated, it takes a while; stopped, it takes as long as it is to.
    making = threading.Thread(
        target=failing,
        args=(pool.createXML, big, libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA),
    )
    making.start()
    stop = f"until pkill -STOP -f 'qemu-img.*{server}-disk'; do sleep 0.02; done"
    shared_lab.do("inside", HOST, "timeout", "10", "sh", "-c", stop.replace("qemu", "[q]emu"))

    with pytest.raises(RemoteFailed, match="still being allocated") as told:
        on.remove_volume("default", f"{server}-disk")
    shared_lab.do("inside", HOST, "pkill", "-KILL", "-f", f"[q]emu-img.*{server}-disk")
    making.join()
    on.remove_volume("default", f"{server}-disk")

    assert (told.value.reason, told.value.host) == ("busy", HOST)
    assert server not in files(shared_lab)


def test_many_at_once_on_one_connection_all_get_what_they_want(
    on: LibvirtHypervisor, server: str
) -> None:
    def make(number: int) -> bytes:
        on.ensure_volume("default", volume(server, f"-{number}", size=4096))
        on.ensure_content("default", volume(server, f"-seed{number}"), b"%d" % number)
        return on.read_volume("default", f"{server}-seed{number}")

    with ThreadPoolExecutor(12) as threads:
        read = list(threads.map(make, range(24)))

    assert read == [b"%d" % number for number in range(24)]
    assert len([name for name in on.volumes("default") if name.startswith(server)]) == 48


def test_a_definition_with_what_libvirt_does_not_know_is_refused(
    on: LibvirtHypervisor, server: str
) -> None:
    xml = domain_xml(server, f"m-{server}").replace("<vcpu>", "<vcpuz>2</vcpuz><vcpu>")

    with pytest.raises(RemoteFailed, match="schema"):
        on.ensure_defined(server, xml)

    assert on.machine(server) is None


def with_devices(server: str, devices: str) -> str:
    return domain_xml(server, f"m-{server}").replace("<devices>", f"<devices>{devices}")


def with_disk(server: str) -> str:
    return with_devices(
        server,
        f"""<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
        <source file='{POOL}/{server}-root'/><target dev='vda' bus='virtio'/></disk>""",
    )


def test_a_machine_that_cannot_start_is_told_with_the_reason_and_is_off(
    on: LibvirtHypervisor, server: str
) -> None:
    on.ensure_defined(server, with_disk(server))

    with pytest.raises(RemoteFailed, match=f"{server}-root") as told:
        on.ensure_running(server)

    machine = on.machine(server)
    assert told.value.host == HOST
    assert machine is not None
    assert machine.power is Power.SHUTDOWN


@pytest.mark.parametrize("gone", [False, True], ids=["with its disk", "without"])
def test_a_machine_goes_with_its_snapshots(
    on: LibvirtHypervisor, raw: libvirt.virConnect, server: str, gone: bool
) -> None:
    root = Volume(name=f"{server}-root", role="root", size=1 << 20, format="qcow2")
    on.ensure_volume("default", root)
    on.ensure_defined(server, with_disk(server))
    domain = raw.lookupByUUIDString(server)
    for name in ("one", "two"):
        domain.snapshotCreateXML(f"<domainsnapshot><name>{name}</name></domainsnapshot>")
    if gone:
        on.remove_volume("default", root.name)

    on.ensure_undefined(server)

    assert on.machine(server) is None
    if not gone:
        assert b"one" not in on.read_volume("default", root.name)
    on.ensure_defined(server, with_disk(server))
    assert raw.lookupByUUIDString(server).snapshotNum() == 0


def test_a_filter_in_use_is_not_removed(on: LibvirtHypervisor, server: str) -> None:
    name = filter_name(server, 0)
    card = f"<source network='default'/><model type='virtio'/><filterref filter='{name}'/>"
    on.ensure_filter(name, filter_xml(name, 22))
    on.ensure_defined(server, with_devices(server, f"<interface type='network'>{card}</interface>"))
    on.ensure_running(server)
    on.ensure_filter(name, filter_xml(name, 443))

    with pytest.raises(RemoteFailed, match="in use") as told:
        on.remove_filter(name)

    assert told.value.host == HOST
    on.ensure_off(server)
    on.remove_filter(name)


def test_a_guest_has_the_address_that_was_promised_and_is_seen_to(
    on: LibvirtHypervisor, raw: libvirt.virConnect, shared_lab: Lab, tmp_path: Path
) -> None:
    network = raw.networkLookupByName("default")
    leased = {lease["ipaddr"] for lease in network.DHCPLeases()}
    address = next(ip for ip in (f"192.168.122.{n}" for n in range(100, 200)) if ip not in leased)
    with guest(shared_lab, HOST, tmp_path) as made:
        on.ensure_reservation("default", mac=made.mac, addresses=(address,), name=made.name)
        server = raw.lookupByName(made.name).UUIDString()
        on.ensure_running(server)
        try:
            seen = wait_for(on, server, "lease", "agent", "arp")
        finally:
            on.ensure_off(server)
            on.remove_reservation("default", made.mac)

    assert seen == {
        SeenAddress(mac=made.mac, address=address, source=source)
        for source in ("lease", "agent", "arp")
    }
    assert address not in network.XMLDesc(0)
    # Nobody gave it back, so nobody else would be given it.
    with pytest.raises(AddressTaken, match=f"{address}.*{made.mac}"):
        on.ensure_reservation("default", mac=OTHER, addresses=(address,), name="later")


def wait_for(on: LibvirtHypervisor, server: str, *sources: str) -> set[SeenAddress]:
    """The addresses by which a guest was seen, once every source has seen one of IPv4."""
    end = time.monotonic() + 60
    seen: set[SeenAddress] = set()
    while time.monotonic() < end and {one.source for one in seen} != set(sources):
        time.sleep(0.2)
        seen = {one for one in on.seen_addresses(server) if "." in one.address}
    return seen
