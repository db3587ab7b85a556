"""One host, field by field, for ``vmctl host show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.cli.cells import Shown, memory
from vmctl.domain.cpus import format_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from vmctl.domain.sample import FoundNetwork, FoundPool, Guest, HostSample, Stall
    from vmctl.services.hosts import HostView


def fields_of(view: HostView, ours: Collection[str], seen: Shown) -> dict[str, object]:
    """Give every field that is known of a host; `ours` are the uuids that hold claims."""
    host, record, usage = view.host, view.record, view.usage
    fields: dict[str, object] = {
        "name": host.name,
        "address": host.address,
        "zone": host.zone,
        "labels": dict(host.labels),
        "status": "enabled" if record.enabled else "disabled",
        "disabled_reason": record.reason,
        "state": view.state,
        "fault": view.fault,
        "last_seen": seen,
        "servers": usage.servers,
        "vcpus": usage.total.vcpus,
        "vcpus_used": usage.taken.vcpus,
        "vcpus_free": usage.free.vcpus,
        "dedicated_cpus": format_cpus(host.dedicated_cpus) or None,
        "dedicated_cpus_used": format_cpus(usage.dedicated_taken) or None,
        "ram": memory(usage.total.memory),
        "ram_used": memory(usage.taken.memory),
        "ram_free": memory(usage.free.memory),
        "disk": memory(usage.total.disk),
        "disk_used": memory(usage.taken.disk),
        "disk_free": memory(usage.free.disk),
        "pressure": Shown(view.pressure, view.pressure or "-"),
    }
    if view.sample is not None:
        fields |= _facts(view.sample, ours)
    return fields


def _facts(sample: HostSample, ours: Collection[str]) -> dict[str, object]:
    return {
        "hostname": sample.hostname,
        "libvirt_uuid": sample.libvirt_uuid,
        "boot_id": sample.boot_id,
        "os": " ".join(x for x in (sample.os_name, sample.os_version) if x) or None,
        "kernel": sample.kernel,
        "arch": sample.arch,
        "libvirt_version": sample.libvirt_version,
        "qemu_version": sample.qemu_version,
        "virt_types": list(sample.virt_types),
        "cpu_model": sample.host_model or sample.cpu_model,
        "cpu_features": _many(sample.cpu_features, "features"),
        "sockets": sample.sockets,
        "cores": sample.cores,
        "threads": sample.threads,
        "memory_total": memory(sample.memory),
        "memory_available": memory(sample.memory_available),
        "uptime": None if sample.uptime is None else int(sample.uptime),
        "load": list(sample.load),
        "pressure_cpu": _stall(sample.psi_cpu),
        "pressure_memory": _stall(sample.psi_memory),
        "pressure_io": _stall(sample.psi_io),
        "uefi": sample.uefi,
        "tpm": sample.tpm,
        "pools": _lines([_pool(one) for one in sample.pools], _pool_text),
        "networks": _lines([_network(one) for one in sample.networks], _network_text),
        "bridges": [bridge.name for bridge in sample.bridges],
        "guests": _lines([_guest(one, ours) for one in sample.guests], _guest_text),
        "problems": list(sample.problems),
    }


def _many(things: Collection[str], word: str) -> Shown:
    """Keep a list that would fill the screen to its length; programs get all of it."""
    return Shown(list(things), f"{len(things)} {word}" if things else "-")


def _stall(stall: Stall | None) -> Shown:
    if stall is None:
        return Shown(None, "-")
    values = {"avg10": stall.avg10, "avg60": stall.avg60, "avg300": stall.avg300}
    return Shown(values, " / ".join(f"{value:g} %" for value in values.values()))


def _lines(things: list[dict[str, object]], text: Callable[[dict[str, object]], str]) -> Shown:
    return Shown(things, "\n".join(text(one) for one in things) or "-")


def _pool(pool: FoundPool) -> dict[str, object]:
    return {
        "name": pool.name,
        "type": pool.type,
        "path": pool.path,
        "active": pool.active,
        "autostart": pool.autostart,
        "capacity": pool.capacity,
        "available": pool.available,
        "file_system": pool.file_system,
        "base_images": len(pool.base_images),
    }


def _pool_text(pool: dict[str, object]) -> str:
    if not pool["active"]:
        return f"{pool['name']}: inactive"
    size = memory(pool["capacity"])  # type: ignore[arg-type] # made above from an int or None
    free = memory(pool["available"])  # type: ignore[arg-type] # likewise
    room = f", {free.text} free of {size.text}" if size and free else ""
    return f"{pool['name']}: {pool['type']} {pool['path'] or ''}{room}"


def _network(network: FoundNetwork) -> dict[str, object]:
    return {
        "name": network.name,
        "active": network.active,
        "autostart": network.autostart,
        "bridge": network.bridge,
        "forward": network.forward,
    }


def _network_text(network: dict[str, object]) -> str:
    if not network["active"]:
        return f"{network['name']}: inactive"
    return f"{network['name']}: {network['forward'] or 'isolated'} on {network['bridge']}"


def _guest(guest: Guest, ours: Collection[str]) -> dict[str, object]:
    return {
        "uuid": guest.uuid,
        "name": guest.name,
        "state": guest.state,
        "vcpus": guest.vcpus,
        "memory": guest.memory,
        "autostart": guest.autostart,
        "ours": guest.uuid in ours,
    }


def _guest_text(guest: dict[str, object]) -> str:
    whose = "" if guest["ours"] else ", not ours"
    return f"{guest['name']}: {guest['state']}, {guest['vcpus']} vCPU, {guest['memory']} MiB{whose}"
