"""The filters by name: whoever looks for one finds it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.scheduler import aggregate_filters as aggregate
from vmctl.scheduler import capability_filters as capability
from vmctl.scheduler import capacity_filters as capacity
from vmctl.scheduler import group_filters as group
from vmctl.scheduler import host_filters as host
from vmctl.scheduler import machine_filter as machine
from vmctl.scheduler import query_filter as query
from vmctl.scheduler.scene import Filter

if TYPE_CHECKING:
    from collections.abc import Mapping

FILTERS: Mapping[str, Filter] = {
    "AllHosts": Filter(host.any_host, once=True),
    "AvailabilityZone": Filter(host.in_zone, once=True, applies=host.zone_asked),
    "Compute": Filter(host.in_service, once=True),
    "Ram": Filter(capacity.enough_memory, steady=True),
    "Core": Filter(capacity.enough_cores, steady=True),
    "Disk": Filter(capacity.enough_disk, steady=True),
    "DedicatedCpus": Filter(
        capacity.enough_dedicated, applies=capacity.dedicated_asked, steady=True
    ),
    "AggregateRam": Filter(capacity.enough_memory_by_aggregate, steady=True),
    "AggregateCore": Filter(capacity.enough_cores_by_aggregate, steady=True),
    "AggregateDisk": Filter(capacity.enough_disk_by_aggregate, steady=True),
    "ComputeCapabilities": Filter(
        capability.has_capabilities, once=True, applies=aggregate.has_extra_specs
    ),
    "AggregateInstanceExtraSpecs": Filter(
        aggregate.extra_specs_in_aggregates, once=True, applies=aggregate.has_extra_specs
    ),
    "ImageProperties": Filter(capability.suits_image, once=True, applies=capability.image_judged),
    "Machine": Filter(machine.makes_machine, once=True, applies=machine.machine_asked),
    "ServerGroupAffinity": Filter(
        group.with_group, applies=group.to_keep_together, follows_group=True
    ),
    "ServerGroupAntiAffinity": Filter(
        group.apart_from_group, applies=group.to_stay_apart, steady=True
    ),
    "DifferentHost": Filter(
        group.on_different_host, once=True, applies=group.different_host_hinted
    ),
    "SameHost": Filter(group.on_same_host, once=True, applies=group.same_host_hinted),
    "NumInstances": Filter(capacity.few_instances, steady=True),
    "AggregateNumInstances": Filter(capacity.few_instances_by_aggregate, steady=True),
    "IoOps": Filter(capacity.few_io_ops, steady=True),
    "AggregateIoOps": Filter(capacity.few_io_ops_by_aggregate, steady=True),
    "IsolatedHosts": Filter(aggregate.isolated_as_the_image, once=True),
    "AggregateMultiTenancyIsolation": Filter(aggregate.open_to_project, once=True),
    "AggregateImagePropertiesIsolation": Filter(
        aggregate.image_allowed_by_aggregates, once=True, applies=aggregate.has_image_properties
    ),
    "AggregateTypeAffinity": Filter(aggregate.flavor_allowed_by_aggregates, once=True),
    "Json": Filter(query.answers_query, applies=query.query_hinted),
    "Retry": Filter(host.not_tried, once=True),
    "RequestedHost": Filter(host.is_requested, once=True),
    "Network": Filter(host.has_networks, once=True, applies=host.networks_asked),
    "Pool": Filter(host.has_pool, once=True, applies=host.pool_asked),
    "Name": Filter(host.name_is_free, once=True, applies=host.names_given),
    "Pressure": Filter(host.at_ease, once=True),
    "Label": Filter(host.has_labels, once=True, applies=host.labels_asked),
}

# These stand before every policy's own filters: a host that the request rules out by name is not
# a matter of policy, and CPUs of one's own are a host's to give, or not. The last ones hold for a
# request that forces no host.
NARROWINGS: Mapping[str, Filter] = {
    "RequestedHost": FILTERS["RequestedHost"],
    "IgnoreHosts": Filter(host.not_ignored, once=True),
    "ForceHost": Filter(host.is_forced, once=True),
}
UNFORCED: Mapping[str, Filter] = {name: FILTERS[name] for name in ("Retry", "DedicatedCpus")}
