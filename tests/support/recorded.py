"""Servers on record, made through the store as a create makes them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.support.stores import ACTOR, a_new, anything_fits
from vmctl.domain.build import Build, Card, Volume
from vmctl.domain.operation import Event, Mark, OperationState
from vmctl.domain.plain import to_plain
from vmctl.domain.record import Change, NewServer, Nic, Power, ServerState, Wanted
from vmctl.domain.request import FlavorSpec
from vmctl.domain.spec import CardWish, ImageUse, ServerSpec

if TYPE_CHECKING:
    from vmctl.domain.operation import Token
    from vmctl.ports import Leases, Store

IMAGE = ImageUse(
    id="11111111-0000-4000-8000-000000000001",
    name="debian-12",
    digest="a" * 64,
    format="qcow2",
    size=1 << 28,
    virtual_size=1 << 31,
    properties={"os_admin_user": "debian"},
)
SMALL = FlavorSpec(name="m1.small", vcpus=1, memory=2048, disk=20 * 1024)


def a_spec(name: str = "web", number: int = 1, **other: Any) -> ServerSpec:
    """The spec of a server whose id ends with this number."""
    usual = ServerSpec(
        id=f"00000000-0000-4000-8000-{number:012}",
        name=name,
        flavor=SMALL,
        image=IMAGE,
        cards=(CardWish(network="lan"),),
        hostname=name,
        created_by="alice",
    )
    return replace(usual, **other)


def a_build(spec: ServerSpec, host: str, nics: tuple[Nic, ...] = (), number: int = 1) -> Build:
    """The plan of an attempt with these cards, on a bridge."""
    return Build(
        server=spec.id,
        name=spec.name,
        number=number,
        host=host,
        pool="default",
        vcpus=spec.flavor.vcpus,
        memory=spec.flavor.memory,
        disk=spec.flavor.disk,
        volumes=(Volume(name=f"{spec.id}-log", role="log"),),
        cards=tuple(
            Card(
                network=nic.network,
                kind="bridge",
                source="br0",
                scope=nic.scope,
                mac=nic.mac,
                addresses=nic.addresses,
                filter=f"vmctl-{spec.id}-{place}",
                groups=("default",),
                enforced=place == 0,
            )
            for place, nic in enumerate(nics)
        ),
    )


def a_card(number: int = 1, *addresses: str, network: str = "lan") -> Nic:
    """A network card whose MAC ends with this number."""
    mac = f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}"
    return Nic(network=network, scope=network, mac=mac, addresses=addresses)


def admitted(
    store: Store,
    leases: Leases,
    spec: ServerSpec,
    host: str = "kvm1",
    nics: tuple[Nic, ...] = (),
    **more: Any,
) -> Token:
    """Admit a server, whose operation's owner is then gone: it stays in BUILD."""
    wanted = Wanted(
        host=host,
        vcpus=spec.flavor.vcpus,
        memory=spec.flavor.memory,
        disk=spec.flavor.disk,
        nics=nics,
        plan=to_plain(a_build(spec, host, nics)),
    )
    new = NewServer(id=spec.id, name=spec.name, project=spec.project, spec=to_plain(spec), **more)
    event = Event(actor=ACTOR, action="server-create", result="begun", server=spec.id, host=host)
    with leases.hold(str(uuid.uuid4())) as lease:
        return store.admit(lease, a_new(), new, wanted, anything_fits, event=event)


def running(
    store: Store,
    leases: Leases,
    spec: ServerSpec,
    host: str = "kvm1",
    nics: tuple[Nic, ...] = (),
    **change: Any,
) -> None:
    """Have a server that was made and runs, or what the change says of it."""
    token = admitted(store, leases, spec, host, nics)
    for mark in (Mark.STARTED, Mark.DONE):
        store.journal(token, "define", mark)
    usual = {"state": ServerState.ACTIVE, "power": Power.RUNNING, "host": host, "launched": True}
    event = Event(actor=ACTOR, action="server-create", result="done", server=spec.id, host=host)
    store.finish(token, OperationState.DONE, change=Change(**{**usual, **change}), event=event)
