"""``vmctl security group rule …``: one thing that passes."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action, lister, shower
from vmctl.cli.output import Column, Record, Table
from vmctl.cli.properties import for_each
from vmctl.errors import NotFound, UsageError

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.catalog import SecurityGroup, SecurityRule
    from vmctl.domain.spec import RuleUse

_BYTE = click.IntRange(0, 255)
_ANY = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}


@shower
@click.argument("group", metavar="GROUP")
@click.option("--remote-ip", metavar="CIDR", help="from where, or where to (anywhere)")
@click.option("--remote-group", metavar="GROUP", hidden=True)
@click.option("--remote-address-group", metavar="GROUP", hidden=True)
@click.option("--dst-port", metavar="PORT[:PORT]", help="one port, or the first and the last")
@click.option("--icmp-type", metavar="TYPE", type=_BYTE, help="of ICMP")
@click.option("--icmp-code", metavar="CODE", type=_BYTE, help="of ICMP")
@click.option("--protocol", metavar="NAME", help="tcp, udp, icmp, icmpv6, …, or a number (any)")
@click.option("--ingress", "direction", flag_value="ingress", default=True, help="in (default)")
@click.option("--egress", "direction", flag_value="egress", help="out")
@click.option("--ethertype", metavar="FAMILY", help="IPv4 or IPv6 (as --remote-ip, else IPv4)")
@click.option("--description", metavar="TEXT", help="words for people")
def rule_create(
    context: Context,
    *,
    group: str,
    remote_ip: str | None,
    remote_group: str | None,
    remote_address_group: str | None,
    dst_port: str | None,
    icmp_type: int | None,
    icmp_code: int | None,
    protocol: str | None,
    direction: str,
    ethertype: str | None,
    description: str | None,
) -> Record:
    """Let something more pass; servers that are there already keep the rules they have."""
    from vmctl.domain.catalog import SecurityRule
    from vmctl.domain.rule import read_rule

    if remote_group or remote_address_group:
        raise UsageError(
            "hosts know no members of groups on other hosts: a rule cannot name a group",
            hint="--remote-ip CIDR",
        )
    rule = SecurityRule(
        id=str(uuid.uuid4()),
        rule=read_rule(
            direction=direction,
            ethertype=ethertype,
            protocol=protocol,
            ports=dst_port,
            icmp_type=icmp_type,
            icmp_code=icmp_code,
            remote=remote_ip,
        ),
        description=description,
    )
    return _shown(context.app.catalog.add_rule(group, rule), rule)


@lister
@click.argument("group", metavar="[GROUP]", required=False)
@click.option("--protocol", metavar="NAME", help="only rules on this protocol")
@click.option("--ingress", "direction", flag_value="ingress", help="only what lets in")
@click.option("--egress", "direction", flag_value="egress", help="only what lets out")
def rule_list(
    context: Context, *, group: str | None, protocol: str | None, direction: str | None
) -> Table:
    """List the rules of a security group, or of all."""
    catalog = context.app.catalog
    groups = catalog.security_groups() if group is None else [catalog.security_group(group)]
    return Table(
        columns=(
            "ID",
            "IP Protocol",
            "Ethertype",
            "IP Range",
            "Port Range",
            "Direction",
            "Remote Security Group",
            "Remote Address Group",
            Column("Security Group", "always" if group is None else "asked"),
            Column("Description", "asked"),
        ),
        rows=[
            (
                one.id,
                one.rule.protocol,
                one.rule.ethertype,
                _remote(one.rule),
                _range(one.rule),
                one.rule.direction,
                None,
                None,
                each.id,
                one.description,
            )
            for each in groups
            for one in each.rules
            if protocol in (None, one.rule.protocol) and direction in (None, one.rule.direction)
        ],
    )


@shower
@click.argument("rule", metavar="RULE")
def rule_show(context: Context, *, rule: str) -> Record:
    """Show one rule, by its id."""
    for group in context.app.catalog.security_groups():
        for one in group.rules:
            if one.id == rule:
                return _shown(group, one)
    raise NotFound(f"No SecurityGroupRule found for {rule}", hint="vmctl security group rule list")


@action
@click.argument("rules", metavar="RULE…", nargs=-1, required=True)
def rule_delete(context: Context, *, rules: tuple[str, ...]) -> None:
    """Delete rules, by their ids."""
    for_each(context, "rule", rules, context.app.catalog.delete_rule)


def rule_words(one: SecurityRule) -> str:
    """Say a rule in one cell of its group."""
    rule = one.rule
    said = {
        "direction": rule.direction,
        "ethertype": rule.ethertype,
        "id": one.id,
        "port_range": _range(rule) or None,
        "protocol": rule.protocol,
        "remote_ip_prefix": rule.remote,
    }
    return ", ".join(f"{key}='{value}'" for key, value in said.items() if value is not None)


def _shown(group: SecurityGroup, one: SecurityRule) -> Record:
    rule = one.rule
    return Record(
        fields={
            "description": one.description,
            "direction": rule.direction,
            "ether_type": rule.ethertype,
            "id": one.id,
            "port_range_max": rule.port_max,
            "port_range_min": rule.port_min,
            "project_id": group.project,
            "protocol": rule.protocol,
            "remote_address_group_id": None,
            "remote_group_id": None,
            "remote_ip_prefix": _remote(rule),
            "security_group_id": group.id,
        }
    )


def _remote(rule: RuleUse) -> str:
    return rule.remote or _ANY[rule.ethertype]


def _range(rule: RuleUse) -> str:
    if rule.port_min is None and rule.port_max is None:
        return ""
    if rule.protocol in ("icmp", "icmpv6"):
        code = "" if rule.port_max is None else f":code={rule.port_max}"
        return f"type={rule.port_min}{code}"
    return f"{rule.port_min}:{rule.port_max}"
