from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.inventories import an_inventory
from vmctl.adapters.store import open_store
from vmctl.adapters.store.catalog import Catalog
from vmctl.domain.catalog import Flavor, Image, Keypair
from vmctl.errors import NotFound, VmctlError
from vmctl.services.order import Order, order_of
from vmctl.services.request_digest import digest_of
from vmctl.services.wish import Wish

INVENTORY = an_inventory("""
    hosts:
      kvm1: {address: 10.0.0.1, zone: az1, networks: [nat, lan, theirs]}
      kvm2: {address: 10.0.0.2, zone: az2, networks: [nat]}
    networks:
      nat: {source: {network: default}, cidrs: [192.168.122.0/24], default: true}
      lan:
        source: {bridge: br0}
        cidrs: [10.1.0.0/24, 'fd00::/64']
        gateway: [10.1.0.1]
        exclude: [10.1.0.9]
        addressing: static
        security_group: none
      theirs: {source: {bridge: br1}}
    """)

SECRET: dict[str, Any] = {"password": "hunter2", "user_data": b"#!/bin/sh\n"}


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with open_store(str(tmp_path / "state.db")) as store:
        catalog = Catalog(store)
        catalog.add_flavor(Flavor(id="f", name="small", memory=128, disk=64))
        catalog.add_flavor(Flavor(id="z", name="no-disk", memory=128, ephemeral=32, swap=16))
        for name, more in (("mini", {}), ("drive", {"img_config_drive": "mandatory"})):
            catalog.add_image(
                Image(
                    id=name,
                    name=name,
                    status="active",
                    checksum=f"{name}-digest",
                    format="qcow2",
                    size=1 << 20,
                    virtual_size=48 << 20,
                    properties={"os": "tiny", **more},
                )
            )
        catalog.add_image(Image(id="q", name="queued"))
        catalog.add_keypair(Keypair(name="me", public_key="ssh-ed25519 AAAA me", fingerprint="f"))
        yield catalog


def a_wish(**said: Any) -> Wish:
    return Wish(**{"name": "web", "flavor": "small", "image": "mini", **said})


def an_order(catalog: Catalog, **said: Any) -> Order:
    return order_of(a_wish(**said), catalog, INVENTORY)


def test_every_name_is_resolved_to_a_value(catalog: Catalog) -> None:
    order = an_order(catalog, key_name="me", properties={"a": "b"}, tags=("x", "x"))

    (spec,) = order.specs
    assert spec.name == spec.hostname == "web"
    assert spec.flavor.memory == 128
    assert (spec.image.digest, spec.image.format) == ("mini-digest", "qcow2")
    assert spec.public_key == "ssh-ed25519 AAAA me"
    assert [card.network for card in spec.cards] == ["nat"]
    assert spec.tags == ("x",)
    assert [rule.direction for rule in order.groups["default"].rules].count("egress") == 2
    assert order.request.names == ("web",)
    assert order.request.networks == ("nat",)


def test_several_servers_differ_in_name_hostname_and_id_alone(catalog: Catalog) -> None:
    order = an_order(catalog, count=3, at_least=2, hostname="h")

    assert [spec.name for spec in order.specs] == ["web-1", "web-2", "web-3"]
    assert [spec.hostname for spec in order.specs] == ["h-1", "h-2", "h-3"]
    assert len({spec.id for spec in order.specs}) == 3
    assert len({spec.reservation for spec in order.specs}) == 1
    assert (order.request.count, order.request.min_count) == (3, 2)


def test_a_flavor_without_a_disk_takes_the_images_size(catalog: Catalog) -> None:
    (spec,) = an_order(catalog, flavor="no-disk").specs

    assert spec.flavor.disk == 48
    assert spec.ephemerals == (32,)
    assert spec.flavor.claim.disk == 48 + 32 + 16


def test_disks_that_are_asked_for_are_claimed(catalog: Catalog) -> None:
    (spec,) = an_order(catalog, swap=7, ephemerals=(1024, 2048)).specs

    assert spec.flavor.claim.disk == 64 + 7 + 3072


@pytest.mark.parametrize(
    ("said", "seed"),
    [
        ({}, "nocloud"),
        ({"config_drive": True}, "config-2"),
        ({"config_drive": False}, None),
        ({"image": "drive"}, "config-2"),
    ],
)
def test_the_seed_is_as_asked_or_as_the_image_says(
    catalog: Catalog, said: dict[str, Any], seed: str | None
) -> None:
    assert an_order(catalog, **said).specs[0].seed == seed


def test_cards_keep_their_order_and_addresses(catalog: Catalog) -> None:
    cards = ("net-id=lan,v4-fixed-ip=10.1.0.5,v6-fixed-ip=fd00::5,tag=front", "nat")

    (spec,) = an_order(catalog, cards=cards).specs

    assert [card.network for card in spec.cards] == ["lan", "nat"]
    assert spec.cards[0].fixed == ("10.1.0.5", "fd00::5")
    assert spec.cards[0].tag == "front"


def test_no_network_means_none(catalog: Catalog) -> None:
    assert an_order(catalog, cards=("none",)).specs[0].cards == ()


def test_a_password_is_kept_as_its_hash_and_not_in_the_spec(catalog: Catalog) -> None:
    order = an_order(catalog, **SECRET)

    assert order.secrets.password_hash is not None
    assert order.secrets.password_hash.startswith("$6$")
    assert "hunter2" not in repr(order)
    assert "#!/bin/sh" not in repr(order.specs)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"name": "-x"}, "is no server name"),
        ({"name": "x" * 99, "count": 10}, "is no server name"),
        ({"flavor": "nope"}, "No Flavor found for nope"),
        ({"image": "nope"}, "No Image found for nope"),
        ({"image": None}, "An image (--image, --image-property) is required"),
        ({"image": "queued"}, "has no bytes yet"),
        ({"image": None, "image_properties": {"os": "big"}}, "no image has os=big"),
        ({"key_name": "nope"}, "No Keypair found for nope"),
        ({"group": "nope"}, "No ServerGroup found for nope"),
        ({"security_groups": ("nope",)}, "No SecurityGroup found for nope"),
        ({"host": "nope"}, "No Host found for nope"),
        ({"zone": "az9"}, "availability zone is not available: az9"),
        ({"zone": "az1:kvm2"}, "is in the zone az2, not in az1"),
        ({"zone": "az1:nope"}, "No Host found for nope"),
        ({"cards": ("nope",)}, "No Network found for nope"),
        ({"cards": ("none", "nat")}, "cannot be combined"),
        ({"cards": ("net-id=lan,v4-fixed-ip=10.2.0.1",)}, "is not on the network lan"),
        ({"cards": ("net-id=theirs,v4-fixed-ip=10.9.0.7",)}, "write the cidr"),
        ({"cards": ("net-id=lan,v4-fixed-ip=10.1.0.1",)}, "can be no server's"),
        ({"cards": ("net-id=lan,v4-fixed-ip=10.1.0.255",)}, "can be no server's"),
        ({"cards": ("net-id=lan,v4-fixed-ip=10.1.0.9",)}, "is excluded"),
        ({"cards": ("net-id=lan,v4-fixed-ip=fd00::1",)}, "is no IPv4 address"),
        ({"cards": ("net-id=lan,port-id=1",)}, "there are no ports"),
        ({"cards": ("net-id=lan,mac=1",)}, "there is no key 'mac'"),
        ({"cards": ("net-id=lan,v4-fixed-ip=10.1.0.5",) * 2}, "asked for twice"),
        ({"cards": ("net-id=lan,v4-fixed-ip=10.1.0.5",), "count": 2}, "only one server's"),
        ({"hostname": "a_b"}, "is no hostname"),
        ({"properties": {"a": "\0"}}, "control characters"),
        ({"tags": ("a/b",)}, "is no tag"),
        ({"at_least": 3, "count": 2}, "min instances should be <= max"),
        ({"user_data": b"x" * 65536}, "at most 65535"),
        ({"files": {"etc/x": b""}}, "is no absolute path"),
        ({"config_drive": False, "key_name": "me"}, "nothing would carry it"),
        ({"password": ""}, "it is empty"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_wrong_is_said(catalog: Catalog, said: dict[str, Any], words: str) -> None:
    with pytest.raises(VmctlError) as caught:
        an_order(catalog, **said)

    assert words in caught.value.message


def test_all_that_is_wrong_is_said_at_once(catalog: Catalog) -> None:
    with pytest.raises(VmctlError) as caught:
        an_order(catalog, flavor="nope", image="nope", name="-x", cards=("nope",))

    assert len(caught.value.message.splitlines()) == 4


def test_names_that_are_not_there_are_not_found(catalog: Catalog) -> None:
    with pytest.raises(NotFound):
        an_order(catalog, flavor="nope", image="nope")


def a_digest(catalog: Catalog, key: str = "k", **said: Any) -> str:
    wish = a_wish(**said)
    return digest_of(wish, order_of(wish, catalog, INVENTORY), key)


def test_the_same_request_has_the_same_digest_whoever_asks(catalog: Catalog) -> None:
    one = a_digest(catalog, **SECRET, by="alice")

    assert a_digest(catalog, **SECRET, by="bob") == one
    # The catalog may be edited between two runs.
    catalog.change_flavor("small", lambda flavor: replace(flavor, properties={"a": "b"}))
    assert a_digest(catalog, **SECRET, by="bob") == one


@pytest.mark.parametrize(
    "other",
    [
        {"user_data": b"#!/bin/bash\n"},
        {"password": "hunter3"},
        {"count": 2},
        {"flavor": "no-disk"},
        {"image": "drive"},
        {"files": {"/a": b"b"}},
        {"hints": {"same_host": ["x"]}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_request_has_another_digest(catalog: Catalog, other: dict[str, Any]) -> None:
    assert a_digest(catalog, **{**SECRET, **other}) != a_digest(catalog, **SECRET)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"flavor": "realtime"}, "hw:cpu_realtime is not supported"),
        ({"flavor": "odd"}, "1 vCPUs are not 2 sockets"),
        ({"flavor": "nodes"}, "do not divide into 3 NUMA nodes"),
        ({"flavor": "mixed"}, "hw:cpu_policy is 'mixed': shared, dedicated are known"),
        ({"flavor": "isolate"}, "hw:cpu_thread_policy is 'isolate': prefer are known"),
        ({"flavor": "require"}, "hw:cpu_thread_policy is 'require': prefer are known"),
        ({"user_data": b"\x1f\x8b broken"}, "begins as gzip does, and is none"),
    ],
    ids=lambda one: str(one)[:24],
)
def test_what_no_host_could_make_is_refused_before_one_is_asked(
    catalog: Catalog, said: dict[str, Any], why: str
) -> None:
    for name, key, value in (
        ("realtime", "hw:cpu_realtime", "yes"),
        ("odd", "hw:cpu_sockets", "2"),
        ("nodes", "hw:numa_nodes", "3"),
        ("mixed", "hw:cpu_policy", "mixed"),
        ("isolate", "hw:cpu_thread_policy", "isolate"),
        ("require", "hw:cpu_thread_policy", "require"),
    ):
        catalog.add_flavor(Flavor(id=name, name=name, memory=128, disk=64, properties={key: value}))

    with pytest.raises(VmctlError, match=re.escape(why)) as caught:
        an_order(catalog, **said, name="-x")

    assert "'-x' is no server name" in caught.value.message
