"""Looking at a host through its shell: one round trip, one script, one sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.adapters.probe import new_nonce, probe_script
from vmctl.adapters.probe_answer import parse_probe
from vmctl.domain.sample import depth_to_ask, keep_facts

if TYPE_CHECKING:
    from vmctl.domain.host import Host
    from vmctl.domain.sample import Depth, HostSample
    from vmctl.ports import Clock, Shells

LIMITS: dict[Depth, float] = {"quick": 20.0, "full": 30.0}
"""Seconds for the whole script, which may ask libvirt twice and gives each answer its own limit."""


class ShellProber:
    """Asks hosts over their shells."""

    def __init__(self, shells: Shells, clock: Clock) -> None:
        self._shells = shells
        self._clock = clock

    def look(self, host: Host, *, depth: Depth, before: HostSample | None) -> HostSample:
        """Ask one host; facts that only a full look tells are kept from the last one.

        A network that came up since then is known by its name alone: then all is asked.
        """
        asked = depth_to_ask(depth, before)
        sample = self._ask(host, asked, before)
        if asked == "quick" and any(one.active and not one.told for one in sample.networks):
            sample = self._ask(host, "full", before)
        return sample

    def _ask(self, host: Host, asked: Depth, before: HostSample | None) -> HostSample:
        nonce = new_nonce()
        script = probe_script(
            nonce=nonce,
            depth=asked,
            pools=[pool.name for pool in host.pools],
            known=[guest.uuid for guest in before.guests] if before else (),
        )
        done = self._shells.shell(host).run(script, timeout=LIMITS[asked])
        sample = parse_probe(done.text, nonce, host=host.name, taken_at=self._clock())
        return keep_facts(sample, before)
