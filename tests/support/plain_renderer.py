"""A renderer whose domains say no more than a fake host reads of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

from vmctl.domain.build import Build
from vmctl.domain.cpus import format_cpus
from vmctl.domain.machine import Offers, PoolPlace
from vmctl.domain.network import Network
from vmctl.domain.server_record import ServerRecord, to_xml
from vmctl.domain.spec import GroupUse, Secrets, ServerSpec


class PlainRenderer:
    def domain(
        self,
        spec: ServerSpec,
        build: Build,
        *,
        owner: str,
        offers: Offers,
        place: PoolPlace,
        console_password: str | None = None,
        shared: tuple[int, ...] = (),
    ) -> str:
        del offers, console_password
        disks = "".join(
            f"<disk><source file={quoteattr(f'{place.path}/{one.name}')}/></disk>"
            for one in build.volumes
            if one.role != "log" and (one.role != "seed" or not build.rescued)
        )
        cards = "".join(
            f"<interface type='{card.kind}'><mac address='{card.mac}'/>"
            f"<source {card.kind}={quoteattr(card.source)}/>"
            + (f'<filterref filter="{card.filter}"/>' if card.filter else "")
            + "</interface>"
            for card in build.cards
        )
        cards += "<serial type='pty'/><graphics type='vnc'/>" if build.volume("log") else ""
        pins = "".join(
            f"<vcpupin vcpu='{vcpu}' cpuset='{cpu}'/>" for vcpu, cpu in enumerate(build.cpus)
        )
        bound = f" cpuset='{format_cpus(shared)}'" if shared and not build.cpus else ""
        record = to_xml(ServerRecord(owner=owner, spec=spec, build=build))
        return (
            f"<domain type='kvm'><name>{escape(build.name)}</name><uuid>{spec.id}</uuid>"
            f"<vcpu{bound}>{build.vcpus}</vcpu><cputune>{pins}</cputune>"
            f"<memory unit='KiB'>{build.memory * 1024}</memory>"
            f"<metadata>{record}</metadata><devices>{disks}{cards}</devices></domain>"
        )

    def seed(
        self,
        spec: ServerSpec,
        build: Build,
        *,
        networks: Mapping[str, Network],
        secrets: Secrets,
    ) -> bytes:
        del networks
        return f"{spec.hostname} {build.number} {secrets.user_data}".encode()

    def user_data_in(self, seed: bytes) -> bytes:
        told = seed.rpartition(b" ")[2]
        return b"" if told == b"None" else base64.b64decode(told)

    def filter(
        self, name: str, groups: tuple[GroupUse, ...], *, mac: str, addresses: tuple[str, ...]
    ) -> str:
        rules = sum(len(group.rules) for group in groups)
        return f"<filter name={quoteattr(name)}>{mac} {addresses} {rules}</filter>"
