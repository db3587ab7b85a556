"""What the hypervisor reads out of libvirt's XML and the host's own tools."""

from __future__ import annotations

import pytest

from vmctl.adapters.hypervisor import addresses, elements, networks, offers
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
    said = f"""192.168.122.9 dev virbr0 lladdr {MAC.upper()} REACHABLE
fd77::9 dev br-lan lladdr {MAC} router STALE
192.168.122.10 dev virbr0  FAILED
192.168.122.11 dev virbr0 INCOMPLETE
192.168.122.12 dev virbr0 lladdr {MAC} FAILED
10.0.0.1 dev eth0 lladdr
"""

    assert addresses.read_neighbours(said) == [(MAC, "192.168.122.9"), (MAC, "fd77::9")]


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
