"""What the records of servers on hosts hold, whoever made them: addresses and MACs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain.server_record import from_xml
from vmctl.services.planning import wire_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from vmctl.domain.build import Card
    from vmctl.domain.host import Host
    from vmctl.domain.network import Network
    from vmctl.domain.sample import Guest, HostSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What records on hosts hold: addresses and MACs, each with the server that has it."""

    addresses: Mapping[tuple[str, str], str]  # (network, address): server
    macs: Mapping[str, str]


def held_by(looks: Iterable[tuple[Host, HostSample]], networks: Collection[Network]) -> Held:
    """Say what the records of all servers on these hosts hold, of addresses on these networks.

    Another inventory may call a network otherwise: what is on the same bridge is on it, too.
    """
    addresses: dict[tuple[str, str], str] = {}
    macs: dict[str, str] = {}
    for host, sample in looks:
        wires = {
            one.name: wire_of(sample, one.source.kind, one.source.on(host)) for one in networks
        }
        for guest in sample.guests:
            for card in _cards(guest):
                macs[card.mac] = guest.uuid
                wire = wire_of(sample, card.kind, card.source)
                for name, own in wires.items():
                    if wire == own or (card.spans and card.network == name):
                        addresses |= {(name, one): guest.uuid for one in card.addresses}
    return Held(addresses=addresses, macs=macs)


def _cards(guest: Guest) -> tuple[Card, ...]:
    """Give the cards that a guest's record says it has; a record that cannot be read has none."""
    if guest.record is None:
        return ()
    try:
        return from_xml(guest.record).build.cards
    except ValueError:
        return ()
