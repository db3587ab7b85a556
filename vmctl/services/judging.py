"""Whether one host can take one server, judged by the engine that placed it: the last word.

Asked twice: inside the transaction that admits the server, of the record as it is then, and on
the host under its lease, of what a last look saw there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.fleet_record import FleetRecord, room_of
from vmctl.domain.request import ImageSpec, RequestSpec
from vmctl.scheduler.engine import place
from vmctl.services.fleet import fleet_of
from vmctl.services.policy import tables_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.catalog import ServerGroup
    from vmctl.domain.host import Host
    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.inventory import Inventory
    from vmctl.domain.record import Claim
    from vmctl.domain.spec import ServerSpec
    from vmctl.ports import Clock
    from vmctl.scheduler.policy import Policy


_ANY_AGE = 1e9
OF_IMAGE = ("ImageProperties", "Machine", "AggregateImagePropertiesIsolation", "IsolatedHosts")
"""The filters that judge an image: all else is as it was where a server is rebuilt."""


class Judge:
    """Whoever says if a host can take a server, by the policy that servers are placed by."""

    def __init__(self, inventory: Inventory, policy: Policy, clock: Clock) -> None:
        self._inventory = inventory
        self._policy = replace(
            policy,
            # How fresh a look must be was asked when it was placed; a batch may wait longer.
            options=replace(policy.options, max_sample_age=_ANY_AGE),
        )
        self._clock = clock

    def misfit(
        self,
        spec: ServerSpec,
        host: Host,
        record: HostRecord,
        claims: tuple[Claim, ...],
    ) -> str | None:
        """Say why the host cannot take the server; None if it can.

        A host that was forced is asked nothing, as when it was placed. It is asked within a
        transaction, too: so nothing is read here that was not given.
        """
        if spec.force_host is not None:
            return None
        others = tuple(room_of(one) for one in claims if one.server != spec.id)
        found = FleetRecord(hosts={host.name: record}, claims=others)
        alone = replace(self._inventory, hosts={host.name: host})
        fleet = fleet_of(alone, found, self._clock())
        filters, weighers = tables_for(self._policy)
        # Who else is in its group stands on other hosts as well: that is asked apart.
        request = request_for(spec)
        placement = place(request, fleet, self._policy, filters=filters, weighers=weighers)
        if placement.failed is None:
            return None
        refusal = next((one.refusal for one in placement.verdicts if one.refusal), None)
        return refusal.reason if refusal else placement.failed

    def unsuited(self, spec: ServerSpec, host: Host, record: HostRecord) -> str | None:
        """Say why a host that has the server does not suit the image that it is to have now."""
        found = FleetRecord(hosts={host.name: record}, claims=())
        alone = replace(self._inventory, hosts={host.name: host})
        fleet = fleet_of(alone, found, self._clock())
        tables = tables_for(self._policy)
        named = tuple(one for one in self._policy.filters if one in OF_IMAGE)
        policy = replace(self._policy, filters=named)
        # It holds its memory, its hugepages and its own CPUs already.
        sized = replace(spec.flavor, memory=0, vcpus=0)
        wanted = replace(spec, flavor=sized, host=None, force_host=None, hints={})
        placement = place(request_for(wanted), fleet, policy, filters=tables[0], weighers=tables[1])
        if placement.failed is None:
            return None
        refusal = next((one.refusal for one in placement.verdicts if one.refusal), None)
        return refusal.reason if refusal else placement.failed


def apart(group: ServerGroup, host: str, held: Mapping[str, int]) -> str | None:
    """Say why a group's next server cannot stand on this host, given where the others do."""
    here = held.get(host, 0)
    if group.policy == "affinity" and held and not here:
        return f"the servers of {group.name} stand on {', '.join(sorted(held))}"
    if group.policy == "anti-affinity" and here >= group.max_server_per_host:
        return f"{here} of the servers of {group.name} stand on {host} already"
    return None


def request_for(spec: ServerSpec) -> RequestSpec:
    """Make the request that places one server that is known already, whatever its group."""
    image = spec.image
    return RequestSpec(
        flavor=spec.flavor,
        image=ImageSpec(id=image.digest, name=image.name, properties=image.properties),
        availability_zone=spec.availability_zone,
        host=spec.host,
        force_host=spec.force_host,
        hints=spec.hints,
        networks=tuple(dict.fromkeys(card.network for card in spec.cards)),
        pool=spec.pool,
        names=(spec.name,),
        project=spec.project or None,
        server=spec.id,
        seed=spec.id,
    )
