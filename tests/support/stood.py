"""Servers that stand on fake hosts, whichever database made them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.support import servers
from tests.support.plain_renderer import PlainRenderer
from vmctl.domain.spec import CardWish

if TYPE_CHECKING:
    from tests.support.fake_host import FakeFleet
    from vmctl.domain.build import Card
    from vmctl.domain.host import Host
    from vmctl.domain.spec import ServerSpec

OURS = "0b7a1de4-5f0e-4c43-8a70-000000000001"
THEIRS = "0b7a1de4-5f0e-4c43-8a70-000000000002"


def identity(name: str) -> str:
    """The uuid of the server of that name, always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def a_card(number: int, **changes: Any) -> Card:
    """A card with a MAC and an address that end with this number."""
    return replace(
        servers.CARD,
        mac=f"52:54:00:00:00:{number:02x}",
        addresses=(f"198.51.100.{number}",),
        filter=None,
        **changes,
    )


def stand(
    fleet: FakeFleet,
    host: Host,
    name: str,
    *cards: Card,
    owner: str = OURS,
    on: bool = True,
    disks: bool = True,
    number: int = 1,
    cpus: tuple[int, ...] = (),
    **changes: Any,
) -> ServerSpec:
    """Have a server stand on a host with its record and disks, made by that database."""
    usual = {"id": identity(name), "name": name, "hostname": name}
    spec = replace(servers.SPEC, **(usual | changes))
    spec = replace(spec, cards=tuple(CardWish(network=card.network) for card in cards))
    volumes = tuple(
        replace(one, name=f"{spec.id}-{one.role}", backing=None, backing_format=None)
        for one in servers.BUILD.volumes
    )
    build = replace(
        servers.BUILD,
        server=spec.id,
        name=spec.name,
        number=number,
        host=host.name,
        volumes=volumes,
        cards=cards,
        cpus=cpus,
    )
    hypervisor = fleet.on(host)
    if disks:
        for volume in volumes:
            hypervisor.ensure_volume(build.pool, volume)
    renderer = PlainRenderer()
    xml = renderer.domain(
        spec, build, owner=owner, offers=hypervisor.offers(), place=hypervisor.pool(build.pool)
    )
    hypervisor.ensure_defined(spec.id, xml)
    if on:
        hypervisor.ensure_running(spec.id)
    return spec
