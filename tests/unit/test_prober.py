"""When a host is looked at again, and more of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import cast

from vmctl.adapters.prober import ShellProber
from vmctl.domain.completed import Completed
from vmctl.domain.host import Host
from vmctl.domain.sample import HostSample
from vmctl.ports import Shell


@dataclass
class NewNetwork:
    """A host on which a network came up: a quick look tells its name, a full one what it is."""

    asked: list[str] = field(default_factory=list)

    def shell(self, host: Host) -> Shell:
        del host
        return cast("Shell", self)

    def close(self) -> None:
        """Nothing is open."""

    def run(self, script: str, *, timeout: float) -> Completed:
        del timeout
        nonce = re.search("(?m)^n=([0-9a-f]+)$", script)
        assert nonce is not None
        depth = "full" if "net-list --all --uuid" in script else "quick"
        self.asked.append(depth)
        sections = [f"begin {depth}", "libvirt", "nets-active\nnew"]
        if depth == "full":
            sections.append("net 1\n  <name>new</name>\n  <bridge name='br0'/>")
        sections += ["end 0", "done"]
        text = "".join(f"{nonce[1]} {one}\n" for one in sections)
        return Completed(exit_code=0, stdout=text.encode())


def test_a_network_that_came_up_since_the_last_full_look_is_looked_at_once() -> None:
    host, shells = Host(name="kvm1", address="kvm1"), NewNetwork()
    prober = ShellProber(shells, lambda: 2.0)

    found = prober.look(host, depth="quick", before=HostSample(taken_at=1.0, facts_at=1.0))
    again = prober.look(host, depth="quick", before=found)

    assert found.networks == again.networks
    assert [one.bridge for one in found.networks] == ["br0"]
    assert shells.asked == ["quick", "full", "quick"]
