"""A host with which all is well, to be broken one thing at a time."""

from __future__ import annotations

from dataclasses import replace

from tests.support.probes import sample
from vmctl.domain.check import Finding
from vmctl.domain.check_facts import Contact, Facts, KvmTrial, Trial, Tried
from vmctl.domain.check_steps import check
from vmctl.domain.host import Host
from vmctl.domain.network import Network, Source

LAN = Network(name="lan", source=Source(kind="bridge", name="br-lan"))
NAT = Network(name="default", source=Source(kind="network", name="default"))
SHAKY = Network(name="open", source=Source(kind="bridge", name="br-lan"), security_group=None)
HOST = Host(name="kvm2", address="192.0.2.2", user="ops", networks=("default", "lan", "open"))
DEBIAN, ROCKY = sample("lab-plain-full"), sample("rocky-9-full.unseen", taken_at=1794864001.0)
DEBIAN = replace(DEBIAN, clock=DEBIAN.taken_at, uefi=True, secure_boot=True, tpm=True)
TRIAL = Trial(
    user="ops",
    groups=("ops", "libvirt"),
    lease=Tried(),
    nwfilter=Tried(),
    volumes=(("default", Tried()),),
    kvm=KvmTrial(alive=True, said="a kernel booted"),
)
WELL = Facts(
    host=HOST,
    contact=Contact(address="192.0.2.2", user="ops", key="SHA256:abc"),
    sample=DEBIAN,
    trial=TRIAL,
    library=Tried(),
    networks=(NAT, LAN),
)


def found(facts: Facts, step: str, grade: str) -> Finding:
    """The one finding of that step and grade."""
    (one,) = [item for item in check(facts) if (item.step, item.grade) == (step, grade)]
    return one


def seen(**changes: object) -> Facts:
    return replace(WELL, sample=replace(DEBIAN, **changes))  # type: ignore[arg-type] # a test names fields
