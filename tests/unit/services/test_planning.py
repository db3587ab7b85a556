from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest

from tests.support.inventories import an_inventory
from vmctl.adapters.render.guest_network import links
from vmctl.domain.build import Build
from vmctl.domain.request import FlavorSpec
from vmctl.domain.sample import FoundBridge, FoundNetwork, FoundPool, HostSample
from vmctl.domain.spec import CardWish, GroupUse, ImageUse, ServerSpec
from vmctl.errors import AddressTaken, HostError
from vmctl.services.planning import look_at_filters, plan_build, wanted_of

INVENTORY = an_inventory("""
    hosts:
      kvm1: {address: 10.0.0.1, networks: [nat, lan, theirs, tagged, outer]}
      kvm2: {address: 10.0.0.2, networks: [nat], pools: [{name: san, shared: san}]}
    networks:
      nat: {source: {network: default}, cidrs: [192.168.122.0/24], gateway: [192.168.122.1]}
      lan:
        source: {bridge: br0}
        cidrs: [10.1.0.0/24, 'fd00::/64']
        gateway: [10.1.0.1]
        addressing: static
        security_group: none
      theirs: {source: {bridge: br1}, cidrs: [10.9.0.0/24], addressing: dhcp}
      tagged: {source: {network: switch}, vlan: 42}
      outer: {source: {network: switch}, cidrs: [10.7.0.0/24], addressing: dhcp}
    """)
KVM1, KVM2 = INVENTORY.hosts["kvm1"], INVENTORY.hosts["kvm2"]
FILTERED = HostSample(
    taken_at=1,
    bridge_filter=True,
    bridge_filter6=True,
    networks=(FoundNetwork(name="default", bridge="virbr0"),),
    bridges=(FoundBridge(name="br0"), FoundBridge(name="virbr0")),
)
GROUPS = {"default": GroupUse(name="default"), "web": GroupUse(name="web")}
SPEC = ServerSpec(
    id="5c3f",
    name="web",
    flavor=FlavorSpec(vcpus=2, memory=512, disk=1024, ephemeral=64, swap=32),
    ephemerals=(64,),
    image=ImageUse(id="i", name="mini", digest="d1", format="raw", size=9, virtual_size=9),
)


def nothing(_scope: str) -> Collection[str]:
    return ()


def a_build(
    *cards: CardWish,
    host: Any = KVM1,
    sample: HostSample | None = FILTERED,
    taken: Callable[[str], Collection[str]] = nothing,
    **said: Any,
) -> Build:
    spec = replace(SPEC, cards=cards, **said)
    return plan_build(spec, 1, host, INVENTORY.networks, groups=GROUPS, sample=sample, taken=taken)


def test_everything_is_named_before_anything_is_made() -> None:
    build = a_build(CardWish(network="nat"))

    assert build.base == "vmctl-base-d1"
    assert {one.role: one.name for one in build.volumes} == {
        "root": "5c3f-root",
        "ephemeral": "5c3f-ephemeral0",
        "swap": "5c3f-swap",
        "seed": "5c3f-seed",
        "log": "5c3f-console.log",
    }
    root = build.volume("root")
    assert root is not None
    assert (root.size, root.backing, root.backing_format) == (1 << 30, "vmctl-base-d1", "raw")
    assert (build.vcpus, build.memory, build.disk) == (2, 512, 1024 + 64 + 32)
    assert build.cards[0].mac.startswith("52:54:00:")


def test_a_card_has_the_lowest_free_address_of_each_family() -> None:
    (card,) = a_build(CardWish(network="lan"), taken=lambda _: {"10.1.0.2", "fd00::1"}).cards

    assert card.addresses == ("10.1.0.3", "fd00::2")
    assert (card.kind, card.source, card.scope) == ("bridge", "br0", "lan")
    assert not card.reserved


def test_two_cards_on_one_network_have_two_addresses() -> None:
    one, other = a_build(CardWish(network="lan"), CardWish(network="lan")).cards

    assert not set(one.addresses) & set(other.addresses)
    assert one.mac != other.mac


def test_a_nats_addresses_are_its_hosts_own() -> None:
    asked: list[str] = []

    (card,) = a_build(
        CardWish(network="nat"),
        taken=lambda scope: asked.append(scope) or (),  # type: ignore[func-returns-value]  # noted in passing
    ).cards

    assert asked == ["nat@kvm1"]
    assert card.addresses == ("192.168.122.2",)
    assert card.reserved


def test_where_someone_elses_dhcp_gives_addresses_none_is_planned() -> None:
    (card,) = a_build(CardWish(network="theirs")).cards

    assert card.addresses == ()


def test_where_someone_elses_dhcp_gives_addresses_one_that_was_asked_for_is_static() -> None:
    (card,) = a_build(CardWish(network="theirs", fixed=("10.9.0.7",))).cards
    (asked,) = a_build(CardWish(network="nat", fixed=("192.168.122.9",))).cards
    (plain,) = a_build(CardWish(network="theirs")).cards

    assert (card.addresses, card.addressing) == (("10.9.0.7",), "static")
    (link,) = links(a_build(CardWish(network="theirs", fixed=("10.9.0.7",))), INVENTORY.networks)
    assert (link.addresses, link.dhcp) == (("10.9.0.7/24",), ())
    assert (asked.addresses, asked.reserved) == (("192.168.122.9",), True)
    assert plain.addressing == "dhcp"


def test_an_address_that_was_asked_for_is_given_or_refused() -> None:
    wish = CardWish(network="lan", fixed=("10.1.0.77",))

    assert a_build(wish).cards[0].addresses == ("10.1.0.77", "fd00::1")
    with pytest.raises(AddressTaken, match=r"10\.1\.0\.77"):
        a_build(wish, taken=lambda _: {"10.1.0.77"})


def test_a_full_network_is_said_to_be_full() -> None:
    everything = {f"192.168.122.{number}" for number in range(256)}

    with pytest.raises(AddressTaken, match="no IPv4 address left"):
        a_build(CardWish(network="nat"), taken=lambda _: everything)


def test_the_networks_own_group_filters_unless_others_are_asked_for() -> None:
    assert a_build(CardWish(network="nat")).cards[0].groups == ("default",)
    assert a_build(CardWish(network="lan")).cards[0].filter is None
    (card,) = a_build(CardWish(network="lan"), security_groups=("web",)).cards
    assert (card.groups, card.filter, card.enforced) == (("web",), "vmctl-5c3f-0", True)
    assert a_build(CardWish(network="nat"), security_groups=()).cards[0].filter is None


@pytest.mark.parametrize(
    "sample",
    [
        None,
        replace(FILTERED, bridge_filter=False),
        replace(FILTERED, bridge_filter6=False),
        replace(FILTERED, bridge_filter=None, bridge_filter6=None),
    ],
    ids=["unseen", "no-ipv4", "no-ipv6", "no-module"],
)
def test_what_a_host_cannot_enforce_is_refused_or_said(sample: HostSample | None) -> None:
    with pytest.raises(HostError, match="kvm1 cannot enforce security groups on nat"):
        a_build(CardWish(network="nat"), sample=sample)
    (card,) = a_build(CardWish(network="nat"), sample=sample, allow_unenforced=True).cards
    assert not card.enforced
    assert a_build(CardWish(network="lan"), sample=sample).cards[0].enforced


def test_what_a_host_no_longer_enforces_is_refused_or_said_at_the_last_look() -> None:
    build = a_build(CardWish(network="nat"), CardWish(network="lan"))
    bare = replace(FILTERED, bridge_filter=False)

    with pytest.raises(HostError, match="kvm1 cannot enforce security groups on nat"):
        look_at_filters(SPEC, build, KVM1, bare)
    allowed = replace(SPEC, allow_unenforced=True)
    said = look_at_filters(allowed, build, KVM1, bare)
    assert said.unenforced == ("nat",)
    assert look_at_filters(allowed, said, KVM1, FILTERED) == build
    assert build.unenforced == ()


def test_a_bridge_that_is_filtered_by_its_own_setting_is_filtered() -> None:
    own = FoundBridge(name="br0", filtered=True, filtered6=True)
    sample = replace(FILTERED, bridge_filter=False, bridge_filter6=False, bridges=(own,))

    (card,) = a_build(CardWish(network="lan"), sample=sample, security_groups=("web",)).cards

    assert card.enforced


def test_a_shared_pool_and_a_network_that_is_not_there_are_refused_by_name() -> None:
    with pytest.raises(HostError, match="san is shared storage"):
        a_build(host=KVM2)
    with pytest.raises(HostError, match="kvm2 does not carry the network lan"):
        a_build(CardWish(network="lan"), host=replace(KVM2, pools=KVM1.pools))


def test_the_claim_names_the_pool_only_where_it_is_not_the_usual_one() -> None:
    build = a_build(CardWish(network="nat"))

    wanted = wanted_of(build, KVM1)

    assert wanted.pool == ""
    assert wanted.plan["server"] == "5c3f"
    assert wanted.nics[0].addresses == build.cards[0].addresses
    assert wanted_of(replace(build, pool="fast"), KVM1).pool == "fast"


def test_a_pool_that_holds_no_qcow2_is_refused_before_anything_is_there() -> None:
    sample = replace(FILTERED, pools=(FoundPool(name="default", type="logical"),))

    with pytest.raises(HostError, match="the pool default is of the type logical") as caught:
        a_build(CardWish(network="nat"), sample=sample)

    assert "--pool" in str(caught.value.hint)


def with_switch(**said: Any) -> HostSample:
    """A host whose libvirt network for what is tagged is so."""
    found = FoundNetwork(name="switch", **said)
    return replace(FILTERED, networks=(*FILTERED.networks, found))


@pytest.mark.parametrize(
    "said",
    [
        {"forward": "bridge", "bridge": "ovs0", "virtualport": "openvswitch"},
        {"forward": "hostdev"},
        {"forward": "passthrough"},
    ],
    ids=["openvswitch", "hostdev", "passthrough"],
)
def test_a_card_is_tagged_where_libvirt_can(said: dict[str, Any]) -> None:
    wish = CardWish(network="tagged")

    (card,) = a_build(wish, sample=with_switch(**said), security_groups=()).cards

    assert card.vlan == 42
    with pytest.raises(HostError, match=r"kvm1: libvirt cannot filter .* tagged") as told:
        a_build(wish, sample=with_switch(**said), allow_unenforced=True)
    assert "--no-security-group" in (told.value.hint or "")


@pytest.mark.parametrize(
    "said",
    [{"forward": "nat", "bridge": "virbr1"}, {"forward": "bridge", "bridge": "br0"}, {}],
    ids=["nat", "linux-bridge", "macvtap"],
)
def test_a_card_is_refused_where_libvirt_would_not_start_it_with_its_tag(
    said: dict[str, Any],
) -> None:
    sample = with_switch(**said) if said else with_switch(forward="bridge")

    with pytest.raises(HostError, match=r"kvm1: libvirt cannot tag .*VLAN 42.* tagged") as told:
        a_build(CardWish(network="tagged"), sample=sample, security_groups=())

    assert "without `vlan`" in (told.value.hint or "")


def test_what_a_host_has_not_told_of_a_network_refuses_no_tag() -> None:
    (card,) = a_build(CardWish(network="tagged"), sample=with_switch(), security_groups=()).cards

    assert card.vlan == 42


def test_on_a_libvirt_network_without_its_dhcp_no_address_is_promised() -> None:
    sample = with_switch(forward="bridge", bridge="br9")

    (plain,) = a_build(CardWish(network="outer"), sample=sample).cards
    (asked,) = a_build(CardWish(network="outer", fixed=("10.7.0.7",)), sample=sample).cards

    assert (plain.addresses, plain.addressing) == ((), "dhcp")
    assert (asked.addresses, asked.addressing) == (("10.7.0.7",), "static")
    assert (asked.scope, asked.wire) == ("outer", "br9")
