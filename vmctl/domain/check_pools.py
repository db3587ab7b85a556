"""Grading a host's pools, and what starts by itself when the host does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain import remedies
from vmctl.domain.check import Finding, failure, unknown, warning, well
from vmctl.domain.resources import format_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmctl.domain.check_facts import Facts
    from vmctl.domain.host import Pool
    from vmctl.domain.sample import HostSample

LITTLE_ROOM = 1024
"""MiB in a pool below which hardly a disk fits."""


def grade_pools(facts: Facts) -> Iterable[Finding]:
    """Grade each pool of the inventory: there, active, with room, on a disk of the host's own."""
    sample = facts.sample
    return [_pool(sample, pool) for pool in facts.host.pools] if sample else ()


def _pool(sample: HostSample, pool: Pool) -> Finding:
    found = sample.pool(pool.name)
    if found is None:
        folder = (
            "/var/lib/libvirt/images" if pool.name == "default" else f"/var/lib/libvirt/{pool.name}"
        )
        define = remedies.virsh("pool-define-as --type dir --target", folder, pool.name)
        build, start, auto = (
            remedies.virsh(verb, pool.name)
            for verb in ("pool-build", "pool-start", "pool-autostart")
        )
        return failure(
            "pools", f"{pool.name} is not there", f"{define} && {build} && {start} && {auto}"
        )
    if not found.active:
        return failure(
            "pools", f"{pool.name} is not active", remedies.virsh("pool-start", pool.name)
        )
    if found.available is None or found.capacity is None:
        return unknown("pools", f"{pool.name}: how much room it has, the host could not say")
    room = f"{format_size(found.available)} free of {format_size(found.capacity)}"
    look = f"df -h {found.path}" if found.path else remedies.virsh("pool-info", pool.name)
    if found.available < LITTLE_ROOM:
        return failure("pools", f"{pool.name} is full: {room}", look)
    if found.on_network and pool.shared is None:
        text = (
            f"{pool.name} is on a network file system ({found.file_system or found.type}): {room}"
        )
        remedy = f"name it in the inventory, for all hosts that see it: shared: {pool.name}"
        return Finding(step="pools", grade="warn", text=text, remedy=remedy, where="here")
    if pool.shared is not None and not found.on_network and found.file_system:
        text = f"{pool.name} is said to be shared and is on {found.file_system}: {room}"
        return Finding(step="pools", grade="warn", text=text, remedy=look)
    return well("pools", f"{pool.name}: {room}")


def grade_autostart(facts: Facts) -> Iterable[Finding]:
    """Grade whether pools and networks are there again after the host's next boot."""
    if facts.sample is None:
        return ()
    findings = []
    for pool in facts.host.pools:
        found = facts.sample.pool(pool.name)
        if found is not None and found.autostart is False:
            remedy = remedies.virsh("pool-autostart", pool.name)
            findings.append(
                warning("autostart", f"pool {pool.name} does not start by itself", remedy)
            )
    for network in facts.networks:
        name = network.source.on(facts.host)
        there = facts.sample.network(name) if name and network.source.kind == "network" else None
        if there is not None and there.autostart is False:
            remedy = remedies.virsh("net-autostart", there.name)
            text = f"network {there.name} does not start by itself"
            findings.append(warning("autostart", text, remedy))
    return findings or (well("autostart", "pools and networks start with the host"),)
