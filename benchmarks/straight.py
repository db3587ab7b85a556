"""A server made in a straight line: what hosts are asked for, and nothing else.

The same calls over SSH and libvirt that `server create` makes, by the same adapters, one after
the other: no scheduler, no database, no journal, no undo. The host is told, every name is minted
here, and whatever goes wrong is a traceback. A create is measured against it.

    python -m benchmarks.straight HOST NAME DIGEST FORMAT VIRTUAL_SIZE LAST
"""

from __future__ import annotations

import os
import sys
import uuid

from vmctl.adapters.host_lease import FlockLeases
from vmctl.bootstrap import build
from vmctl.config import load
from vmctl.domain.build import Build, Card, Volume, base_name, filter_name
from vmctl.domain.request import FlavorSpec
from vmctl.domain.spec import CardWish, GroupUse, ImageUse, RuleUse, Secrets, ServerSpec

MIB = 1024 * 1024
RULES = (
    *(RuleUse(direction="egress", ethertype=one) for one in ("IPv4", "IPv6")),
    RuleUse(protocol="icmp"),
    RuleUse(ethertype="IPv6", protocol="icmpv6"),
    *(RuleUse(ethertype=one, protocol="tcp", port_min=22, port_max=22) for one in ("IPv4", "IPv6")),
)
GROUP = GroupUse(name="default", rules=RULES)


def main(host_name: str, name: str, *of_image: str, last: str) -> None:
    """Make one server with an address that ends so on the host's NAT network."""
    digest, form, virtual_size = of_image
    app = build(load(os.environ))
    disk = int(virtual_size) // MIB
    host, network = app.inventory.host(host_name), app.inventory.network("default")
    server = str(uuid.uuid4())
    image = ImageUse(
        id=server, name="mini", digest=digest, format=form, size=0, virtual_size=int(virtual_size)
    )
    spec = ServerSpec(
        id=server,
        name=name,
        hostname=name,
        flavor=FlavorSpec(name="m1.nano", memory=128, disk=disk),
        image=image,
        cards=(CardWish(network="default"),),
    )
    card = Card(
        network="default",
        kind="network",
        source="default",
        scope=f"default@{host_name}",
        mac=f"52:54:00:{server[0:2]}:{server[2:4]}:{server[4:6]}",
        addresses=(f"192.168.122.{last}",),
        filter=filter_name(server, 0),
        groups=("default",),
    )
    root = Volume(
        name=f"{server}-root",
        role="root",
        size=disk * MIB,
        format="qcow2",
        backing=base_name(image),
        backing_format=form,
    )
    seed, log = (
        Volume(name=f"{server}-seed", role="seed"),
        Volume(name=f"{server}-console.log", role="log"),
    )
    made = Build(
        server=server,
        name=name,
        number=1,
        host=host_name,
        pool="default",
        base=base_name(image),
        vcpus=1,
        memory=128,
        disk=disk,
        volumes=(root, seed, log),
        cards=(card,),
    )
    hypervisor = app.hypervisors.on(host)
    with FlockLeases(app.shells).hold(host) as lease:
        app.prober.look(host, depth="quick", before=None)
        hypervisor.spoken_for(card.source)
        lease.check()
        place = hypervisor.pool("default")
        xml = app.renderer.domain(spec, made, owner=server, offers=hypervisor.offers(), place=place)
        hypervisor.ensure_defined(server, xml)
    app.base_images.ensure(host, "default", image)
    hypervisor.ensure_volume("default", root)
    hypervisor.ensure_volume("default", log)
    rules = app.renderer.filter(
        filter_name(server, 0), (GROUP,), mac=card.mac, addresses=card.addresses
    )
    hypervisor.ensure_filter(filter_name(server, 0), rules)
    hypervisor.ensure_reservation(card.source, mac=card.mac, addresses=card.addresses, name=name)
    content = app.renderer.seed(spec, made, networks={"default": network}, secrets=Secrets())
    hypervisor.ensure_content("default", seed, content)
    hypervisor.ensure_running(server)
    app.close()


if __name__ == "__main__":
    main(*sys.argv[1:-1], last=sys.argv[-1])
