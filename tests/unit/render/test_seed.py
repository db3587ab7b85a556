from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.isos import files_in, label_of
from tests.support.servers import BUILD, CARD, ID, KEY, SPEC
from vmctl.adapters.render import TemplateRenderer
from vmctl.domain.network import Network, Source
from vmctl.domain.spec import Secrets
from vmctl.errors import UsageError, VmctlError

LAN = Network(
    name="lan",
    source=Source(kind="bridge", name="br-lan"),
    cidrs=("198.51.100.0/24", "2001:db8::/64"),
    gateway=("198.51.100.1", "2001:db8::1"),
    dns=("198.51.100.53", "2001:db8::53"),
    search=("lan.example", "example"),
)
NAT = Network(name="nat", source=Source(kind="network", name="default"), cidrs=("192.0.2.0/24",))
NETWORKS = {"lan": LAN, "nat": NAT}
NOTHING = Secrets()
WHOLE = "0.0.0.0"  # noqa: S104 - every address, as a route


def a_seed(
    *, secrets: Secrets = NOTHING, networks: dict[str, Network] = NETWORKS, **changes: Any
) -> bytes:
    build = replace(BUILD, cards=changes.pop("cards", BUILD.cards))
    spec = replace(SPEC, **changes)
    return TemplateRenderer().seed(spec, build, networks=networks, secrets=secrets)


def network_config(**changes: Any) -> Any:
    return yaml.safe_load(files_in(a_seed(**changes))["network-config"])


def network_data(**changes: Any) -> Any:
    found = files_in(a_seed(seed="config-2", **changes))
    return json.loads(found["openstack/latest/network_data.json"])


def test_a_nocloud_seed_says_who_the_guest_is() -> None:
    image = a_seed(availability_zone="a")
    found = files_in(image)

    assert label_of(image) == "cidata"
    assert sorted(found) == ["meta-data", "network-config", "user-data"]
    assert yaml.safe_load(found["meta-data"]) == {
        "instance-id": ID,
        "local-hostname": "web-1",
        "public-keys": [KEY],
        "availability-zone": "a",
        "meta": {"role": "web"},
    }
    assert found["user-data"] == b"#cloud-config\n{}\n"


def test_a_config_drive_says_the_same_as_openstack_does() -> None:
    image = a_seed(seed="config-2", index=3, project="p")
    found = files_in(image)

    assert label_of(image) == "config-2"
    names = ["meta_data.json", "network_data.json", "user_data", "vendor_data.json"]
    assert sorted(found) == [
        f"openstack/{version}/{name}" for version in ("2018-08-27", "latest") for name in names
    ]
    meta = json.loads(found["openstack/latest/meta_data.json"])
    assert meta == {
        "uuid": ID,
        "name": "web-1",
        "hostname": "web-1",
        "launch_index": 3,
        "availability_zone": "",
        "project_id": "p",
        "meta": {"role": "web"},
        "devices": [],
        "public_keys": {"ops": KEY},
        "keys": [{"name": "ops", "type": "ssh", "data": KEY}],
    }
    for name in names:
        assert found[f"openstack/latest/{name}"] == found[f"openstack/2018-08-27/{name}"]


@pytest.mark.parametrize(
    ("kind", "file"),
    [("nocloud", "meta-data"), ("config-2", "openstack/latest/meta_data.json")],
)
def test_a_card_that_bears_a_tag_is_known_by_it_in_the_guest(kind: str, file: str) -> None:
    cards = (replace(CARD, tag="storage"), replace(CARD, mac="52:54:00:00:00:09"))
    meta = yaml.safe_load(files_in(a_seed(seed=kind, cards=cards))[file])

    assert [(one["mac"], one["tags"]) for one in meta["devices"]] == [(CARD.mac, ["storage"])]


@pytest.mark.parametrize("kind", ["nocloud", "config-2"])
def test_the_same_server_gives_the_same_bytes_at_any_time(kind: str) -> None:
    first = a_seed(seed=kind)

    time.sleep(1.01)

    assert a_seed(seed=kind) == first


def test_a_seed_of_no_known_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="'floppy': nocloud, config-2"):
        a_seed(seed="floppy")


def test_a_static_card_has_its_addresses_gateways_and_names() -> None:
    card = replace(CARD, addresses=("198.51.100.10", "2001:db8::10"), mtu=1400)

    assert network_config(cards=(card,)) == {
        "version": 2,
        "ethernets": {
            "eth0": {
                "match": {"macaddress": CARD.mac},
                "dhcp4": False,
                "dhcp6": False,
                "accept-ra": False,
                "addresses": ["198.51.100.10/24", "2001:db8::10/64"],
                "routes": [
                    {"to": "0.0.0.0/0", "via": "198.51.100.1"},
                    {"to": "::/0", "via": "2001:db8::1"},
                ],
                "nameservers": {
                    "addresses": ["198.51.100.53", "2001:db8::53"],
                    "search": ["lan.example", "example"],
                },
                "mtu": 1400,
            }
        },
    }


def test_the_first_card_that_has_a_gateway_gives_each_familys_one_default_route() -> None:
    inner = replace(NAT, name="inner", gateway=("192.0.2.1",))
    second = replace(CARD, network="inner", mac="52:54:00:00:00:02", addresses=("192.0.2.9",))
    third = replace(CARD, mac="52:54:00:00:00:03", addresses=("198.51.100.11", "2001:db8::11"))
    bare = replace(CARD, network="nat", mac="52:54:00:00:00:01", addresses=("192.0.2.8",))

    said = network_config(
        cards=(bare, second, third), networks={"lan": LAN, "inner": inner, "nat": NAT}
    )["ethernets"]

    assert [said[name].get("routes") for name in ("eth0", "eth1", "eth2")] == [
        None,
        [{"to": "0.0.0.0/0", "via": "192.0.2.1"}],
        [{"to": "::/0", "via": "2001:db8::1"}],
    ]


def test_a_card_by_dhcp_goes_by_its_mac_and_later_ones_cost_more() -> None:
    first = replace(CARD, network="nat", addressing="dhcp")
    second = replace(first, network="lan", mac="52:54:00:00:00:02")

    said = network_config(cards=(first, second))["ethernets"]

    assert said["eth0"] == {
        "match": {"macaddress": CARD.mac},
        "dhcp4": True,
        "dhcp6": False,
        "dhcp-identifier": "mac",
    }
    assert said["eth1"] == {
        "match": {"macaddress": "52:54:00:00:00:02"},
        "dhcp4": True,
        "dhcp6": True,
        "dhcp-identifier": "mac",
        "dhcp4-overrides": {"route-metric": 200},
        "dhcp6-overrides": {"route-metric": 200},
        "accept-ra": True,
        "nameservers": said["eth1"]["nameservers"],
    }


def test_a_static_card_after_one_by_dhcp_brings_no_second_default_route() -> None:
    unknown = Network(name="office", source=Source(kind="bridge", name="br0"))
    first = replace(CARD, network="office", addressing="dhcp", addresses=())
    second = replace(CARD, mac="52:54:00:00:00:02")

    said = network_config(cards=(first, second), networks={"lan": LAN, "office": unknown})

    assert said["ethernets"]["eth0"]["dhcp4"] is True
    assert "routes" not in said["ethernets"]["eth1"]


def test_a_static_card_without_a_gateway_of_ipv6_listens_to_routers() -> None:
    quiet = replace(LAN, gateway=("198.51.100.1",))
    card = replace(CARD, addresses=("2001:db8::10",))

    said = network_config(cards=(card,), networks={"lan": quiet})["ethernets"]["eth0"]

    assert said["accept-ra"] is True


def test_a_gateway_outside_the_cidrs_is_on_the_link() -> None:
    far = replace(LAN, gateway=("203.0.113.1", "fe80::1"))
    card = replace(CARD, addresses=("198.51.100.10", "2001:db8::10"))

    said = network_config(cards=(card,), networks={"lan": far})["ethernets"]["eth0"]

    assert said["routes"] == [
        {"to": "0.0.0.0/0", "via": "203.0.113.1", "on-link": True},
        {"to": "::/0", "via": "fe80::1"},
    ]


def test_an_address_outside_its_network_is_refused() -> None:
    with pytest.raises(
        VmctlError, match=r"203.0.113.7 of the card .* in no cidr of its network lan"
    ):
        a_seed(cards=(replace(CARD, addresses=("203.0.113.7",)),))


def test_a_card_on_a_network_that_is_gone_is_refused() -> None:
    with pytest.raises(VmctlError, match=r"the network lan of .* not in the inventory"):
        a_seed(networks={})


def test_a_config_drive_says_the_network_as_openstack_does() -> None:
    static = replace(CARD, addresses=("198.51.100.10", "2001:db8::10"), mtu=1400)
    dhcp = replace(CARD, network="nat", addressing="dhcp", mac="52:54:00:00:00:02")

    said = network_data(cards=(static, dhcp))

    servers = ["198.51.100.53", "2001:db8::53"]
    search = {
        "dns_search": ["lan.example", "example"],
        "dns_nameservers": servers,
        "services": [{"type": "dns", "address": server} for server in servers],
    }
    assert said == {
        "links": [
            {"id": "eth0", "type": "phy", "ethernet_mac_address": CARD.mac, "mtu": 1400},
            {"id": "eth1", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:02"},
        ],
        "networks": [
            {
                "id": "network0",
                "link": "eth0",
                "type": "ipv4",
                "ip_address": "198.51.100.10",
                "netmask": "255.255.255.0",
                "routes": [{"network": WHOLE, "netmask": WHOLE, "gateway": "198.51.100.1"}],
                **search,
            },
            {
                "id": "network1",
                "link": "eth0",
                "type": "ipv6",
                "ip_address": "2001:db8::10",
                "netmask": "ffff:ffff:ffff:ffff::",
                "routes": [{"network": "::", "netmask": "::", "gateway": "2001:db8::1"}],
                **search,
            },
            {"id": "network2", "link": "eth1", "type": "ipv4_dhcp"},
        ],
        "services": [
            {"type": "dns", "address": "198.51.100.53"},
            {"type": "dns", "address": "2001:db8::53"},
        ],
    }


TEXT = st.text(st.characters(), max_size=20)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(TEXT, min_size=6, max_size=6),
    st.dictionaries(TEXT, TEXT, max_size=3),
    st.binary(max_size=50),
    st.dictionaries(TEXT, st.binary(max_size=20), max_size=2),
    st.sampled_from(["nocloud", "config-2"]),
)
def test_no_value_gets_out_of_its_place_in_a_seed(
    words: list[str],
    properties: dict[str, str],
    data: bytes,
    contents: dict[str, bytes],
    kind: str,
) -> None:
    hostname, key, key_name, zone, domain, password = words
    files = {path: base64.b64encode(content).decode() for path, content in contents.items()}
    secrets = Secrets(
        user_data=base64.b64encode(data).decode() if not files and not password else None,
        files=files,
        password_hash=password or None,
    )
    image = a_seed(
        seed=kind,
        hostname=hostname,
        public_key=key,
        key_name=key_name,
        availability_zone=zone,
        properties=properties,
        secrets=secrets,
        networks={"lan": replace(LAN, search=(domain,))},
    )
    found = files_in(image)

    if kind == "nocloud":
        meta = yaml.safe_load(found["meta-data"])
        assert meta["local-hostname"] == (hostname or "web-1")
        assert meta["instance-id"] == ID
        assert meta.get("public-keys", [""]) == [key]
        assert meta.get("availability-zone", "") == zone
        said = yaml.safe_load(found["network-config"])
        assert said["ethernets"]["eth0"]["nameservers"]["search"] == [domain]
        user_data = found["user-data"]
    else:
        meta = json.loads(found["openstack/latest/meta_data.json"])
        assert meta["hostname"] == (hostname or "web-1")
        assert meta["uuid"] == ID
        assert meta.get("public_keys", {}) == ({key_name or "key": key} if key else {})
        said = json.loads(found["openstack/latest/network_data.json"])
        assert said["networks"][0]["dns_search"] == [domain]
        user_data = found["openstack/latest/user_data"]
    assert meta.get("meta", {}) == properties
    if secrets.user_data:
        assert user_data == data
    else:
        ours = yaml.safe_load(user_data)
        assert ours.get("password", "") == password
        written = {
            one["path"]: base64.b64decode(one["content"]) for one in ours.get("write_files", ())
        }
        assert written == contents
