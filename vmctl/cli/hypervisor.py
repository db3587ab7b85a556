"""``vmctl hypervisor …``: the hosts again, in openstack's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.cells import Shown
from vmctl.cli.command import lister, shower
from vmctl.cli.host import see
from vmctl.cli.output import Column, Record, Table

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.sample import HostSample
    from vmctl.services.hosts import HostView

_SIGN = {"up": "up", "stale": "up"}


@lister
@click.option("--matching", metavar="TEXT", help="only those whose name holds this text")
def hypervisor_list(context: Context, *, matching: str | None) -> Table:
    """List the hypervisors: one on each host."""
    hosts = list(context.app.inventory.hosts.values())
    shown = [host for host in hosts if matching is None or matching in host.name]
    return Table(
        columns=(
            "ID",
            "Hypervisor Hostname",
            "Hypervisor Type",
            "Host IP",
            "State",
            Column("vCPUs Used", "long"),
            Column("vCPUs", "long"),
            Column("Memory MB Used", "long"),
            Column("Memory MB", "long"),
        ),
        rows=[
            (
                view.record.libvirt,
                view.host.name,
                view.host.virt_type.upper(),
                view.host.address,
                _SIGN.get(view.state, "down"),
                view.usage.taken.vcpus,
                view.usage.total.vcpus,
                view.usage.taken.memory,
                view.usage.total.memory,
            )
            for view in see(context, shown, refresh=False)
        ],
    )


@shower
@click.argument("hypervisor", metavar="HYPERVISOR")
def hypervisor_show(context: Context, *, hypervisor: str) -> Record:
    """Show one hypervisor, by its host's name or its id."""
    app = context.app
    by_id = {record.libvirt: name for name, record in app.on_record()[0].items()}
    host = app.inventory.host(by_id.get(hypervisor, hypervisor))
    (view,) = see(context, [host], refresh=False, whole=True)
    sample, usage = view.sample, view.usage
    return Record(
        fields={
            **_figures([view]),
            "aggregates": [one.name for one in app.inventory.aggregates_of(host.name)],
            "cpu_info": _cpu_info(sample),
            "host_ip": host.address,
            "host_time": None if sample is None else sample.clock,
            "hypervisor_hostname": host.name,
            "hypervisor_type": host.virt_type.upper(),
            "hypervisor_version": None if sample is None else sample.qemu_number,
            "id": view.record.libvirt,
            "load_average": None if sample is None else ", ".join(map(str, sample.load)),
            "service_host": host.name,
            "service_id": None,
            "state": _SIGN.get(view.state, "down"),
            "status": "enabled" if view.record.enabled else "disabled",
            "uptime": None if sample is None or sample.uptime is None else int(sample.uptime),
            "vmctl:free_vcpus": usage.free.vcpus,
        }
    )


def _cpu_info(sample: HostSample | None) -> Shown | None:
    """Keep to one line what would fill a screen; programs get all of it."""
    if sample is None:
        return None
    whole = {
        "arch": sample.arch,
        "model": sample.cpu_model,
        "vendor": sample.cpu_vendor,
        "features": list(sample.cpu_features),
    }
    return Shown(whole, f"{sample.cpu_model} ({sample.arch}), {len(sample.cpu_features)} features")


@shower
def hypervisor_stats_show(context: Context) -> Record:
    """Show the sums over all hypervisors."""
    hosts = list(context.app.inventory.hosts.values())
    seen = see(context, hosts, refresh=False)
    return Record(fields={"count": len(seen), **_figures(seen)})


def _figures(seen: list[HostView]) -> dict[str, object]:
    """Sum up what openstack tells of hypervisors, disk in GB and memory in MB as it does."""

    def total(values: list[int | None]) -> int:
        return sum(value or 0 for value in values)

    free_memory = total([view.usage.free.memory for view in seen])
    return {
        "current_workload": 0,
        "disk_available_least": total([view.usage.available for view in seen]) // 1024,
        "free_disk_gb": total([view.usage.free.disk for view in seen]) // 1024,
        "free_ram_mb": free_memory,
        "local_gb": total([view.usage.total.disk for view in seen]) // 1024,
        "local_gb_used": total([view.usage.taken.disk for view in seen]) // 1024,
        "memory_mb": total([view.usage.total.memory for view in seen]),
        "memory_mb_used": total([view.usage.taken.memory for view in seen]),
        "running_vms": sum(view.usage.servers + view.usage.foreign_guests for view in seen),
        "vcpus": total([view.usage.total.vcpus for view in seen]),
        "vcpus_used": total([view.usage.taken.vcpus for view in seen]),
    }
