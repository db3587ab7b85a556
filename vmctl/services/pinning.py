"""CPUs of a server's own, settled on its host: what another machine is bound to is nobody else's.

Held against the record alone they are when a server is admitted; what other operators have made,
or somebody has bound by hand, is seen under the lease of the host.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.cpus import choose, cpu_policy_of, format_cpus, read_cpus
from vmctl.domain.plain import to_plain
from vmctl.errors import CpusTaken

if TYPE_CHECKING:
    from vmctl.domain.build import Build
    from vmctl.domain.machine import Machine
    from vmctl.domain.sample import HostSample
    from vmctl.domain.spec import ServerSpec
    from vmctl.ports import Hypervisor
    from vmctl.sagas.work import Work

_TRIES = 20


def own_cpus(spec: ServerSpec) -> int:
    """Say how many CPUs of its own a server asks for."""
    policy = cpu_policy_of(spec.image.properties, spec.flavor.extra_specs)
    return spec.flavor.vcpus if policy == "dedicated" else 0


def as_pinned(build: Build, machine: Machine) -> Build:
    """Have an attempt hold those CPUs for its own that its domain has, one by one or as a whole."""
    own = machine.cpus or tuple(sorted(read_cpus(machine.pins)))
    return replace(build, cpus=own) if build.cpus and len(own) == build.vcpus else build


def with_definitions(sample: HostSample, hypervisor: Hypervisor) -> HostSample:
    """Give a look that saw what machines are bound to from their next start on as well.

    Of one that runs it sees what it is bound to now, and that may be something else.
    """
    defined = {one.uuid: one.pins for one in hypervisor.machines()}
    guests = (replace(one, pins=_both(one.pins, defined.get(one.uuid))) for one in sample.guests)
    return replace(sample, guests=tuple(guests))


def _both(now: str, then: str | None) -> str:
    return format_cpus(read_cpus(now) | read_cpus(then)) if then else now


def settle_cpus(work: Work, sample: HostSample, *, stands: bool = False) -> None:
    """Have a server hold CPUs that no other has, on record or on its host; ClaimLost without.

    Only under the lease of the host, by a look that saw all that its machines are bound to. One
    that `stands` keeps what nobody else has, though its host may give it out no more.
    """
    host, mine, store = work.host, work.spec.id, work.world.store
    need = own_cpus(work.spec)
    if not need:
        choose(host, sample, need, ())
        return
    guests = (one for one in sample.guests if one.uuid != mine)
    bound = frozenset().union(*(read_cpus(one.pins) for one in guests))
    for left in reversed(range(_TRIES)):
        others = (one for one in store.claims(host.name) if one.server != mine)
        held = frozenset().union(*(one.cpus for one in others))
        has = work.build.cpus
        if stands and len(has) == need and not (bound | held).intersection(has):
            return
        cpus = choose(host, sample, need, bound | held, has)
        if cpus == has:
            return
        build = replace(work.build, cpus=cpus)
        try:
            store.repin(work.token, build.number, cpus, to_plain(build))
        except CpusTaken:
            # Who admits a server takes its CPUs without any lease: look again.
            if not left:
                raise
            continue
        work.build = build
        return
