"""All that the operators wrote down: hosts, networks, aggregates, the scheduler's policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmctl.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vmctl.domain.host import Host
    from vmctl.domain.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """Hosts that share metadata, as Nova's aggregates do."""

    name: str
    hosts: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What hosts there are and what they offer, every default applied and every name checked.

    Each mapping is keyed by name and keeps the order of the files.
    """

    path: str
    hosts: Mapping[str, Host] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    aggregates: Mapping[str, Aggregate] = field(default_factory=dict)
    scheduler: Mapping[str, object] = field(default_factory=dict)

    def host(self, name: str) -> Host:
        """Give the host of that name; NotFound names the nearest ones."""
        if name in self.hosts:
            return self.hosts[name]
        raise NotFound(f"No Host found for {name}", hint=self._nearest(name, self.hosts))

    def network(self, name: str) -> Network:
        """Give the network of that name; NotFound names the nearest ones."""
        if name in self.networks:
            return self.networks[name]
        raise NotFound(f"No Network found for {name}", hint=self._nearest(name, self.networks))

    @property
    def zones(self) -> tuple[str, ...]:
        """Every availability zone that a host is in, in order of name."""
        return tuple(sorted({host.zone for host in self.hosts.values()}))

    @property
    def default_network(self) -> Network | None:
        """The network that servers are on when they ask for none."""
        return next((network for network in self.networks.values() if network.default), None)

    def carriers(self, network: Network) -> tuple[Host, ...]:
        """Give the hosts that servers on this network can run on."""
        return tuple(host for host in self.hosts.values() if network.name in host.networks)

    def arbiter(self, network: Network) -> Host | None:
        """Give the host that holds the network's lease: the named one, else the first by name."""
        if network.arbiter is not None:
            return self.hosts[network.arbiter]
        return min(self.carriers(network), key=lambda host: host.name, default=None)

    def aggregates_of(self, host: str) -> tuple[Aggregate, ...]:
        """Give the aggregates that the host is in."""
        return tuple(one for one in self.aggregates.values() if host in one.hosts)

    def _nearest(self, name: str, known: Iterable[str]) -> str:
        from difflib import get_close_matches

        close = get_close_matches(name, known, n=3)
        if close:
            return f"Did you mean {' or '.join(repr(one) for one in close)}?"
        return f"{self.path} is the inventory that was read"
