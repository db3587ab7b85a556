"""The network cards of a create: which networks, in which order, with which fixed addresses."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from vmctl.domain.addresses import is_reserved, parse_range, parse_subnet
from vmctl.domain.spec import CardWish
from vmctl.errors import NotFound
from vmctl.services.wish import AUTO_CARDS, NO_CARDS, read_card

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.domain.inventory import Inventory
    from vmctl.domain.network import Network
    from vmctl.services.wish import Wish

_MOST = 16


def resolve_cards(
    wish: Wish, inventory: Inventory, complain: Callable[[str], None]
) -> tuple[CardWish, ...]:
    """Give the cards in the order in which they were asked for; say what is wrong with them."""
    special = [word for word in wish.cards if word in NO_CARDS or word in AUTO_CARDS]
    if special:
        if len(wish.cards) > 1:
            complain(f"--nic {special[0]} cannot be combined with another network")
            return ()
        if special[0] in NO_CARDS:
            return ()
    if special or not wish.cards:
        default = inventory.default_network
        if default is None:
            complain(
                "no network is asked for, and the inventory has none with `default: true`"
                " (--network NETWORK, or --no-network)"
            )
            return ()
        return (CardWish(network=default.name),)
    if len(wish.cards) > _MOST:
        complain(f"--nic: {len(wish.cards)} network cards, and {_MOST} are allowed")
        return ()
    cards = []
    for words in wish.cards:
        try:
            card = read_card(words)
            network = inventory.network(card.network)
        except NotFound as error:
            complain(f"{error.message}{f'. {error.hint}' if error.hint else ''}")
            continue
        except ValueError as error:
            complain(str(error))
            continue
        for problem in _fixed_problems(card, network):
            complain(problem)
        if card.fixed and wish.count > 1:
            complain("--nic: a fixed address can be only one server's")
        cards.append(card)
    asked = [address for card in cards for address in card.fixed]
    for address in sorted({one for one in asked if asked.count(one) > 1}):
        complain(f"--nic: {address} is asked for twice")
    return tuple(cards)


def _fixed_problems(card: CardWish, network: Network) -> list[str]:
    problems = []
    versions = [ip_address(address).version for address in card.fixed]
    if len(set(versions)) < len(versions):
        problems.append(f"--nic: one fixed address of each family on {network.name}, not several")
    for address in card.fixed:
        found = ip_address(address)
        subnet = next((one for one in map(parse_subnet, network.cidrs) if found in one), None)
        if not network.cidrs:
            problems.append(
                f"--nic: {address} on {network.name} needs a prefix, and the inventory has none:"
                f" write the cidr of {network.name} there (with `addressing: dhcp` where somebody"
                " else's DHCP gives the other addresses)"
            )
        elif subnet is None:
            cidrs = ", ".join(network.cidrs)
            problems.append(f"--nic: {address} is not on the network {network.name} ({cidrs})")
        elif is_reserved(subnet, found) or address in network.gateway:
            problems.append(f"--nic: {address} can be no server's on the network {network.name}")
        elif any(
            first.version == found.version and int(first) <= int(found) <= int(last)
            for first, last in (parse_range(f"{one.first}-{one.last}") for one in network.exclude)
        ):
            problems.append(f"--nic: {address} is excluded on the network {network.name}")
    return problems
