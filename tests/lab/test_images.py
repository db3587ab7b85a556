"""The guest images by themselves, under plain QEMU: what later tests take for granted of them."""

import base64
import functools
import subprocess
from collections.abc import Callable
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.images import READY
from tests.lab.images.boot import booted, iso_seed, overlay, vfat_seed
from tests.lab.images.packages import run
from tests.lab.outside import image

MAC = "52:54:00:ab:cd:ef"
ANY = "0.0.0.0"  # noqa: S104 (a route's destination)
NET = "net=10.9.0.0/24,ipv6-net=fd09::/64"
STATIC = {
    "version": 2,
    "ethernets": {
        "lan0": {
            "match": {"macaddress": MAC},
            "set-name": "lan0",
            "mtu": 1400,
            "addresses": ["10.9.0.50/24", "fd09::50/64"],
            "routes": [
                {"to": "default", "via": "10.9.0.2"},
                {"to": "::/0", "via": "fd09::2"},
            ],
            "nameservers": {"addresses": ["10.9.0.3", "9.9.9.9"], "search": ["lab.example"]},
        }
    },
}
on_lan = functools.partial(booted, mac=MAC, net=NET, address="10.9.0.50")
ADDRESSES = "ip -o addr show lan0; ip route; ip -6 route; cat /etc/resolv.conf"


@pytest.fixture(scope="module")
def small() -> Path:
    return image("small")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def meta(key: Path, name: str = "web1", instance: str = "i-1") -> str:
    public = key.with_suffix(".pub").read_text().strip()
    return yaml.safe_dump(
        {"instance-id": instance, "local-hostname": name, "public-keys": [public]}
    )


def merged(*parts: tuple[str, str]) -> str:
    """User-data as a MIME multipart; Python codes parts in UTF-8 as base64."""
    message = MIMEMultipart()
    for kind, text in parts:
        coding = "us-ascii" if kind == "cloud-config" else "utf-8"
        message.attach(MIMEText(text, kind, coding))
    return message.as_string()


@pytest.mark.lab
def test_takes_name_key_and_lease_and_obeys_acpi_and_the_agent(
    small: Path, key: Path, tmp_path: Path
) -> None:
    seed = vfat_seed(tmp_path, {"meta-data": meta(key)})
    with booted(tmp_path, overlay(tmp_path, small), seed) as guest:
        assert guest.wait_for(READY, 60) == "web1 10.0.2.15"
        assert guest.ssh("hostname", key=key) == "web1\n"
        assert guest.ssh("id -un", key=key, user="guest") == "guest\n"
        assert "default via 10.0.2.2" in guest.ssh("ip route", key=key)
        assert guest.agent("guest-ping") == {}
        interfaces = guest.agent("guest-network-get-interfaces")
        seen = [one["ip-address"] for nic in interfaces for one in nic.get("ip-addresses", [])]
        assert "10.0.2.15" in seen
        copy = tmp_path / "copy"
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        words = ["scp", "-q", "-F", "none", *options, "-i", str(key), "-P", str(guest.port)]
        run(*words, "root@127.0.0.1:/etc/hostname", copy)
        assert copy.read_text() == "web1\n"
        guest.qmp("system_powerdown")
        assert guest.process.wait(20) == 0


@pytest.mark.lab
def test_a_password_set_by_the_agent_opens_the_console_and_lasts(
    small: Path, key: Path, tmp_path: Path
) -> None:
    seed = vfat_seed(tmp_path, {"meta-data": meta(key)})
    disk = overlay(tmp_path, small)
    with booted(tmp_path, disk, seed) as guest:
        guest.wait_for(READY, 60)
        coded = base64.b64encode(b"a secret").decode()
        guest.agent("guest-set-user-password", username="root", password=coded, crypted=False)
        host_key = guest.ssh("sha256sum /state/instance/*/hostkey", key=key)
        guest.agent_ends("guest-shutdown", mode="powerdown")
        assert guest.process.wait(20) == 0
    with booted(tmp_path, disk, seed) as guest:
        guest.wait_for(READY, 60)
        assert guest.ssh("sha256sum /state/instance/*/hostkey", key=key) == host_key
        guest.type_and_read("\n", "web1 login:", 20)
        guest.type_and_read("root\n", "Password:", 20)
        assert "incorrect" in guest.type_and_read("wrong\n", "web1 login:", 20)
        guest.type_and_read("root\n", "Password:", 20)
        guest.type_and_read("a secret\n", "root@web1", 20)
        assert "/dev/ttyS0" in guest.type_and_read("tty\n", "S0", 20)


@pytest.mark.lab
def test_takes_static_addresses_and_every_part_of_merged_user_data_once(
    small: Path, key: Path, tmp_path: Path
) -> None:
    config = {
        "hostname": "renamed",
        "write_files": [
            {"path": "/etc/plain", "content": "a `id` $(id) \\n\n\n  b\n", "permissions": "0600"},
            {"path": "/etc/coded", "content": "aGk=", "encoding": "b64"},
        ],
    }
    user_data = merged(
        ("cloud-config", "#cloud-config\n" + yaml.safe_dump(config)),
        ("x-shellscript", "#!/bin/sh\necho ran >>/data/ran\nsleep 1\n"),
        ("x-shellscript", "#!/bin/sh\necho again >>/data/ran\n"),
    )
    files = {
        "meta-data": meta(key),
        "user-data": user_data,
        "network-config": yaml.safe_dump({"network": STATIC}),
    }
    disk = overlay(tmp_path, small)
    with on_lan(tmp_path, disk, iso_seed(tmp_path, files), cores=2) as guest:
        assert given(guest.wait_for(READY, 60)) == ["renamed", "10.9.0.50", "fd09::50"]
        assert guest.ssh("cloud-init status --wait", key=key) == "status: done\n"
        assert guest.ssh("cat /data/ran", key=key) == "ran\nagain\n"
        plain = guest.ssh("cat /etc/plain; stat -c %a /etc/plain; cat /etc/coded", key=key)
        assert plain == "a `id` $(id) \\n\n\n  b\n600\nhi"
        assert_static(guest.ssh("cat /sys/class/net/lan0/mtu", ";", ADDRESSES, key=key))
        guest.ssh("ping -c 1 -W 5 10.9.0.2; ping -c 1 -W 5 fd09::2", key=key)
        guest.ssh("reboot", key=key)
        guest.wait_for(READY, 60, times=2)
        assert guest.ssh("cloud-init status --wait", key=key) == "status: done\n"
        assert guest.ssh("cat /data/ran", key=key) == "ran\nagain\n"
        guest.ssh("poweroff", key=key)
        assert guest.process.wait(20) == 0
    files["meta-data"] = meta(key, instance="i-2")
    with on_lan(tmp_path, disk, iso_seed(tmp_path, files)) as guest:
        guest.wait_for(READY, 60)
        assert guest.ssh("cloud-init status --wait", key=key) == "status: done\n"
        assert guest.ssh("cat /data/ran", key=key) == "ran\nagain\n" * 2


def given(ready: str) -> list[str]:
    """The words of a guest that is ready, without an address that a router has advertised.

    QEMU's own router is heard sooner or later: on a busy machine, before the guest says so.
    """
    return [word for word in ready.split() if ":5054:ff:fe" not in word]


def assert_static(told: str) -> None:
    # A router's advertisement may stand beside the IPv6 gateway, as one of two next hops.
    for wanted in (
        "1400\n",
        "inet 10.9.0.50/24",
        "inet6 fd09::50/64",
        "default via 10.9.0.2 dev lan0",
        "via fd09::2 dev lan0",
        "nameserver 10.9.0.3\nnameserver 9.9.9.9\n",
        "search lab.example",
    ):
        assert wanted in told, told


@pytest.mark.lab
def test_takes_a_config_drive_on_two_nics(small: Path, key: Path, tmp_path: Path) -> None:
    public = key.with_suffix(".pub").read_text().strip()
    told: dict[str, dict[str, Any]] = {
        "meta_data.json": {
            "uuid": "4dd5a8ff-0a3c-4e5e-8f0b-0d9c3d1b2a10",
            "hostname": "drive",
            "public_keys": {"mine": public},
        },
        "network_data.json": {
            "links": [
                {"id": "tap0", "type": "phy", "ethernet_mac_address": MAC, "mtu": 1400},
                {"id": "tap1", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:02"},
            ],
            "networks": [
                {
                    "id": "network0",
                    "link": "tap0",
                    "type": "ipv4",
                    "ip_address": "10.9.0.50",
                    "netmask": "255.255.255.0",
                    "routes": [{"network": ANY, "netmask": ANY, "gateway": "10.9.0.2"}],
                },
                {
                    "id": "network1",
                    "link": "tap0",
                    "type": "ipv6",
                    "ip_address": "fd09::50",
                    "netmask": "ffff:ffff:ffff:ffff::",
                    "routes": [{"network": "::", "netmask": "::", "gateway": "fd09::2"}],
                },
                {"id": "network2", "link": "tap1", "type": "ipv4_dhcp"},
            ],
            "services": [{"type": "dns", "address": "10.9.0.3"}],
        },
    }
    files = {f"openstack/latest/{name}": yaml.safe_dump(one) for name, one in told.items()}
    files["openstack/latest/user_data"] = "#!/bin/sh\nexit 3\n"
    seed = iso_seed(tmp_path, files, label="config-2")
    second = ("-device", "virtio-net-pci,netdev=two,mac=52:54:00:00:00:02")
    more = ("-netdev", "user,id=two,net=10.8.0.0/24,ipv6=off", *second)
    with on_lan(tmp_path, overlay(tmp_path, small), seed, more=more) as guest:
        name, *addresses = given(guest.wait_for(READY, 60))
        assert name == "drive"
        assert set(addresses) == {"10.9.0.50", "fd09::50", "10.8.0.15"}
        status = guest.ssh("cloud-init status --wait || true", key=key)
        assert status == "status: error\n"
        routes = guest.ssh("ip route; ip -6 route; cat /etc/resolv.conf", key=key)
        assert "default via 10.9.0.2" in routes
        assert "default via 10.8.0.2" in routes
        assert "default via fd09::2" in routes
        assert "nameserver 10.9.0.3\n" in routes


@pytest.mark.lab
def test_needs_no_seed_and_no_network(small: Path, tmp_path: Path) -> None:
    with booted(tmp_path, overlay(tmp_path, small), cpu="qemu64", net="restrict=on") as guest:
        assert guest.wait_for(READY, 60).startswith("mini")


YAML_BY_HAND = """\
#cloud-config
# as people write it
password: "$6$x"   # quoted
list:
  - one # comment
  - 'it''s'
  -   nested: {a: [1, 2], "b": "c, d"}
      text: >-
        folded
        text

        next
unindented:
- a: &shared
    - x
- b: *shared
url: http://example.org/a#b
empty:
last: "tab\\t\\u00e9 \\
  joined"
"""


@pytest.mark.lab
def test_the_guest_reads_yaml_as_a_yaml_library_does(
    seedtool: Callable[[str], str],
) -> None:
    long_key = "ssh-ed25519 " + "A" * 68 + " somebody at a place with a long name"
    odd = ["a: b", "- c", "#d", "e #f", "'", '"', "\\", "", " lead", "a\n b\n\nc\n", "\ttab", "é"]
    told = {"keys": [long_key], "odd": odd, "deep": [[{"k/1": [odd]}, []], {}], "!x": {"&y": "*z"}}
    hand = yaml.safe_load(YAML_BY_HAND)
    assert seedtool(YAML_BY_HAND) == flat(hand)
    for style in (None, '"', "'", "|", ">"):
        for flow in (None, True, False):
            text = str(
                yaml.safe_dump(
                    told, default_style=style, default_flow_style=flow, sort_keys=False, width=40
                )
            )
            assert seedtool(text) == flat(told), text


@pytest.fixture
def seedtool(tmp_path: Path) -> Callable[[str], str]:
    program = tmp_path / "seedtool"
    source = Path(__file__).parent / "images/guest/seedtool.c"
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover"]
    subprocess.run(["gcc", "-g", "-O1", *checks, "-o", program, source], check=True)

    def read(text: str) -> str:
        (tmp_path / "document").write_text(text)
        checked = ("env", "ASAN_OPTIONS=detect_leaks=0", program)
        return run(*checked, "flat", tmp_path / "document")

    return read


def flat(value: object, path: str = "") -> str:
    below = f"{path}/" if path else ""
    if isinstance(value, dict):
        names = {key: str(key).replace("/", "%2F") for key in value}
        return "".join(flat(item, f"{below}{names[key]}") for key, item in value.items())
    if isinstance(value, list):
        return "".join(flat(item, f"{below}{number}") for number, item in enumerate(value))
    text = "" if value is None else str(value)
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    return f"{path}\t{escaped}\n"


@pytest.mark.lab
@pytest.mark.slow
def test_a_whole_debian_takes_the_seed_by_its_own_cloud_init(
    key: Path, tmp_path: Path, *, torture: bool
) -> None:
    if not torture:
        pytest.skip("one more boot of a real Debian, as server create's own test has it")
    files = {
        "meta-data": meta(key),
        "user-data": "#!/bin/sh\necho ran >>/ran\n",
        "network-config": yaml.safe_dump(STATIC),
    }
    disk = overlay(tmp_path, image("debian"))
    with on_lan(tmp_path, disk, iso_seed(tmp_path, files), memory=512, cores=2) as guest:
        guest.wait_for("finished at", 400)
        told = guest.ssh("cloud-init status --wait; hostname; cat /ran", key=key, user="debian")
        assert told.split() == ["status:", "done", "web1", "ran"]
        assert_static(
            guest.ssh(
                "cat /sys/class/net/lan0/mtu;",
                "ip -o addr show lan0; ip route; ip -6 route; cat /run/systemd/resolve/resolv.conf",
                key=key,
                user="debian",
            )
        )
        assert guest.agent("guest-ping") == {}
        guest.qmp("system_powerdown")
        assert guest.process.wait(60) == 0
