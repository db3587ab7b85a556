"""Command lines as runbooks for OpenStack have them: each works, or is refused with what to do.

A create is made with ``--dry-run``, for there are no hosts; all else is as it stands in such books.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, ClassVar

import pytest

from tests.support.fake_parts import Nobody
from tests.support.images import a_qcow2
from tests.support.product import Product, a_sample
from tests.support.recorded import a_card, a_spec, running
from vmctl.adapters.leases import open_leases
from vmctl.adapters.store import open_store
from vmctl.bootstrap import App
from vmctl.cli.commands import COMMANDS
from vmctl.cli.grammar import match
from vmctl.cli.hints import HINTS
from vmctl.domain.sample import FoundBridge
from vmctl.services.hosts import sighting

if TYPE_CHECKING:
    from vmctl.adapters.guest_entry import GuestWay
    from vmctl.domain.host import Host
    from vmctl.ports import Prober

INVENTORY = """
hosts:
  compute01: {address: 192.0.2.1, zone: nova, networks: [private, admin]}
  compute02: {address: 192.0.2.2, zone: nova, networks: [private, admin]}
  compute03: {address: 192.0.2.3, zone: az2, networks: [private, admin]}
networks:
  private: {source: {bridge: br0}, cidrs: [198.51.100.0/24], default: true, addressing: static}
  admin: {source: {bridge: br1}, cidrs: [203.0.113.0/24], addressing: static}
aggregates:
  fast: {hosts: [compute03], metadata: {ssd: "true"}}
"""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGXChc9WnfTvZZHxRquzfHkggraPAQZCVSxcAIapdAgM ops@example"


class Entered(App):
    """Enters no guest, and says how it would."""

    ways: ClassVar[list[tuple[str | None, str]]] = []

    @property
    def prober(self) -> Prober:
        return Nobody()

    def enter_guest(self, way: GuestWay, command: tuple[str, ...], through: Host | None) -> int:
        del command, through
        self.ways.append((way.login, way.address))
        return 0


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Product:
    """A small site with three hosts, an image, a key, and servers that run."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "inventory.yaml").write_text(INVENTORY)
    (folder / "cirros.img").write_bytes(a_qcow2(size=1 << 20))
    (folder / "cloud.yml").write_text("#cloud-config\n{}\n")
    (folder / "id_rsa.pub").write_text(KEY + "\n")
    site = Product(folder, app=Entered)
    bridges = (FoundBridge(name="br0"), FoundBridge(name="br1"))
    sample = a_sample(bridge_filter=True, bridge_filter6=True, bridges=bridges)
    with open_store(str(site.db)) as store:
        names = ("compute01", "compute02", "compute03")
        store.save_samples(sighting(name, sample) for name in names)
        leases = open_leases(store.location)
        for number, name in enumerate(("vm1", "vm2", "web1", "gone"), 1):
            card = (a_card(number, f"198.51.100.{10 + number}", network="private"),)
            running(store, leases, a_spec(name, number), "compute01", card)
    site.ok("image", "create", "cirros", "--file", str(folder / "cirros.img"))
    site.ok("image", "create", "Ubuntu 16.04 LTS", "--file", str(folder / "cirros.img"))
    site.ok("keypair", "create", "mykey", "--public-key", str(folder / "id_rsa.pub"))
    site.ok("security", "group", "create", "SG01")
    site.ok("server", "group", "create", "--policy", "anti-affinity", "spread")
    return site


CREATES = """\
server create --flavor m1.tiny --image cirros test_vm1
server create --image cirros --flavor m1.tiny --key-name mykey --network private demo1
server create --flavor=m1.tiny --image cirros --nic net-id=admin test
server create --image cirros --security-group SG01 --key-name mykey --flavor 1 --nic \\
    net-id=admin web
server create --image "Ubuntu 16.04 LTS" --flavor m1.small --config-drive=True \\
    --user-data=cloud.yml s
server create --flavor m1.tiny --image cirros --nic net-id=private,v4-fixed-ip=198.51.100.77 \\
    fixed
server create --flavor m1.tiny --image cirros --nic net-id=admin --nic net-id=private --wait \\
    two-cards
server create --flavor m1.tiny --image cirros --availability-zone nova:compute02 pinned
server create --flavor m1.tiny --image cirros --availability-zone nova --min 3 --max 3 --wait \\
    many
server create --flavor m1.tiny --image cirros --hint group=spread --property role=db \\
    --property tier=1 db1
server create --flavor m1.tiny --image cirros --host compute03 --os-compute-api-version 2.74 \\
    there
server create --os-cloud prod --insecure -f value -c id --flavor m1.tiny --image cirros --tag \\
    web --description 'the shop' shop
server create --flavor m1.tiny --image cirros --no-network --swap 512 --ephemeral size=1 \\
    --password secret alone
"""
"""These are given ``--dry-run`` beside what stands there."""

WORKING = """
server list
server list --all-projects --limit -1 --status ERROR -f value -c ID
server list --name vm1 -c Name -c Networks -c Status -f value
server list --deleted --all-projects -c ID -f value
server list --all --host compute01 -f json
server list --long --sort-column Name --noindent -f json
server list --ip 198.51.100.1 --flavor m1.small --no-name-lookup
server list --changes-since 2026-01-01T00:00:00Z --max-width 120
server show vm1
server show vm1 -f value -c status
server show -f shell --prefix vm_ -c id -c addresses vm1
server show vm1 -f json -c OS-EXT-SRV-ATTR:host
server event list vm1
server event list --long vm1
server lock --reason "no hands" vm1
server unlock vm1 vm2
server lock vm1
server unlock vm1
server set --state error vm2
server set --state active --auto-approve vm2
server set --no-password vm1
server set --name web2 --description 'the other one' --property role=db --property tier=1 web1
server unset --property role --all-tags web2
server delete --wait gone
server group create --policy soft-anti-affinity racks
server group list --long
server ssh --login ubuntu vm1
image create --disk-format qcow2 --container-format bare --public --file cirros.img cirros2
image list --sort-column Name -f value -c Name
image show cirros -f value -c checksum
flavor create --id 42 --vcpus 1 --ram 64 --disk 1 m1.nano
flavor list --all --long
keypair create --public-key id_rsa.pub laptop
keypair list
security group rule create --proto icmp SG01
security group rule create --proto tcp --dst-port 22 --remote-ip 0.0.0.0/0 SG01
security group rule list default
network list
network show private -f value -c subnets
hypervisor list --long
hypervisor show compute01
hypervisor stats show
availability zone list --compute
aggregate list --long
aggregate show fast
quota show
host list
"""

REACHING = """
server stop vm1 vm2
server stop --all-projects vm1
server start vm1
server reboot --hard vm1
server reboot --wait vm1
server pause vm1
server unpause vm1
server suspend vm1 vm2
server resume vm1
server set --autostart vm1
server set --password secret vm1
server rescue vm1
server rescue --image cirros --password secret vm1
server unrescue vm1
server rebuild --image cirros vm1
server rebuild --image cirros --key-name mykey --user-data cloud.yml --wait vm1
server rebuild --preserve-ephemeral --property role=db --no-user-data vm1
"""
"""These go to the host of the server, which is not there: that is what they say."""

REFUSED = {
    "server create --flavor m1.tiny --image cirros --nic port-id=6f0a data": "v4-fixed-ip",
    "server create --flavor m1.tiny --volume bootable boot": "--image",
    "server create --flavor m1.tiny --image cirros --boot-from-volume 20 big": "root disk",
    "server resize --flavor m1.large --wait vm1": "vmctl server create",
    "server resize confirm vm1": "vmctl server create",
    "server migrate --live-migration --host compute02 vm1": "vmctl host disable",
    "server migration list": "vmctl host disable",
    "server evacuate --host compute02 vm1": "vmctl host disable",
    "server add floating ip vm1 203.0.113.9": "it comes later",
    "server add volume vm1 data": "it comes later",
    "server image create --name snap vm1": "vmctl image create",
    "compute service list --service nova-compute": "vmctl host list",
    "compute service set --disable --disable-reason maintenance compute03 nova-compute": (
        "vmctl host disable"
    ),
    "aggregate add host fast compute01": "inventory",
    "aggregate create --zone az2 ssd": "inventory",
    "network create --provider-network-type flat public": "inventory",
    "subnet create --network private --subnet-range 198.51.100.0/24 sub": "inventory",
    "port list --server vm1": "vmctl server show",
    "router create r1": "inventory",
    "floating ip create public": "--network",
    "volume create --size 10 data": "--ephemeral",
    "project list": "--project",
    "user list": "ssh",
    "token issue": "ssh",
    "endpoint list": "vmctl host list",
    "network agent list": "vmctl host check",
    "usage list": "vmctl hypervisor stats show",
    "limits show --absolute": "vmctl quota show",
    "console url show --novnc vm1": "vmctl console url show --vnc",
    "image list --sort name:asc": "--sort-column",
    "boot --image cirros --flavor 1 vm9": "server create",
    "server lst": "server list",
}


def lines(text: str) -> list[str]:
    return text.replace("\\\n   ", "").strip().splitlines()


@pytest.fixture(autouse=True)
def _there(books: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(books.folder)


@pytest.mark.parametrize("line", lines(CREATES))
def test_creates_of_runbooks_would_be_carried_out(books: Product, line: str) -> None:
    ran = books.run(*shlex.split(line), "--dry-run", "-f", "json", "-c", "Host")

    assert ran.code == 0, ran.err
    assert "compute0" in ran.out


@pytest.mark.parametrize("line", lines(WORKING))
def test_lines_of_runbooks_work(books: Product, line: str) -> None:
    ran = books.run(*shlex.split(line))

    assert ran.code == 0, ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("line", lines(REACHING))
def test_lines_of_runbooks_go_to_the_host(books: Product, line: str) -> None:
    ran = books.run(*shlex.split(line))

    assert (ran.code, ran.out) == (1 if line.endswith("vm2") else 11, "")
    assert "compute01" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_not_there_is_refused_with_what_to_do(books: Product, line: str) -> None:
    ran = books.run(*shlex.split(line))

    assert (ran.code, ran.out) == (2, "")
    message, hint, *_ = ran.err.splitlines()
    assert hint.startswith("hint: ")
    assert REFUSED[line] in ran.err
    assert "Traceback" not in message


def test_no_hint_is_about_a_command_that_is_there() -> None:
    for phrase in HINTS:
        assert match(phrase.split(), COMMANDS) is None, phrase


def test_what_hints_name_is_there() -> None:
    for hint in HINTS.values():
        for said in hint.split("vmctl ")[1:]:
            words = said.replace(":", " ").replace(",", " ").split()
            assert match(words, COMMANDS), said


def test_the_login_of_a_runbook_is_who_enters(books: Product) -> None:
    Entered.ways.clear()

    assert books.run("server", "ssh", "-l", "ubuntu", "--jump", "vm1").code == 0

    assert Entered.ways == [("ubuntu", "198.51.100.11")]
