"""Where a server is to be reached, by which of its addresses, as whom, and through which host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain.build import known_as
from vmctl.domain.server_line import spec_text
from vmctl.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmctl.cli.context import Context
    from vmctl.domain.record import Nic, Server

_LOGINS = ("os_admin_user", "default_user")
"""The properties of an image that name who is let in."""

KINDS = ("public", "private")
"""Words for addresses that the whole world may know, and for those that mean something here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One address of a server: who has seen it, and whether only its host reaches it."""

    address: str
    network: str
    sources: tuple[str, ...] = ()  # lease, agent, arp; none: it was planned and never seen
    behind: bool = False

    @property
    def known(self) -> str:
        """Say how it is known."""
        return f"seen by {', '.join(self.sources)}" if self.sources else "planned and never seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which address is wanted; None is any."""

    network: str | None = None  # or one of the kinds, where no network of the server is called so
    v6: bool | None = None

    @property
    def words(self) -> str:
        """Say it at the end of a sentence."""
        family = {True: " by IPv6", False: " by IPv4", None: ""}[self.v6]
        return (f" on {self.network}" if self.network else "") + family


def places_of(context: Context, server: Server, wish: Wish) -> list[Place]:
    """Give the addresses of a server that are wanted, the surest first."""
    behind = _behind_nat(context, server)
    named = {nic.network for nic in server.nics}
    found = []
    for order, nic in enumerate(server.nics):
        for address, sources in _known(server, nic):
            place = Place(
                address=address, network=nic.network, sources=sources, behind=nic.mac in behind
            )
            # One of a link alone says nothing without the card that it is seen from.
            if not address.startswith("fe80:") and _wanted(place, wish, named):
                found.append(((_rank(sources), order, ":" in address, address), place))
    return [place for _, place in sorted(found, key=lambda pair: pair[0])]


def the_places(context: Context, server: Server, wish: Wish) -> list[Place]:
    """Give the same, after a look at its host where none of them was ever seen."""
    found = places_of(context, server, wish)
    if any(place.sources for place in found):
        return found
    from vmctl.cli.server_refresh import look_at

    look_at(context, server)
    found = places_of(context, context.app.store.server(server.id), wish)
    if not found:
        raise NotFound(
            f"no address of server {server.name} is known{wish.words}",
            hint=f"vmctl server show {server.name} --refresh",
        )
    return found


def login_of(server: Server) -> str | None:
    """Say as whom its image lets people in."""
    named = (spec_text(server.spec, "image", "properties", name) for name in _LOGINS)
    return next((name for name in named if name), None)


def identity_of(context: Context, server: Server) -> str | None:
    """Find the private key of the keypair that it was given, among the operator's own."""
    from vmctl.adapters.guest_entry import identity_for

    key, home = spec_text(server.spec, "public_key"), context.environ.get("HOME")
    return identity_for(key, home) if key and home else None


def _rank(sources: tuple[str, ...]) -> int:
    """Say how sure an address is: the guest's own agent knows, a lease was merely given."""
    return 2 if not sources else 0 if "agent" in sources else 1


def _known(server: Server, nic: Nic) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give the addresses of a card, each with who has seen it there."""
    seen: dict[str, list[str]] = {address: [] for address in nic.addresses}
    for one in server.seen:
        if one.mac == nic.mac:
            seen.setdefault(one.address, []).append(one.source)
    for address, sources in seen.items():
        yield address, tuple(dict.fromkeys(sources))


def _wanted(place: Place, wish: Wish, named: set[str]) -> bool:
    if wish.v6 not in (None, ":" in place.address):
        return False
    if wish.network in (None, place.network):
        return True
    if wish.network not in KINDS or wish.network in named:
        return False
    from ipaddress import ip_address

    return ip_address(place.address).is_global is (wish.network == "public")


def key_holder(context: Context, server: Server) -> str:
    """Name what boots there now, by which its key is kept: the server, or what took its place."""
    return known_as(server.id, _plan(context, server))


def _behind_nat(context: Context, server: Server) -> frozenset[str]:
    """Say which of its cards are on a network that only its host reaches."""
    cards = _plan(context, server).get("cards")
    held = cards if isinstance(cards, list) else []
    return frozenset(card["mac"] for card in held if card.get("scope") != card.get("network"))


def _plan(context: Context, server: Server) -> Mapping[str, object]:
    """Give what was planned of it on its host."""
    for attempt in context.app.store.attempts(server.id):
        if attempt.number == server.attempt:
            return attempt.plan
    return {}
