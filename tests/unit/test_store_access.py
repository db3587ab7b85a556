from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.stores import Clock
from vmctl.adapters.store import SqlStore
from vmctl.adapters.store.catalog import Catalog
from vmctl.domain.catalog import Keypair, SecurityGroup, SecurityRule
from vmctl.domain.spec import RuleUse
from vmctl.errors import Conflict, NameTaken, NotFound

WEB = RuleUse(protocol="tcp", port_min=80, port_max=443, remote="198.51.100.0/24")
DNS = RuleUse(direction="egress", ethertype="IPv6", protocol="udp", port_min=53, port_max=53)


@pytest.fixture
def catalog(store: SqlStore) -> Catalog:
    return Catalog(store)


def a_rule(identity: str, rule: RuleUse = WEB, description: str | None = None) -> SecurityRule:
    return SecurityRule(id=identity, rule=rule, description=description)


def test_a_keypair_is_found_by_its_name_until_it_is_deleted(catalog: Catalog, clock: Clock) -> None:
    key = Keypair(name="laptop", public_key="ssh-ed25519 AAAA alice@h\u00e4", fingerprint="SHA:x")

    added = catalog.add_keypair(key)

    assert added == replace(key, created=clock.now)
    assert catalog.keypair("laptop") == added
    assert catalog.keypairs() == (added,)
    with pytest.raises(NameTaken, match="a keypair of this name is there already"):
        catalog.add_keypair(replace(key, public_key="another"))
    assert catalog.delete_keypair("laptop") == added
    with pytest.raises(NotFound, match="No Keypair found for laptop"):
        catalog.delete_keypair("laptop")


def test_a_group_named_default_lets_all_out_and_only_icmp_and_ssh_in(catalog: Catalog) -> None:
    (group,) = catalog.security_groups()

    assert (group.name, group.project) == ("default", "")
    assert [each.rule for each in group.rules] == [
        RuleUse(direction="egress"),
        RuleUse(direction="egress", ethertype="IPv6"),
        RuleUse(protocol="icmp"),
        RuleUse(protocol="icmpv6", ethertype="IPv6"),
        RuleUse(protocol="tcp", port_min=22, port_max=22),
        RuleUse(protocol="tcp", port_min=22, port_max=22, ethertype="IPv6"),
    ]
    assert len({each.id for each in group.rules}) == 6


def test_the_default_group_stays_and_its_rules_may_go(catalog: Catalog) -> None:
    for word in ("default", catalog.security_group("default").id):
        with pytest.raises(Conflict, match="is not to be deleted"):
            catalog.delete_security_group(word)
        with pytest.raises(Conflict, match="keeps its name"):
            catalog.change_security_group(word, lambda held: replace(held, name="other"))

    catalog.change_security_group("default", lambda held: replace(held, description="ours"))
    for rule in catalog.security_group("default").rules:
        catalog.delete_rule(rule.id)

    held = catalog.security_group("default")
    assert (held.description, held.rules) == ("ours", ())


def test_a_security_group_comes_back_as_it_was_written(catalog: Catalog) -> None:
    rules = (a_rule("r1", WEB, "h\u00e4"), a_rule("r2", DNS))
    group = SecurityGroup(id="g", name="web", project="p", description="d", rules=rules)

    catalog.add_security_group(group)

    assert catalog.security_group("web") == catalog.security_group("g") == group
    with pytest.raises(NameTaken, match="a security group of this name"):
        catalog.add_security_group(SecurityGroup(id="other", name="web"))
    with pytest.raises(Conflict, match="with this id"):
        catalog.add_security_group(SecurityGroup(id="g", name="other"))
    changed = catalog.change_security_group("g", lambda held: replace(held, name="www"))
    assert catalog.security_groups()[1] == changed == replace(group, name="www")


def test_rules_keep_the_order_in_which_they_were_added(catalog: Catalog) -> None:
    catalog.add_security_group(SecurityGroup(id="g", name="web"))
    for identity, rule in (("z", WEB), ("a", DNS), ("m", RuleUse())):
        group = catalog.add_rule("web", a_rule(identity, rule))

    assert [each.id for each in group.rules] == ["z", "a", "m"]
    assert group == catalog.security_group("web")
    assert catalog.delete_rule("a") == a_rule("a", DNS)
    catalog.add_rule("g", a_rule("b", DNS))
    assert [each.id for each in catalog.security_group("web").rules] == ["z", "m", "b"]


def test_a_rule_is_not_added_twice(catalog: Catalog) -> None:
    catalog.add_security_group(SecurityGroup(id="g", name="web", rules=(a_rule("r1"),)))

    with pytest.raises(Conflict, match="Rule id is r1"):
        catalog.add_rule("web", a_rule("r2", WEB, "said otherwise"))
    with pytest.raises(NotFound, match="No SecurityGroup found for nobody") as caught:
        catalog.add_rule("nobody", a_rule("r2"))

    assert caught.value.hint == "vmctl security group list"
    assert len(catalog.security_group("web").rules) == 1


def test_a_deleted_group_takes_its_rules_along(catalog: Catalog) -> None:
    catalog.add_security_group(SecurityGroup(id="g", name="web", rules=(a_rule("r1"),)))

    assert catalog.delete_security_group("web").rules == (a_rule("r1"),)

    with pytest.raises(NotFound, match="No SecurityGroupRule found for r1"):
        catalog.delete_rule("r1")
    catalog.add_security_group(SecurityGroup(id="g", name="web", rules=(a_rule("r1"),)))
