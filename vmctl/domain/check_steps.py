"""The steps of a host check, in the order in which a host is reached, entered and used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.check import Finding, Step, run_steps
from vmctl.domain.check_host import (
    grade_clock,
    grade_cpus,
    grade_curl,
    grade_firmware,
    grade_identity,
    grade_kvm,
    grade_need,
    grade_startups,
    grade_tpm,
    grade_versions,
)
from vmctl.domain.check_networks import grade_filters, grade_networks
from vmctl.domain.check_pools import grade_autostart, grade_pools
from vmctl.domain.check_reach import (
    grade_console,
    grade_key,
    grade_lease,
    grade_library,
    grade_libvirt,
    grade_login,
    grade_look,
    grade_name,
    grade_port,
    grade_volumes,
)

if TYPE_CHECKING:
    from vmctl.domain.check_facts import Facts

STEPS = (
    Step(name="name", grade=grade_name),
    Step(name="tcp", grade=grade_port, needs=("name",)),
    Step(name="host key", grade=grade_key, needs=("tcp",)),
    Step(name="login", grade=grade_login, needs=("host key",)),
    Step(name="look", grade=grade_look, needs=("login",)),
    Step(name="libvirt", grade=grade_libvirt, needs=("look",)),
    Step(name="lease", grade=grade_lease, needs=("look",)),
    Step(name="volumes", grade=grade_volumes, needs=("libvirt",)),
    Step(name="console log", grade=grade_console, needs=("volumes",)),
    Step(name="versions", grade=grade_versions, needs=("libvirt",)),
    Step(name="kvm", grade=grade_kvm, needs=("look",)),
    Step(name="cpus", grade=grade_cpus, needs=("look",)),
    Step(name="pools", grade=grade_pools, needs=("libvirt",)),
    Step(name="networks", grade=grade_networks, needs=("libvirt",)),
    Step(name="security groups", grade=grade_filters, needs=("libvirt",)),
    Step(name="clock", grade=grade_clock, needs=("look",)),
    Step(name="both stacks", grade=grade_library, needs=("libvirt",)),
    Step(name="max startups", grade=grade_startups, needs=("look",)),
    Step(name="autostart", grade=grade_autostart, needs=("libvirt",)),
    Step(name="curl", grade=grade_curl, needs=("look",)),
    Step(name="uefi", grade=grade_firmware, needs=("libvirt",)),
    Step(name="tpm", grade=grade_tpm, needs=("libvirt",)),
    Step(name="identity", grade=grade_identity, needs=("look",)),
    Step(name="flavor", grade=grade_need, needs=("libvirt",)),
)
"""Every step; what fails stands before what rests on it."""


def check(facts: Facts) -> tuple[Finding, ...]:
    """Grade all that was gathered about one host."""
    return run_steps(STEPS, facts)
