"""Keypairs, security groups and networks from the command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.product import INVENTORY, Product
from vmctl.domain.ssh_key import read_public_key
from vmctl.errors import UsageError

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ops@desk"


@pytest.fixture
def vmctl(tmp_path: Path) -> Product:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    return Product(tmp_path)


def test_a_public_key_is_put_on_record(vmctl: Product, tmp_path: Path) -> None:
    file = tmp_path / "id.pub"
    file.write_text(f"# mine\n{PUBLIC}\n")

    made = vmctl.data("keypair", "create", "ops", "--public-key", str(file))

    print_ = subprocess.run(
        ["ssh-keygen", "-l", "-E", "md5", "-f", str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert made["fingerprint"] == print_.stdout.split()[1].removeprefix("MD5:")
    assert "public_key" not in made
    assert vmctl.data("keypair", "show", "ops")["public_key"] == PUBLIC
    assert vmctl.ok("keypair", "show", "ops", "--public-key") == f"{PUBLIC}\n"
    (row,) = vmctl.data("keypair", "list")
    assert row == {"Name": "ops", "Fingerprint": made["fingerprint"], "Type": "ssh"}
    vmctl.ok("keypair", "delete", "ops")
    assert vmctl.data("keypair", "list") == []
    assert vmctl.run("keypair", "delete", "ops").code == 1


def test_a_fresh_key_is_printed_and_fits_its_public_half(vmctl: Product, tmp_path: Path) -> None:
    private = vmctl.ok("keypair", "create", "new")

    file = tmp_path / "key"
    file.write_text(private)
    file.chmod(0o600)
    derived = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(file)], capture_output=True, text=True, check=True
    )
    assert derived.stdout.split()[:2] == vmctl.ok("keypair", "show", "new", "--public-key").split()
    assert "PRIVATE" not in vmctl.ok("keypair", "show", "new")


def test_a_fresh_key_can_be_written_and_overwrites_nothing(vmctl: Product, tmp_path: Path) -> None:
    file = tmp_path / "key"
    made = vmctl.data("keypair", "create", "new", "--private-key", str(file))
    assert made["name"] == "new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----")

    assert vmctl.run("keypair", "create", "other", "--private-key", str(file)).code == 2
    taken = vmctl.run("keypair", "create", "new", "--private-key", str(tmp_path / "second"))
    assert taken.code == 1
    assert "a keypair of this name is there already" in taken.err
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", "is a private key"),
        ("", "holds 0 public keys"),
        (f"{PUBLIC}\n{PUBLIC}\n", "holds 2 public keys"),
        ("ssh-ed25519 AAAA me", "is no public key"),
        (PUBLIC.replace("ssh-ed25519 ", "ssh-rsa "), "is no public key"),
        ('command="reboot" ' + PUBLIC, "is no public key"),
        ("ssh-dss AAAAB3NzaC1kc3M= x", "is no public key"),
    ],
)
def test_what_is_no_public_key_is_refused(
    vmctl: Product, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "id.pub"
    file.write_text(text)

    ran = vmctl.run("keypair", "create", "ops", "--public-key", str(file))

    assert ran.code == 2
    assert said in ran.err


@given(st.text(max_size=80), st.text(max_size=20))
def test_of_a_key_file_nothing_but_one_clean_line_is_taken(comment: str, after: str) -> None:
    kind, blob, _ = PUBLIC.split()
    try:
        line, _ = read_public_key(f"{kind} {blob} {comment}\n{after}", "it")
    except UsageError:
        return
    assert len(line.splitlines()) == 1
    assert line.split(" ")[:2] == [kind, blob]
    assert line.isprintable()


def test_the_group_that_is_there_lets_in_ping_and_ssh(vmctl: Product) -> None:
    rows = vmctl.data("security", "group", "rule", "list", "default", "--ingress")

    assert {(row["IP Protocol"], row["Ethertype"], row["Port Range"]) for row in rows} == {
        ("icmp", "IPv4", ""),
        ("icmpv6", "IPv6", ""),
        ("tcp", "IPv4", "22:22"),
        ("tcp", "IPv6", "22:22"),
    }
    assert list(rows[0]) == [
        "ID",
        "IP Protocol",
        "Ethertype",
        "IP Range",
        "Port Range",
        "Direction",
        "Remote Security Group",
        "Remote Address Group",
    ]


def test_a_group_is_made_changed_and_deleted(vmctl: Product) -> None:
    made = vmctl.data("security", "group", "create", "web", "--description", "from outside")
    vmctl.ok("security", "group", "set", "web", "--name", "www")
    rule = vmctl.data(
        *(
            "security",
            "group",
            "rule",
            "create",
            "www",
            "--protocol",
            "tcp",
            "--dst-port",
            "80:443",
        ),
        *("--remote-ip", "192.0.2.7/24", "--description", "office"),
    )

    shown = vmctl.data("security", "group", "show", made["id"])
    assert (shown["name"], shown["description"]) == ("www", "from outside")
    assert [("egress" in one, "tcp" in one) for one in shown["rules"]] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert (rule["port_range_min"], rule["port_range_max"]) == (80, 443)
    assert rule["remote_ip_prefix"] == "192.0.2.0/24"
    assert vmctl.data("security", "group", "rule", "show", rule["id"]) == rule
    rows = vmctl.data("security", "group", "rule", "list")
    assert {row["Security Group"] for row in rows} >= {made["id"]}
    vmctl.ok("security", "group", "rule", "delete", rule["id"])
    assert vmctl.run("security", "group", "rule", "show", rule["id"]).code == 1
    names = {row["Name"] for row in vmctl.data("security", "group", "list")}
    assert names == {"default", "www"}
    vmctl.ok("security", "group", "delete", "www")
    assert vmctl.run("security", "group", "delete", "default").code == 1


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", {"protocol": None, "ether_type": "IPv4", "remote_ip_prefix": "0.0.0.0/0"}),
        ("--ethertype ipv6", {"ether_type": "IPv6", "remote_ip_prefix": "::/0"}),
        ("--protocol 58", {"protocol": "icmpv6", "ether_type": "IPv6"}),
        ("--protocol ipv6-icmp --icmp-type 128", {"protocol": "icmpv6", "port_range_min": 128}),
        ("--protocol ICMP --ethertype IPv6", {"protocol": "icmpv6"}),
        ("--protocol icmp --icmp-type 8 --icmp-code 0", {"port_range_max": 0}),
        ("--protocol any --remote-ip fd00::1", {"remote_ip_prefix": "fd00::1/128"}),
        ("--protocol udp --dst-port 53 --egress", {"direction": "egress", "port_range_max": 53}),
    ],
)  # fmt: skip
def test_rules_are_read_as_openstack_reads_them(
    vmctl: Product, words: str, found: dict[str, object]
) -> None:
    vmctl.ok("security", "group", "create", "web")
    made = vmctl.data("security", "group", "rule", "create", "web", *words.split())

    assert {key: made[key] for key in found} == found


@pytest.mark.parametrize(
    "words",
    [
        "--protocol tcp --dst-port 0:65536",
        "--protocol tcp --dst-port 90:80",
        "--protocol tcp --dst-port http",
        "--dst-port 80",
        "--protocol icmp --dst-port 80",
        "--protocol tcp --icmp-type 8",
        "--protocol icmp --icmp-code 0",
        "--protocol icmp --icmp-type 256",
        "--protocol ospf",
        "--protocol icmpv6 --ethertype IPv4",
        "--protocol igmp --ethertype IPv6",
        "--ethertype IPX",
        "--remote-ip 10.0.0.0/33",
        "--remote-ip fd00::/8 --ethertype IPv4",
        "--remote-group default",
    ],
)
def test_a_rule_that_no_host_could_enforce_is_refused(vmctl: Product, words: str) -> None:
    assert vmctl.run("security", "group", "rule", "create", "default", *words.split()).code == 2


def test_networks_and_their_subnets_come_from_the_inventory(vmctl: Product) -> None:
    assert vmctl.data("network", "list") == [
        {"ID": "lan", "Name": "lan", "Subnets": ["198.51.100.0/24"]}
    ]
    shown = vmctl.data("network", "show", "lan")
    assert (shown["id"], shown["subnets"]) == ("lan", ["198.51.100.0/24"])
    assert (shown["provider:network_type"], shown["provider:physical_network"]) == ("flat", "br0")
    assert vmctl.data("subnet", "list") == [
        {
            "ID": "lan:198.51.100.0/24",
            "Name": "lan-ipv4",
            "Network": "lan",
            "Subnet": "198.51.100.0/24",
        }
    ]
    assert vmctl.run("network", "show", "wan").code == 1
