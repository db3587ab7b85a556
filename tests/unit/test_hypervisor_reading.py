"""What the hypervisor reads out of libvirt's XML and the host's own tools."""

from __future__ import annotations

import pytest

from vmctl.adapters.hypervisor import addresses, elements, networks, offers
from vmctl.adapters.hypervisor.leases import Lease, said_seconds
from vmctl.adapters.hypervisor.networks import Promise

MAC = "52:54:00:aa:00:01"
HOST = "<capabilities><host><cpu>{pages}</cpu></host></capabilities>"
PAGES = "".join(f"<pages unit='KiB' size='{size}'/>" for size in (4, 2048, 1048576))

# A host with firmware packages, as libvirt documents it: the lab's hosts have none.
UEFI = """
<domainCapabilities>
  <path>/usr/bin/qemu-system-x86_64</path><domain>kvm</domain>
  <machine>pc-q35-8.2</machine><arch>x86_64</arch>
  <os supported='yes'>
    <enum name='firmware'><value>efi</value></enum>
    <loader supported='yes'>
      <value>/usr/share/OVMF/OVMF_CODE_4M.ms.fd</value>
      <value>/usr/share/OVMF/OVMF_CODE_4M.fd</value>
      <enum name='type'><value>rom</value><value>pflash</value></enum>
      <enum name='secure'><value>yes</value><value>no</value></enum>
    </loader>
  </os>
  <cpu>
    <mode name='host-passthrough' supported='yes'/>
    <mode name='maximum' supported='no'/>
    <mode name='custom' supported='yes'>
      <model usable='yes'>qemu64</model><model usable='no'>EPYC</model>
      <model usable='unknown'>Nehalem</model>
    </mode>
  </cpu>
  <devices>
    <disk supported='yes'><enum name='bus'><value>virtio</value><value>sata</value></enum></disk>
    <video supported='no'><enum name='modelType'><value>vga</value></enum></video>
    <filesystem supported='yes'><enum name='driverType'><value>virtiofs</value></enum></filesystem>
    <tpm supported='yes'>
      <enum name='model'><value>tpm-crb</value></enum>
      <enum name='backendModel'><value>passthrough</value>{emulator}</enum>
    </tpm>
  </devices>
</domainCapabilities>"""


def test_a_host_with_firmware_offers_it() -> None:
    xml = UEFI.format(emulator="<value>emulator</value>")

    found = offers.read(xml, HOST.format(pages=PAGES), libvirt=10_000_000, qemu=8_002_000)

    assert (found.machine, found.virt_type) == ("pc-q35-8.2", "kvm")
    assert (found.firmware, found.secure_boot) == (("bios", "efi"), True)
    assert len(found.loaders) == 2
    assert found.cpu_modes == ("host-passthrough", "custom")
    assert found.cpu_models == ("qemu64", "Nehalem")
    assert found.tpm == ("tpm-crb",)
    assert found.disk_buses == ("virtio", "sata")
    assert found.video == ()
    assert found.filesystems == ("virtiofs",)
    assert found.hugepage_sizes == (2048, 1048576)


def test_a_host_whose_tpm_is_only_its_own_offers_none() -> None:
    found = offers.read(UEFI.format(emulator=""), HOST.format(pages=""))

    assert found.tpm == ()
    assert found.hugepage_sizes == ()


def test_another_architecture_has_no_bios() -> None:
    xml = UEFI.format(emulator="").replace("<arch>x86_64", "<arch>aarch64")

    assert offers.read(xml, HOST.format(pages="")).firmware == ("efi",)


def test_neighbours_that_were_not_reached_are_none() -> None:
    said = f"""now 1000
age 60
192.168.122.9 dev virbr0 lladdr {MAC.upper()}  ref 1 used 33/0/33probes 4 REACHABLE
fd77::9 dev br-lan lladdr {MAC} router  used 569/61/41probes 4 STALE
192.168.122.10 dev virbr0  used 1548/1608/1545probes 6 FAILED
192.168.122.11 dev virbr0  used 9/69/1probes 6 INCOMPLETE
192.168.122.12 dev virbr0 lladdr {MAC}  used 9/69/1probes 6 FAILED
192.168.122.13 dev virbr0 lladdr {MAC}  used 9/9/9probes 0 PERMANENT
10.0.0.1 dev eth0 lladdr
"""

    glance = addresses.read_glance(said)

    assert (glance.now, glance.age) == (1000, 60)
    found = [(one.mac, one.address, one.device, one.confirmed) for one in glance.neighbours]
    assert found == [(MAC, "192.168.122.9", "virbr0", 0), (MAC, "fd77::9", "br-lan", 61)]


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        (f"age 60\n10.0.0.9 dev br0 lladdr {MAC} used 99/59/41probes 4 STALE", True),
        (f"age 60\n10.0.0.9 dev br0 lladdr {MAC} used 99/60/41probes 4 STALE", False),
        (f"age 60\n10.0.0.9 dev br0 lladdr {MAC} used 0/61/0probes 4 DELAY", False),
        (f"pong 10.0.0.9\nage 60\n10.0.0.9 dev br0 lladdr {MAC} used 0/61/0probes 4 DELAY", True),
        (f"10.0.0.9 dev br0 lladdr {MAC} used 0/5/0probes 4 REACHABLE", True),
        (f"10.0.0.9 dev br0 lladdr {MAC} used 0/5/0probes 4 STALE", False),
        (f"age 60\n10.0.0.9 dev br0 lladdr {MAC} REACHABLE", True),
    ],
    ids=["since", "before", "delay", "answered", "no-age", "no-age-stale", "no-figures"],
)
def test_a_neighbour_counts_if_it_was_confirmed_since_the_domain_runs(
    said: str, counts: bool
) -> None:
    glance = addresses.read_glance(said)

    assert [glance.saw(one) for one in glance.neighbours] == [counts]


@pytest.mark.parametrize(
    ("until", "seconds", "counts"),
    [
        (1000 + 3600 - 10, None, True),
        (1000 + 3600 - 90, None, False),
        (1000 + 86400 - 10, None, True),
        (1000 + 86400 - 90, None, False),
        (1000 + 100, 120.0, True),
        (1000 + 10, 120.0, False),
        (1000 + 90_000, None, False),
        (0, None, False),
    ],
)
def test_a_lease_counts_if_it_was_renewed_since_the_domain_runs(
    until: float, seconds: float | None, counts: bool
) -> None:
    lease = Lease(mac=MAC, address="10.0.0.9", bridge="br0", until=until, seconds=seconds)

    assert addresses.Glance(now=1000, age=60).gave(lease) is counts
    assert not addresses.Glance(now=1000).gave(lease)


def test_how_long_a_lease_lasts_is_said_for_a_card_or_a_range() -> None:
    network = elements.read(
        f"""<network><ip address='10.0.0.1'><dhcp>
        <range start='10.0.0.2' end='10.0.0.9'><lease expiry='2' unit='hours'/></range>
        <host mac='{MAC.upper()}' ip='10.0.0.5'><lease expiry='30'/></host>
        </dhcp></ip><ip family='ipv6' address='fd00::1'><dhcp/></ip></network>"""
    )

    assert said_seconds(network, MAC, v6=False) == 1800
    assert said_seconds(network, "52:54:00:00:00:99", v6=False) == 7200
    assert said_seconds(network, MAC, v6=True) is None


NETWORK = """
<network><name>n</name>
  <ip address='10.0.0.1' prefix='16'>
    <dhcp><range start='10.0.0.2' end='10.0.9.254'/>
      <host mac='52:54:00:00:00:09' name='taken' ip='10.0.0.9'/></dhcp>
  </ip>
  <ip address='10.9.0.1' netmask='255.255.0.0'/>
  <ip family='ipv6' address='fd00::1'>
    <dhcp><host id='0:3:0:1:52:54:0:0:0:9' name='six' ip='fd00:0::9'/></dhcp>
  </ip>
</network>"""


def test_each_address_goes_to_the_subnet_whose_dhcp_would_give_it() -> None:
    wanted = networks.wishes(
        NETWORK, mac=MAC.upper(), addresses=("10.9.0.7", "10.0.0.7", "FD00:0::7"), name="web"
    )

    assert wanted == [
        Promise(index=0, ip="10.0.0.7", mac=MAC, name="web"),
        Promise(index=2, ip="fd00::7", id=f"00:03:00:01:{MAC}", name="web"),
    ]


@pytest.mark.parametrize("name", ["taken", "9web", "a b", "x'/><y", ""])
def test_a_name_that_would_be_refused_is_left_out(name: str) -> None:
    (wanted,) = networks.wishes(NETWORK, mac=MAC, addresses=("10.0.0.7",), name=name)

    assert wanted.name is None


def test_what_is_promised_already_is_read_in_its_shortest_spelling() -> None:
    assert [one.ip for one in networks.promises(NETWORK)] == ["10.0.0.9", "fd00::9"]


@pytest.mark.parametrize("xml", ["", "<a>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"])
def test_what_is_no_plain_xml_is_refused(xml: str) -> None:
    with pytest.raises(ValueError, match="it "):
        elements.read(xml)
