"""What libvirt and guests read, written from templates and from values."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

    from vmctl.domain.build import Build
    from vmctl.domain.machine import Offers, PoolPlace
    from vmctl.domain.network import Network
    from vmctl.domain.spec import GroupUse, Secrets, ServerSpec


class TemplateRenderer:
    """Fills in templates, of which those in the operator's own folder come first."""

    def __init__(self, own_templates: str = "") -> None:
        self._own = own_templates

    @cached_property
    def _environment(self) -> Environment:
        from vmctl.adapters.render.environment import xml_environment

        return xml_environment(self._own)

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
        """Write the domain with its record; the owner is the database's uuid.

        It is bound to the host's `shared` CPUs, if any are named, as far as it has none of its own.
        """
        from markupsafe import Markup

        from vmctl.adapters.render.domain import AGENT_CHANNEL, fit
        from vmctl.adapters.render.environment import render_xml
        from vmctl.domain.cpus import format_cpus
        from vmctl.domain.server_record import ServerRecord, to_xml

        # libvirt pins no single vCPU of a machine that is emulated: it has its CPUs as a whole.
        pins = build.cpus if offers.virt_type == "kvm" else ()
        values = {
            "spec": spec,
            "build": build,
            "offers": offers,
            "place": place,
            "fitted": fit(spec, build, offers, place),
            "bound": "" if pins else format_cpus(build.cpus or shared),
            "pins": pins,
            "shared": format_cpus(shared),
            "record": Markup(to_xml(ServerRecord(owner=owner, spec=spec, build=build))),  # noqa: S704 - escaped there
            "console_password": console_password,
            "agent_channel": AGENT_CHANNEL,
        }
        return render_xml(self._environment, "domain.xml.j2", values)

    def seed(
        self,
        spec: ServerSpec,
        build: Build,
        *,
        networks: Mapping[str, Network],
        secrets: Secrets,
    ) -> bytes:
        """Write the seed image that the guest takes its first settings from."""
        from vmctl.adapters.render.seed import seed

        return seed(spec, build, networks, secrets)

    def user_data_in(self, seed: bytes) -> bytes:
        """Give the operator's own user data as a seed has it that was made with some."""
        from vmctl.adapters.render.seed import user_data_of
        from vmctl.adapters.render.user_data import theirs_in

        return theirs_in(user_data_of(seed))

    def filter(
        self, name: str, groups: tuple[GroupUse, ...], *, mac: str, addresses: tuple[str, ...]
    ) -> str:
        """Write the network filter of one card."""
        from vmctl.adapters.render.environment import render_xml
        from vmctl.adapters.render.filter import filter_values

        values = filter_values(name, groups, mac, addresses)
        return render_xml(self._environment, "filter.xml.j2", values)
