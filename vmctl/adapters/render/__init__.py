"""What libvirt and guests read, written from templates and from values."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

    from vmctl.domain.build import Build
    from vmctl.domain.machine import Offers, PoolPlace
    from vmctl.domain.spec import ServerSpec


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
    ) -> str:
        """Write the domain with its record; the owner is the database's uuid."""
        from markupsafe import Markup

        from vmctl.adapters.render.domain import AGENT_CHANNEL, fit
        from vmctl.adapters.render.environment import render_xml
        from vmctl.domain.server_record import ServerRecord, to_xml

        values = {
            "spec": spec,
            "build": build,
            "offers": offers,
            "place": place,
            "fitted": fit(spec, build, offers, place),
            "record": Markup(to_xml(ServerRecord(owner=owner, spec=spec, build=build))),  # noqa: S704 - escaped there
            "console_password": console_password,
            "agent_channel": AGENT_CHANNEL,
        }
        return render_xml(self._environment, "domain.xml.j2", values)
