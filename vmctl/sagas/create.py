"""One attempt to make a server on a host.

The domain comes first: once it is defined, with its record in it, every other operator sees the
claim. It goes last when all is undone, for what is left must never look like free room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.edits import told_name
from vmctl.domain.record import AttemptState
from vmctl.sagas import presence
from vmctl.sagas.saga import Saga, Step

if TYPE_CHECKING:
    from vmctl.domain.build import Card
    from vmctl.sagas.work import Work


def define(work: Work) -> None:
    """Have the domain defined under the lease of the host, after a last look at its room."""
    work.claim(work)


def ensure_image(work: Work) -> None:
    """Have the base image in the pool, whole and verified."""
    work.world.bases.ensure(
        work.host,
        work.build.pool,
        work.spec.image,
        peers=work.peers,
        tell=work.tell,
        check=work.check,
    )


def ensure_disks(work: Work) -> None:
    """Have every volume but the seed."""
    for volume in work.build.volumes:
        if volume.role != "seed":
            work.hypervisor.ensure_volume(work.build.pool, volume)


def ensure_network(work: Work) -> None:
    """Have each card's filter, and its addresses in the network's own DHCP."""
    for card in work.build.cards:
        ensure_filter(work, card)
        ensure_reservation(work, card)


def ensure_filter(work: Work, card: Card) -> None:
    """Have a card's filter, if it is to have one."""
    if card.filter:
        groups = tuple(work.groups[name] for name in card.groups)
        xml = work.world.renderer.filter(
            card.filter, groups, mac=card.mac, addresses=card.addresses
        )
        work.hypervisor.ensure_filter(card.filter, xml)


def ensure_reservation(work: Work, card: Card) -> None:
    """Have a card's addresses in the network's own DHCP, if that gives them out."""
    if card.reserved:
        work.hypervisor.ensure_reservation(
            card.source, mac=card.mac, addresses=card.addresses, name=told_name(work.spec)
        )


def ensure_seed(work: Work) -> None:
    """Have the seed with what the guest is told first."""
    volume = work.build.volume("seed")
    if volume is None:
        return
    content = work.world.renderer.seed(
        work.spec, work.build, networks=work.networks, secrets=work.secrets
    )
    work.hypervisor.ensure_content(work.build.pool, volume, content)


def start(work: Work) -> None:
    """Have the server running; from the moment before, no other host may be tried."""
    if not work.spec.start:
        return
    # It runs in this boot, or in a later one: should that be so, nobody knows what it is then.
    boot = work.known_boot
    work.world.store.mark_attempt(work.token, work.build.number, AttemptState.BEGUN, boot=boot)
    work.hypervisor.ensure_running(work.build.server)


def ensure_autostart(work: Work) -> None:
    """Have the host start it by itself, if that was asked for: the very last thing."""
    if work.spec.autostart:
        work.hypervisor.ensure_autostart(work.build.server, on=True)


CREATE: Saga[Work] = Saga(
    name="server-create",
    version=1,
    steps=(
        Step(name="define", do=define, undo=presence.undefine),
        Step(name="image", do=ensure_image),
        Step(name="disks", do=ensure_disks, undo=presence.remove_disks),
        Step(name="network", do=ensure_network, undo=presence.remove_network),
        Step(name="seed", do=ensure_seed, undo=presence.remove_seed),
        Step(name="start", do=start, undo=presence.power_off),
        Step(name="autostart", do=ensure_autostart, undo=presence.stop_autostart),
    ),
)
