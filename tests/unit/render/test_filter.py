from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.goldens_xml import is_valid_and_as_golden
from tests.unit.render.test_domain import LEGAL
from vmctl.adapters.render import TemplateRenderer
from vmctl.domain.spec import GroupUse, RuleUse
from vmctl.errors import VmctlError

RENDERER = TemplateRenderer()
MAC = "52:54:00:12:34:56"
OUT = (RuleUse(direction="egress"), RuleUse(direction="egress", ethertype="IPv6"))
DEFAULT = GroupUse(
    name="default",
    rules=(
        *OUT,
        RuleUse(protocol="icmp"),
        RuleUse(protocol="icmpv6", ethertype="IPv6"),
        RuleUse(protocol="tcp", port_min=22, port_max=22),
        RuleUse(protocol="tcp", port_min=22, port_max=22, ethertype="IPv6"),
    ),
)
NARROW = GroupUse(
    name="narrow",
    rules=(
        RuleUse(protocol="tcp", port_min=8000, port_max=8010, remote="192.0.2.0/24"),
        RuleUse(protocol="6", port_min=443, remote="2001:db8::/32", ethertype="IPv6"),
        RuleUse(direction="egress", protocol="udp", port_min=53, remote="198.51.100.53/32"),
        RuleUse(protocol="icmp", port_min=8, port_max=0),
        RuleUse(protocol="icmpv6", ethertype="IPv6", port_min=128, remote="2001:db8::/32"),
        RuleUse(protocol="50", remote="0.0.0.0/0"),
        RuleUse(protocol="132", ethertype="IPv6"),
        RuleUse(protocol="any"),
    ),
)


def a_filter(
    *groups: GroupUse, addresses: tuple[str, ...] = ("198.51.100.10", "2001:db8::10")
) -> str:
    return RENDERER.filter("vmctl-x-0", groups, mac=MAC, addresses=addresses)


def passes(*rules: RuleUse) -> list[tuple[str | None, str, dict[str, str]]]:
    """What the groups' own rules let through."""
    tree = ET.fromstring(a_filter(GroupUse(name="g", rules=rules)))
    return [
        (rule.get("direction"), rule[0].tag, dict(rule[0].attrib))
        for rule in tree.findall("rule[@priority='500']")
    ]


CASES: dict[str, tuple[tuple[GroupUse, ...], tuple[str, ...]]] = {
    "default": ((DEFAULT,), ("198.51.100.10", "2001:db8::10")),
    "narrow": ((NARROW, DEFAULT), ("2001:db8::10",)),
    "unknown": ((DEFAULT,), ()),
    "closed": ((), ("198.51.100.10",)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_filter_is_written_as_it_always_was_and_fits_libvirts_schema(
    name: str, tmp_path: Path
) -> None:
    groups, addresses = CASES[name]
    xml = a_filter(*groups, addresses=addresses)

    is_valid_and_as_golden("nwfilter", f"filter-{name}.xml", xml, tmp_path)


def test_a_filter_keeps_its_uuid_whatever_is_in_it() -> None:
    uuids = {ET.fromstring(a_filter(*groups)).findtext("uuid") for groups in ((), (DEFAULT,))}

    assert len(uuids) == 1


def test_a_rule_of_several_groups_is_there_once() -> None:
    twice = GroupUse(name="twice", rules=DEFAULT.rules)

    assert a_filter(DEFAULT, twice) == a_filter(DEFAULT)


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (RuleUse(), ("in", "all", {})),
        (RuleUse(ethertype="IPv6", direction="egress"), ("out", "all-ipv6", {})),
        (
            RuleUse(protocol="TCP", port_min=80),
            ("in", "tcp", {"dstportstart": "80", "dstportend": "80"}),
        ),
        (
            RuleUse(direction="egress", protocol="udp", remote="192.0.2.7"),
            ("out", "udp", {"dstipaddr": "192.0.2.7", "dstipmask": "32"}),
        ),
        (
            RuleUse(remote="192.0.2.9/24"),
            ("in", "all", {"srcipaddr": "192.0.2.0", "srcipmask": "24"}),
        ),
        (RuleUse(remote="0.0.0.0/0"), ("in", "all", {})),
        (RuleUse(protocol="icmp", ethertype="IPv6"), ("in", "icmpv6", {})),
        (
            RuleUse(protocol="icmp", port_min=3, port_max=4),
            ("in", "icmp", {"type": "3", "code": "4"}),
        ),
    ],
)
def test_a_rule_is_said_as_libvirt_says_it(
    rule: RuleUse, wanted: tuple[str, str, dict[str, str]]
) -> None:
    assert passes(rule) == [wanted]


def test_the_answer_to_an_ipv6_ping_passes_back_to_whom_it_was() -> None:
    rule = RuleUse(protocol="icmpv6", ethertype="IPv6", port_min=128, remote="2001:db8::/32")

    assert passes(rule) == [
        ("in", "icmpv6", {"srcipaddr": "2001:db8::", "srcipmask": "32", "type": "128"}),
        ("out", "icmpv6", {"dstipaddr": "2001:db8::", "dstipmask": "32", "type": "129"}),
    ]


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (RuleUse(protocol="47"), "filters no protocol '47'"),
        (RuleUse(protocol="gre"), "filters no protocol 'gre'"),
        (RuleUse(protocol="icmpv6"), "icmpv6 is no protocol of IPv4"),
        (RuleUse(protocol="2", ethertype="IPv6"), "igmp is no protocol of IPv6"),
        (RuleUse(direction="sideways"), "its direction is 'sideways'"),
        (RuleUse(ethertype="IPX"), "its ethertype is 'IPX'"),
        (RuleUse(remote="everyone"), "its remote is 'everyone'"),
        (RuleUse(remote="2001:db8::/32"), "is no IPv4 address"),
        (RuleUse(protocol="esp", port_min=1), "esp has no ports"),
        (RuleUse(port_min=1), "all has no ports"),
        (RuleUse(protocol="tcp", port_min=9, port_max=8), "its ports are 9 to 8"),
        (RuleUse(protocol="tcp", port_min=65536), "its ports are 65536"),
        (RuleUse(protocol="icmp", port_min=256), "type and code are 256"),
        (RuleUse(protocol="icmp", port_max=0), "type and code are None and 0"),
    ],
)
def test_a_rule_that_cannot_be_enforced_is_refused(rule: RuleUse, why: str) -> None:
    with pytest.raises(VmctlError, match="a rule of the security group g cannot") as caught:
        passes(rule)

    assert why in caught.value.message


def _sent(xml: str, element: str) -> list[tuple[str | None, dict[str, str]]]:
    tree = ET.fromstring(xml)
    found = sorted(tree.iter("rule"), key=lambda rule: int(rule.get("priority", "500")))
    return [
        (rule.get("action"), dict(rule[0].attrib))
        for rule in found
        if len(rule) and rule[0].tag == element and rule.get("direction") in ("out", "inout")
    ]


def test_a_card_with_known_addresses_sends_from_no_others() -> None:
    xml = a_filter(DEFAULT)

    assert ("accept", {"srcipaddr": "198.51.100.10"}) in _sent(xml, "ip")
    assert ("accept", {"srcipaddr": "2001:db8::10", "srcipmask": "128"}) in _sent(xml, "ipv6")
    assert ("accept", {"arpsrcipaddr": "198.51.100.10"}) in _sent(xml, "arp")
    dropped = [said for action, said in _sent(xml, "mac") if action == "drop"]
    assert dropped[1:] == [{"protocolid": name} for name in ("arp", "ipv4", "ipv6")]


def test_a_card_with_unknown_addresses_is_held_to_its_mac() -> None:
    xml = a_filter(DEFAULT, addresses=())

    assert _sent(xml, "mac")[0] == ("drop", {"match": "no", "srcmacaddr": MAC})
    assert [action for action, _ in _sent(xml, "mac")[1:]] == ["accept"] * 4


def test_what_no_rule_lets_through_is_dropped_last() -> None:
    tree = ET.fromstring(a_filter())

    last = [rule for rule in tree.iter("rule") if rule.get("priority") == "1000"]

    assert {(rule.get("action"), rule.get("direction")) for rule in last} == {("drop", "inout")}
    assert [child.tag for rule in last for child in rule] == ["all", "all-ipv6"]


@settings(deadline=None)
@given(LEGAL, LEGAL, st.sampled_from(["ingress", "egress"]))
def test_no_value_gets_out_of_its_place_in_a_filter(name: str, mac: str, direction: str) -> None:
    group = GroupUse(name=name, rules=(RuleUse(direction=direction),))

    xml = RENDERER.filter(name, (group,), mac=mac, addresses=())

    tree = ET.fromstring(xml)
    assert tree.get("name") == name
    assert tree.findall("rule/mac[@srcmacaddr]")[0].get("srcmacaddr") == mac
    harmless = RENDERER.filter("n", (group,), mac="m", addresses=())
    assert [one.tag for one in tree.iter()] == [one.tag for one in ET.fromstring(harmless).iter()]


@settings(deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_words_of_a_rule_are_known_or_refused(protocol: str, remote: str) -> None:
    with pytest.raises(VmctlError):
        passes(RuleUse(protocol=f"x{protocol}"))
    with pytest.raises(VmctlError):
        passes(RuleUse(remote=f"x{remote}"))
