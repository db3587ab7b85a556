"""Domains: defined, powered and taken away by what they are to be, not by what was done before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libvirt

from vmctl.adapters.hypervisor.link import ABSENT, REFUSED, code_of
from vmctl.adapters.pins import find_own_cpus, find_pins
from vmctl.adapters.server_record import find_record, without_namespace
from vmctl.domain.machine import Machine
from vmctl.domain.record import Power
from vmctl.domain.sample import RECORD_NAMESPACE
from vmctl.errors import NameTaken, RemoteFailed

if TYPE_CHECKING:
    from vmctl.adapters.hypervisor.link import Link

POWER = {
    libvirt.VIR_DOMAIN_NOSTATE: Power.NOSTATE,
    libvirt.VIR_DOMAIN_RUNNING: Power.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: Power.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: Power.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: Power.SHUTDOWN,
    libvirt.VIR_DOMAIN_SHUTOFF: Power.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: Power.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: Power.SUSPENDED,
}

READING_BACK = 1800.0
"""Seconds that reading a guest's saved memory may take."""

_TAKEN = re.compile(r"domain '(?P<name>.*)' already exists with uuid (?P<uuid>\S+)")

_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)
_WITH_CHECKPOINTS = _UNDEFINE | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
# A library older than 8.9 has no word for the TPM's state, and takes it away unasked.
_WITH_TPM = _WITH_CHECKPOINTS | getattr(libvirt, "VIR_DOMAIN_UNDEFINE_TPM", 0)


def machines(link: Link) -> tuple[Machine, ...]:
    """List the domains with their records: one question for all states, one for each record."""
    listed = link.ask(
        "listing the machines",
        lambda on: on.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0),
    )
    autostart = _those(link, libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
    saved = _those(link, libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
    transient = _those(link, libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT)

    def machine(one: tuple[libvirt.virDomain, dict[str, int]]) -> Machine | None:
        domain, stats = one
        uuid = domain.UUIDString()
        try:
            xml = _definition(link, domain)
        except RemoteFailed as error:
            if error.reason != ABSENT:
                raise
            return None
        return Machine(
            uuid=uuid,
            name=domain.name(),
            power=POWER.get(stats.get("state.state", 0), Power.UNKNOWN),
            record=find_record(xml),
            autostart=uuid in autostart,
            managed_save=uuid in saved,
            persistent=uuid not in transient,
            pins=find_pins(xml),
            cpus=find_own_cpus(xml),
        )

    found = map(machine, listed)
    return tuple(one for one in found if one is not None)


def machine(link: Link, uuid: str) -> Machine | None:
    """Find one domain."""
    doing = f"looking at machine {uuid}"
    domain = find(link, uuid)
    if domain is None:
        return None
    try:
        state, _ = link.ask(doing, lambda _: domain.state(0))
        persistent = bool(link.ask(doing, lambda _: domain.isPersistent()))
        xml = _definition(link, domain)
        return Machine(
            uuid=uuid,
            name=domain.name(),
            power=POWER.get(state, Power.UNKNOWN),
            record=find_record(xml),
            autostart=persistent and bool(link.ask(doing, lambda _: domain.autostart())),
            managed_save=bool(link.ask(doing, lambda _: domain.hasManagedSaveImage(0))),
            persistent=persistent,
            pins=find_pins(xml),
            cpus=find_own_cpus(xml),
        )
    except RemoteFailed as error:
        if error.reason != ABSENT:
            raise
        return None


def ensure_defined(link: Link, uuid: str, xml: str) -> None:
    """Define the domain, or define it anew; what libvirt's schema does not know is refused."""
    try:
        link.call(
            f"defining machine {uuid}",
            lambda: link.connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE),
        )
    except RemoteFailed as error:
        taken = _TAKEN.search(error.message)
        if taken is None:
            raise
        raise name_taken(link.host.name, taken["name"], taken["uuid"]) from error


def name_taken(host: str, name: str, other: str) -> NameTaken:
    """Return the error for a name that another domain bears there."""
    return NameTaken(
        f"{host}: a machine named {name} is there already, with uuid {other}",
        hint=f"take another name; on {host}, `virsh dumpxml {other}` tells whose it is",
    )


def ensure_record(link: Link, uuid: str, record: str) -> None:
    """Have a domain's record say this, at once where it runs, and from its next start on."""
    domain = existing(link, uuid)
    flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG
    if is_active(link, domain, uuid):
        flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE
    element = libvirt.VIR_DOMAIN_METADATA_ELEMENT
    bare = without_namespace(record)
    link.call(
        f"writing the record of machine {uuid}",
        lambda: domain.setMetadata(element, bare, "vmctl", RECORD_NAMESPACE, flags),
    )


def ensure_running(link: Link, uuid: str) -> None:
    """Start the domain unless it runs, resume it if it is paused, and see that it runs."""
    domain = existing(link, uuid)
    refusal: RemoteFailed | None = None
    doing = f"starting machine {uuid}"
    saved = link.attempt(doing, lambda: domain.hasManagedSaveImage(0), ABSENT)
    try:
        link.call(doing, domain.create, limit=READING_BACK if saved else None)
    except RemoteFailed as error:
        if error.reason != REFUSED:
            raise
        refusal = error
    power = power_of(link, domain, uuid)
    if power is Power.PAUSED:
        link.attempt(f"resuming machine {uuid}", domain.resume, REFUSED)
        power = power_of(link, domain, uuid)
    if power is Power.RUNNING:
        return
    if refusal is not None:
        raise refusal
    raise RemoteFailed(
        link.host.name,
        f"{link.host.name}: machine {uuid} was started and is {power} at once",
        hint=f"on {link.host.name}: /var/log/libvirt/qemu/{domain.name()}.log tells why",
        reason="not-running",
    )


def ask_to_shut_down(link: Link, uuid: str) -> None:
    """Press the domain's power button, if it is there and runs."""
    domain = find(link, uuid)
    if domain is not None and power_of(link, domain, uuid) is Power.RUNNING:
        link.attempt(f"asking machine {uuid} to shut down", domain.shutdown, REFUSED, ABSENT)


def ensure_off(link: Link, uuid: str) -> None:
    """Power the domain off at once, if it is there and not off."""
    domain = find(link, uuid)
    if domain is not None:
        _power_off(link, domain, uuid)


def ensure_undefined(link: Link, uuid: str) -> None:
    """Take the domain away with all that belongs to it; one that runs is powered off first."""
    domain = find(link, uuid)
    if domain is None:
        return
    # Undefined while it runs, it would run on and nobody could tell whose it is.
    _power_off(link, domain, uuid)
    doing = f"taking machine {uuid} away"
    internal = libvirt.VIR_DOMAIN_SNAPSHOT_LIST_INTERNAL
    for snapshot in link.attempt(doing, lambda: domain.listAllSnapshots(internal), ABSENT) or ():
        # Where a disk is gone already its snapshots are too, and only their names are left.
        link.attempt(doing, snapshot.delete, REFUSED, ABSENT, "libvirt")
    for flags in (_WITH_TPM, _WITH_CHECKPOINTS, _UNDEFINE):
        try:
            link.attempt(doing, lambda flags=flags: domain.undefineFlags(flags), ABSENT)  # type: ignore[misc] # mypy cannot infer a lambda with defaults
        except RemoteFailed as error:
            too_old = (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_NO_SUPPORT)
            if flags == _UNDEFINE or code_of(error) not in too_old:
                raise
        else:
            return


def ensure_autostart(link: Link, uuid: str, *, on: bool) -> None:
    """Say whether the host starts the domain by itself; a domain that is gone is off."""
    domain = existing(link, uuid) if on else find(link, uuid)
    if domain is None:
        return
    doing = f"setting autostart of machine {uuid} {'on' if on else 'off'}"
    try:
        link.call(doing, lambda: domain.setAutostart(int(on)))
    except RemoteFailed as error:
        # One that is not persistent is never started by the host, and cannot be told so.
        if on or error.reason not in (ABSENT, REFUSED):
            raise


def find(link: Link, uuid: str) -> libvirt.virDomain | None:
    """Find a domain by its uuid."""
    return link.find(f"looking for machine {uuid}", lambda on: on.lookupByUUIDString(uuid))


def existing(link: Link, uuid: str) -> libvirt.virDomain:
    """Find a domain that must be there."""
    domain = find(link, uuid)
    if domain is None:
        raise RemoteFailed(
            link.host.name,
            f"{link.host.name}: machine {uuid} is not defined there",
            hint=f"vmctl host show {link.host.name} --refresh tells what is there",
            reason=ABSENT,
        )
    return domain


def power_of(link: Link, domain: libvirt.virDomain, uuid: str) -> Power:
    """Ask for the power of a domain."""
    state, _ = link.call(f"looking at machine {uuid}", lambda: domain.state(0))
    return POWER.get(state, Power.UNKNOWN)


def _power_off(link: Link, domain: libvirt.virDomain, uuid: str) -> None:
    try:
        link.attempt(f"powering machine {uuid} off", domain.destroy, ABSENT)
    except RemoteFailed as error:
        if error.reason != REFUSED or is_active(link, domain, uuid):
            raise


def is_active(link: Link, domain: libvirt.virDomain, uuid: str) -> bool:
    """Ask whether a domain runs, be it paused."""
    return bool(link.attempt(f"looking at machine {uuid}", domain.isActive, ABSENT))


def _those(link: Link, kind: int) -> set[str]:
    found = link.ask("listing the machines", lambda on: on.listAllDomains(kind))
    return {domain.UUIDString() for domain in found}


def _definition(link: Link, domain: libvirt.virDomain) -> str:
    """Give the XML of a domain, as it will be from its next start on."""
    doing = f"reading the definition of machine {domain.UUIDString()}"
    inactive = libvirt.VIR_DOMAIN_XML_INACTIVE
    xml: str = link.call(doing, lambda: domain.XMLDesc(inactive), limit=link.limits.ask)
    return xml
