"""Keypairs and security groups on record: what lets somebody reach a server."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from vmctl.adapters.schema import keypairs, security_groups, security_rules
from vmctl.adapters.store.servers import rows
from vmctl.domain.catalog import Keypair, SecurityGroup, SecurityRule, find_one
from vmctl.domain.spec import RuleUse
from vmctl.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.adapters.store.engine import Tx

DEFAULT_GROUP = "default"
"""The group that is there from the first use and stays: networks fall back on it."""

_GROUP = ("id", "name", "project", "description")
_RULE = tuple(each.name for each in fields(RuleUse))


def list_keypairs(tx: Tx) -> tuple[Keypair, ...]:
    """List the keypairs by name."""
    found = (Keypair(**row) for row in rows(tx, select(keypairs)))
    return tuple(sorted(found, key=lambda one: one.name))


def add_keypair(tx: Tx, keypair: Keypair) -> Keypair:
    """Put a keypair on record at the transaction's time, and give it as it stands there."""
    row = {each.name: getattr(keypair, each.name) for each in fields(keypair)}
    tx.connection.execute(keypairs.insert().values(row | {"created": tx.now}))
    return Keypair(**row | {"created": tx.now})


def delete_keypair(tx: Tx, name: str) -> Keypair:
    """Forget a keypair."""
    found = find_one("Keypair", name, list_keypairs(tx))
    tx.connection.execute(delete(keypairs).where(keypairs.c.name == found.name))
    return found


def list_groups(tx: Tx) -> tuple[SecurityGroup, ...]:
    """List the security groups by name, each with its rules in the order they were added."""
    rules: dict[str, list[SecurityRule]] = {}
    for row in sorted(rows(tx, select(security_rules)), key=lambda row: row["position"]):
        rules.setdefault(row["security_group"], []).append(_rule(row))
    found = (
        SecurityGroup(**{name: row[name] for name in _GROUP}, rules=tuple(rules.get(row["id"], ())))
        for row in rows(tx, select(security_groups))
    )
    return tuple(sorted(found, key=lambda one: one.name))


def add_group(tx: Tx, group: SecurityGroup) -> None:
    """Put a security group on record with the rules that it has."""
    row = {name: getattr(group, name) for name in _GROUP}
    tx.connection.execute(security_groups.insert().values(**row, created=tx.now))
    for position, rule in enumerate(group.rules):
        _insert(tx, group.id, position, rule)


def change_group(
    tx: Tx, word: str, change: Callable[[SecurityGroup], SecurityGroup]
) -> SecurityGroup:
    """Change what a security group is called and said to be; its rules are not looked at."""
    held = find_one("SecurityGroup", word, list_groups(tx))
    changed = change(held)
    if held.name == DEFAULT_GROUP != changed.name:
        raise Conflict(
            f"the security group {DEFAULT_GROUP} keeps its name",
            hint="change its rules, or name another group on the network",
        )
    which = security_groups.c.id == held.id
    row = {name: getattr(changed, name) for name in _GROUP if name != "id"}
    tx.connection.execute(update(security_groups).where(which).values(row))
    return changed


def delete_group(tx: Tx, word: str) -> SecurityGroup:
    """Forget a security group with its rules."""
    found = find_one("SecurityGroup", word, list_groups(tx))
    if found.name == DEFAULT_GROUP:
        raise Conflict(
            f"the security group {DEFAULT_GROUP} is not to be deleted",
            hint=f"vmctl security group rule list {DEFAULT_GROUP}: its rules may be",
        )
    # SQLite's foreign keys and PostgreSQL's take the rules along.
    tx.connection.execute(delete(security_groups).where(security_groups.c.id == found.id))
    return found


def add_rule(tx: Tx, word: str, rule: SecurityRule) -> SecurityGroup:
    """Add a rule to a group and give the group; Conflict for one that is there already."""
    found = find_one("SecurityGroup", word, list_groups(tx))
    # Of two rules that are added at the same time, each is to see the other.
    lock = select(security_groups.c.id).where(security_groups.c.id == found.id)
    tx.connection.execute(lock.with_for_update())
    found = find_one("SecurityGroup", found.id, list_groups(tx))
    for there in found.rules:
        if there.rule == rule.rule:
            raise Conflict(f"Security group rule already exists. Rule id is {there.id}.")
    here = security_rules.c.security_group == found.id
    last = tx.connection.execute(select(func.max(security_rules.c.position)).where(here)).scalar()
    _insert(tx, found.id, 0 if last is None else last + 1, rule)
    return find_one("SecurityGroup", found.id, list_groups(tx))


def delete_rule(tx: Tx, identity: str) -> SecurityRule:
    """Take a rule out of its group."""
    which = security_rules.c.id == identity
    found = rows(tx, select(security_rules).where(which))
    if not found:
        raise NotFound(
            f"No SecurityGroupRule found for {identity}", hint="vmctl security group rule list"
        )
    tx.connection.execute(delete(security_rules).where(which))
    return _rule(found[0])


def _rule(row: Mapping[str, Any]) -> SecurityRule:
    return SecurityRule(
        id=row["id"],
        rule=RuleUse(**{name: row[name] for name in _RULE}),
        description=row["description"],
    )


def _insert(tx: Tx, group: str, position: int, rule: SecurityRule) -> None:
    values = {name: getattr(rule.rule, name) for name in _RULE}
    key = {"id": rule.id, "security_group": group, "position": position}
    tx.connection.execute(
        security_rules.insert().values(**key, **values, description=rule.description)
    )
