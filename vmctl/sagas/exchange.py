"""Another system in a server's place: rescue, its end, and rebuild.

What is new is made beside what is there, under names that were never used, and what is there goes
last: until then all can be undone, and the server is what it was.
"""

from __future__ import annotations

import base64
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from vmctl.domain.exchange import Exchange, as_seen, changed
from vmctl.domain.plain import from_plain, to_plain
from vmctl.domain.record import Power, ServerState
from vmctl.domain.server_record import ServerRecord, to_xml
from vmctl.errors import Conflict, NameTaken, NotFound, RemoteFailed
from vmctl.sagas import power, presence
from vmctl.sagas.power import own_machine
from vmctl.sagas.saga import Saga, Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.build import Build
    from vmctl.domain.spec import ServerSpec
    from vmctl.sagas.work import Work

_SEEDS = ("seed", "rescue-seed")
_ROOM = 128 * 1024 * 1024
"""Bytes that a pool must have left: overlays take none at first, but a system that boots writes."""


def exchange_of(work: Work) -> Exchange:
    """Give what the operation is to exchange for what."""
    return from_plain(Exchange, cast("Mapping[str, object]", work.params["exchange"]))


# What is on record, and in the domain's own record


def look(work: Work) -> None:
    """See that the server is what the exchange was made of: from here on nobody changes it.

    What another one has made meanwhile may bear the names that were chosen for what is to be made.
    """
    store = work.world.store
    server = store.server(work.build.server)
    plans = (one.plan for one in store.attempts(server.id) if one.number == work.build.number)
    if as_seen(server.spec, next(plans, {})) != exchange_of(work).seen:
        raise Conflict(
            f"server {server.name} was changed by somebody else just now: nothing was done to it",
            hint="try again",
        )


def announce(work: Work) -> None:
    """Have it on record, on the host too, what will be made, before any of it is."""
    own_machine(work)
    _replan(work, exchange_of(work).announced(work.build))
    # Whoever takes unused images away does it under this lease, and reads the records first.
    with work.world.host_leases.hold(work.host, wait=presence.PATIENCE):
        _inscribe(work)


def announce_or_claim(work: Work) -> None:
    """Do the same; where the domain is gone, have it defined once more."""
    if work.hypervisor.machine(work.build.server) is not None:
        announce(work)
    else:
        _replan(work, exchange_of(work).announced(work.build))
        work.claim(work)
    power.start_with_host(work)


def withdraw(work: Work) -> None:
    """Have it on record that there is nothing but what there was before."""
    _replan(work, exchange_of(work).withdrawn(work.build))
    _inscribe(work)
    power.start_with_host(work)


def settle(work: Work) -> None:
    """Have it on record that there is nothing but what there is from now on."""
    _replan(work, exchange_of(work).ended(work.build))
    _inscribe(work)


def _replan(work: Work, build: Build, fields: Mapping[str, object] | None = None) -> None:
    work.world.store.replan(work.token, build.number, to_plain(build), fields or {})
    work.build = build
    work.spec = changed(work.spec, fields or {})


def _inscribe(work: Work) -> None:
    """Have the domain's own record say what is on record, if it is there and this server's."""
    machine = work.hypervisor.machine(work.build.server)
    if machine is None or not presence.is_ours(work, machine):
        return
    record = ServerRecord(owner=work.world.store.uuid(), spec=work.spec, build=work.build)
    work.hypervisor.ensure_record(work.build.server, to_xml(record))


# What is made, and what is taken away


def ensure_image(work: Work) -> None:
    """Have the image of the new boot disk in the pool, whole and verified."""
    image = exchange_of(work).image
    if image is not None:
        pool = work.build.pool
        work.world.bases.ensure(
            work.host, pool, image, peers=work.peers, tell=work.tell, check=work.check
        )


def ensure_disks(work: Work) -> None:
    """Have every new volume but the seed."""
    pool = work.hypervisor.pool(work.build.pool)
    if pool.available < _ROOM:
        raise RemoteFailed(
            work.host.name,
            f"{work.host.name}: the pool {pool.name} is full: it has {pool.available >> 20} MiB"
            f" left, and another system needs {_ROOM >> 20} at least",
            hint=f"vmctl image cache prune --host {work.host.name}, or delete servers there",
            reason="pool-full",
        )
    for volume in exchange_of(work).made:
        if volume.role not in _SEEDS:
            work.hypervisor.ensure_volume(work.build.pool, volume)


def remove_disks(work: Work) -> None:
    """Have none of the new volumes."""
    presence.remove_all(work, exchange_of(work).made)


def ensure_seed(work: Work) -> None:
    """Have the new seed, with what the guest is told first."""
    exchange = exchange_of(work)
    volume = next((one for one in exchange.made if one.role in _SEEDS), None)
    if volume is None:
        return
    spec, build, secrets = changed(work.spec, exchange.becomes), work.build, work.secrets
    if volume.role == "rescue-seed":
        # Of the server's own disks it is to touch none.
        spec, build = replace(spec, seed=spec.seed or "nocloud"), replace(build, volumes=())
    elif exchange.keeps_user_data:
        secrets = replace(secrets, user_data=_told_before(work, spec))
        build = replace(build, volumes=exchange.new.volumes)
    else:
        build = replace(build, volumes=exchange.new.volumes)
    content = work.world.renderer.seed(spec, build, networks=work.networks, secrets=secrets)
    work.hypervisor.ensure_content(work.build.pool, volume, content)


def _told_before(work: Work, spec: ServerSpec) -> str | None:
    """Give the operator's own user data as the old seed has it, in base64: no record keeps it."""
    old = exchange_of(work).old.volume("seed")
    if old is None:
        return None
    pool = work.build.pool
    if work.hypervisor.volume(pool, old.name) is None:
        raise NotFound(
            f"{work.host.name}: the seed of server {spec.name}, which has its user data, is gone",
            hint="give it again with --user-data FILE, or do without: --no-user-data",
        )
    told = work.world.renderer.user_data_in(work.hypervisor.read_volume(pool, old.name))
    return base64.b64encode(told).decode()


def remove_old(work: Work) -> None:
    """Have none of the volumes that others have taken the place of."""
    presence.remove_all(work, exchange_of(work).doomed)


# What boots


def ask(work: Work) -> None:
    """Press the power button of a guest that runs, and give it its time to obey."""
    machine = work.hypervisor.machine(work.build.server)
    if machine is not None and machine.power is Power.RUNNING:
        power.ask(work)


def define(work: Work) -> None:
    """Have the domain boot the new volumes."""
    exchange = exchange_of(work)
    _replan(work, exchange.turned(work.build), exchange.becomes)
    _define(work)


def restore(work: Work) -> None:
    """Have the domain boot what it did before."""
    exchange = exchange_of(work)
    presence.power_off(work)
    before = exchange.announced(work.build)
    try:
        _replan(work, before, exchange.was)
    except NameTaken as error:
        # Somebody was quick to take the name that was given up: the server keeps its new one.
        work.tell(error.message)
        rest = {key: value for key, value in exchange.was.items() if key != "name"}
        _replan(work, replace(before, name=exchange.new.name), rest)
    _define(work, back=True)


def _define(work: Work, *, back: bool = False) -> None:
    hypervisor, build = work.hypervisor, work.build
    if hypervisor.machine(build.server) is None:
        work.claim(work)
        power.start_with_host(work)
        return
    machine = own_machine(work)
    if machine.name != build.name:
        hypervisor.ensure_named(build.server, build.name)
    # What it had before is still its own: nobody may refuse it.
    with nullcontext() if back else work.settled(work):
        power.define_there(work, build.name)
    # Whoever died between a claim and this has left it without.
    power.start_with_host(work)


def promise(work: Work) -> None:
    """Have the networks' DHCP know the server by its new host name, if it has a new one."""
    _promise(work, changed(work.spec, exchange_of(work).becomes))


def promise_back(work: Work) -> None:
    """Have the networks' DHCP know the server by the host name that it had."""
    _promise(work, changed(work.spec, exchange_of(work).was))


def _promise(work: Work, spec: ServerSpec) -> None:
    if "hostname" not in exchange_of(work).becomes:
        return
    name = spec.hostname or spec.name
    for card in work.build.cards:
        if card.reserved:
            work.hypervisor.ensure_reservation(
                card.source, mac=card.mac, addresses=card.addresses, name=name
            )


def run_if_wanted(work: Work) -> None:
    """Have it running, unless it was off before."""
    if work.params.get("after") != ServerState.STOPPED:
        power.run(work)


_LOOK: Step[Work] = Step(name="look", do=look)
_QUIET: tuple[Step[Work], ...] = (
    Step(name="ask", do=ask, undo=power.run_again),
    Step(name="off", do=power.power_off),
    Step(name="define", do=define, undo=restore),
)
_RUN: Step[Work] = Step(name="run", do=run_if_wanted, undo=presence.power_off)
_MAKE: tuple[Step[Work], ...] = (
    Step(name="image", do=ensure_image),
    Step(name="disks", do=ensure_disks, undo=remove_disks),
    Step(name="seed", do=ensure_seed),
)
_END: tuple[Step[Work], ...] = (
    Step(name="remove", do=remove_old, pivot=True),
    Step(name="settle", do=settle),
)

RESCUE: Saga[Work] = Saga(
    name="server-rescue",
    version=2,
    steps=(_LOOK, Step(name="announce", do=announce, undo=withdraw), *_MAKE, *_QUIET, _RUN),
)

UNRESCUE: Saga[Work] = Saga(name="server-unrescue", version=2, steps=(_LOOK, *_QUIET, _RUN, *_END))

REBUILD: Saga[Work] = Saga(
    name="server-rebuild",
    version=2,
    steps=(
        _LOOK,
        Step(name="announce", do=announce_or_claim, undo=withdraw),
        *_MAKE,
        *_QUIET,
        Step(name="network", do=promise, undo=promise_back),
        _RUN,
        *_END,
    ),
)

EXCHANGES = (RESCUE, UNRESCUE, REBUILD)
OLDER_EXCHANGES = tuple(
    replace(one, version=1, steps=tuple(step for step in one.steps if step is not _LOOK))
    for one in EXCHANGES
)
"""As they were when none of them looked first: what they exchange does not say what it was seen."""
