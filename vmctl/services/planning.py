"""An attempt planned: what is to be made on one host, every name, MAC and address minted first."""

from __future__ import annotations

import secrets
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from vmctl.domain.addresses import allotable
from vmctl.domain.build import Build, Card, Volume, base_name, filter_name, volume_name
from vmctl.domain.cpus import choose, read_cpus
from vmctl.domain.machine import FILE_POOLS
from vmctl.domain.plain import to_plain
from vmctl.domain.record import Nic, Wanted, address_scope
from vmctl.errors import AddressTaken, HostError, RemoteFailed
from vmctl.services.pinning import own_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from vmctl.domain.host import Host
    from vmctl.domain.network import Network
    from vmctl.domain.sample import FoundNetwork, HostSample
    from vmctl.domain.spec import CardWish, GroupUse, ServerSpec

    Taken = Callable[[str], Collection[str]]
    """The addresses that are taken within a scope."""

_MIB = 1024 * 1024


def plan_build(
    spec: ServerSpec,
    number: int,
    host: Host,
    networks: Mapping[str, Network],
    *,
    groups: Mapping[str, GroupUse],
    sample: HostSample | None,
    taken: Taken,
    held: Collection[int] = (),
) -> Build:
    """Plan one attempt on one host, where claims hold these CPUs; raises where it cannot be.

    AddressTaken where a network has no address left, or the one that was asked for is taken, and
    ClaimLost where too few CPUs are left that the host gives out one by one.
    """
    pool = next((one for one in host.pools if one.name == spec.pool), host.default_pool)
    if pool.shared:
        raise RemoteFailed(
            host.name,
            f"{host.name}: the pool {pool.name} is shared storage ({pool.shared}), where servers"
            " cannot be made yet",
            hint="give the host another default pool, or name one with --pool",
            reason="pool",
        )
    found = sample.pool(pool.name) if sample else None
    if found is not None and found.type is not None and found.type not in FILE_POOLS:
        raise RemoteFailed(
            host.name,
            f"{host.name}: the pool {pool.name} is of the type {found.type}, which holds no qcow2"
            " disks, and servers cannot be made there yet",
            hint=f"name another with --pool; those of type {', '.join(FILE_POOLS)} do",
            reason="pool-format",
        )
    picked: dict[str, set[str]] = {}
    cards = []
    for position, wish in enumerate(spec.cards):
        network = networks[wish.network]
        source = network.source.on(host)
        if source is None or network.name not in host.networks:
            raise RemoteFailed(host.name, f"{host.name} does not carry the network {network.name}")
        carrier = _found(sample, network.source.kind, source)
        scope = scope_of(network, host, sample)
        here = picked.setdefault(scope, set())
        served = network.source.kind == "network" and not (carrier and carrier.outer)
        ours = served or network.addressing == "static"
        addresses = pick_addresses(network, wish, here.union(taken(scope)), ours=ours)
        here.update(addresses)
        names = groups_on(spec, network)
        enforced = not names or enforces(sample, network.source.kind, source)
        card = Card(
            network=network.name,
            kind=network.source.kind,
            source=source,
            scope=scope,
            mac=mint_mac(),
            bridge=carrier.bridge if carrier else None,
            addresses=addresses,
            # No DHCP of ours gives an address that was asked for: the guest has to have it.
            addressing=network.addressing if served or not addresses else "static",
            mtu=network.mtu,
            filter=filter_name(spec.id, position) if names else None,
            groups=tuple(groups[name].name for name in names),
            enforced=enforced,
            tag=wish.tag,
            vlan=network.vlan,
        )
        refuse_unfit(card, host, sample)
        if not enforced and not spec.allow_unenforced:
            raise _unenforced(host, network.name)
        cards.append(card)
    size = spec.flavor.claim
    guests = sample.guests if sample and host.dedicated_cpus else ()
    bound = frozenset().union(*(read_cpus(one.pins) for one in guests))
    return Build(
        server=spec.id,
        name=spec.name,
        number=number,
        host=host.name,
        pool=pool.name,
        base=base_name(spec.image),
        vcpus=size.vcpus,
        memory=size.memory,
        disk=size.disk,
        cpus=choose(host, sample, own_cpus(spec), {*held, *bound}),
        volumes=tuple(volumes_of(spec)),
        cards=tuple(cards),
    )


def wanted_of(build: Build, host: Host) -> Wanted:
    """Say what admission is to hold for an attempt."""
    return Wanted(
        host=build.host,
        vcpus=build.vcpus,
        memory=build.memory,
        disk=build.disk,
        pool="" if build.pool == host.default_pool.name else build.pool,
        cpus=build.cpus,
        nics=nics_of(build),
        plan=to_plain(build),
    )


def nics_of(build: Build) -> tuple[Nic, ...]:
    """Give the cards of an attempt as the record holds them."""
    return tuple(
        Nic(network=one.network, scope=one.scope, mac=one.mac, addresses=one.addresses)
        for one in build.cards
    )


def scope_of(network: Network, host: Host, sample: HostSample | None) -> str:
    """Say where an address of a network must be unique: everywhere that it reaches."""
    return address_scope(network.name, None if spans_from(network, host, sample) else host.name)


def spans_from(network: Network, host: Host, sample: HostSample | None) -> bool:
    """Whether a network reaches from this host to others.

    So far as the inventory does not say it, a bridge does, and libvirt's own network where the
    host forwards it without NAT.
    """
    if network.spans is not None:
        return network.spans
    found = _found(sample, network.source.kind, network.source.on(host))
    return network.source.kind == "bridge" or (found is not None and found.spans)


def wire_of(sample: HostSample | None, kind: str, source: str | None) -> str:
    """Name what carries a network on a host: the same for all networks that share it."""
    found = _found(sample, kind, source)
    if found is not None and found.bridge is not None:
        return f"bridge {found.bridge}"
    return f"{kind} {source}"


def _found(sample: HostSample | None, kind: str, source: str | None) -> FoundNetwork | None:
    """Give what a host told of the libvirt network that carries a network there."""
    return sample.network(source) if sample and source and kind == "network" else None


def pick_addresses(
    network: Network, wish: CardWish, held: Collection[str], *, ours: bool = True
) -> tuple[str, ...]:
    """Choose a card's addresses: those asked for, and of the other families the lowest free one.

    Of the others none where someone else's DHCP gives them out, and they are not `ours` to give.
    """
    if not ours and not wish.fixed:
        return ()
    for address in wish.fixed:
        if address in held:
            raise AddressTaken(
                f"the address {address} on {network.name} is held by another server",
                hint="leave it out to get a free one: --network NETWORK",
            )
    found: dict[int, str] = {ip_address(one).version: one for one in wish.fixed}
    if ours:
        families = {6 if ":" in cidr else 4 for cidr in network.cidrs}
        for family in sorted(families - set(found)):
            free = (
                one
                for one in allotable(network)
                if (":" in one) == (family == 6) and one not in held
            )
            lowest = next(free, None)
            if lowest is None:
                raise AddressTaken(
                    f"the network {network.name} has no IPv{family} address left",
                    hint="widen its allocation_pool in the inventory, or delete servers",
                )
            found[family] = lowest
    return tuple(found[family] for family in sorted(found))


def groups_on(spec: ServerSpec, network: Network) -> tuple[str, ...]:
    """Name the security groups of a server's card on this network; none filters nothing."""
    if spec.security_groups is not None:
        return spec.security_groups
    return () if network.security_group is None else (network.security_group,)


def look_at_filters(spec: ServerSpec, build: Build, host: Host, sample: HostSample) -> Build:
    """Say of each card anew whether the host enforces its groups, as it is now.

    Raises where it does not, and that was not allowed.
    """
    cards = []
    for card in build.cards:
        refuse_unfit(card, host, sample)
        enforced = card.filter is None or enforces(sample, card.kind, card.source)
        if not enforced and not spec.allow_unenforced:
            raise _unenforced(host, card.network)
        cards.append(replace(card, enforced=enforced))
    return replace(build, cards=tuple(cards))


def refuse_unfit(card: Card, host: Host, sample: HostSample | None) -> None:
    """Refuse a card that libvirt would take into a definition, and then not start."""
    found = _found(sample, card.kind, card.source)
    if found is None or not found.told:
        return
    if card.vlan is not None and not found.tags:
        raise RemoteFailed(
            host.name,
            f"{host.name}: libvirt cannot tag for the VLAN {card.vlan} of {card.network}: its"
            f" network {card.source} is neither on Open vSwitch nor on SR-IOV",
            hint=f"make a bridge on the VLAN's own interface, and name it in the `source` of"
            f" {card.network}, without `vlan`",
            reason="vlan",
        )
    if card.filter is not None and not found.filters:
        raise RemoteFailed(
            host.name,
            f"{host.name}: libvirt cannot filter what passes on {card.network}: no Linux bridge is"
            f" in its network {card.source}",
            hint="--no-security-group asks for none; `security_group: none` of"
            f" {card.network} in the inventory does so for every server",
            reason="security-groups",
        )


def _unenforced(host: Host, network: str) -> HostError:
    return RemoteFailed(
        host.name,
        f"{host.name} cannot enforce security groups on {network}: what passes over its"
        " bridge goes by the packet filter",
        hint=f"vmctl host check {host.name} tells what mends it; --allow-unenforced goes on all"
        " the same, and --no-security-group asks for none",
        reason="security-groups",
    )


def enforces(sample: HostSample | None, kind: str, source: str) -> bool:
    """Whether a host sends what passes over a network's bridge through its packet filter."""
    if sample is None:
        return False
    found = _found(sample, kind, source)
    bridge = found.bridge if found and found.bridge else source
    own = next((one for one in sample.bridges if one.name == bridge), None)
    four = sample.bridge_filter or (own is not None and own.filtered)
    six = sample.bridge_filter6 or (own is not None and own.filtered6)
    return bool(four and six)


def mint_mac() -> str:
    """Mint a MAC in the range that QEMU's are in."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))


def volumes_of(spec: ServerSpec, generation: int = 1) -> Iterator[Volume]:
    """Plan the volumes of a server, the root disk first."""

    def name(role: str) -> str:
        return volume_name(spec.id, role, generation)

    yield Volume(
        name=name("root"),
        role="root",
        size=spec.flavor.disk * _MIB,
        format="qcow2",
        backing=base_name(spec.image),
        backing_format=spec.image.format,
    )
    for index, size in enumerate(spec.ephemerals):
        yield Volume(
            name=name(f"ephemeral{index}"), role="ephemeral", size=size * _MIB, format="qcow2"
        )
    if spec.flavor.swap:
        yield Volume(name=name("swap"), role="swap", size=spec.flavor.swap * _MIB)
    if spec.seed is not None:
        yield Volume(name=name("seed"), role="seed")
    yield Volume(name=name("console.log"), role="log")
