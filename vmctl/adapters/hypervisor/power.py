"""Domains that stand still, sleep on disk or get another name."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

import libvirt

from vmctl.adapters.hypervisor.domains import existing, find, is_active, name_taken, power_of
from vmctl.adapters.hypervisor.link import ABSENT, REFUSED
from vmctl.domain.record import Power
from vmctl.errors import RemoteFailed, RemoteTimedOut, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.adapters.hypervisor.link import Link

_SAVING = 1800.0
"""Seconds that writing a guest's memory may take."""

_PAUSE = 0.2


def ensure_paused(link: Link, uuid: str) -> None:
    """Have a domain that runs stand still."""
    domain = existing(link, uuid)
    if power_of(link, domain, uuid) is Power.RUNNING:
        link.attempt(f"pausing machine {uuid}", domain.suspend, REFUSED)
    _see_paused(link, uuid)


def ensure_saved(
    link: Link, uuid: str, check: Callable[[], None], stop: Callable[[], None]
) -> None:
    """Have a domain's memory saved on its host, and the domain off.

    The check is asked meanwhile; when it raises the save is stopped, over another connection.
    """
    domain = existing(link, uuid)
    doing = f"saving the memory of machine {uuid}"
    heard: list[VmctlError] = []

    def listen() -> None:
        try:
            check()
        except VmctlError as error:
            heard.append(error)
            stop()

    _join(link, domain, uuid, listen)
    try:
        if not heard and is_active(link, domain, uuid):
            # What slept is to run when it wakes, even if another save had halted it already.
            flags = libvirt.VIR_DOMAIN_SAVE_RUNNING
            saving = functools.partial(domain.managedSave, flags)
            link.call(doing, saving, limit=_SAVING, meanwhile=listen)
    except RemoteTimedOut:
        raise
    except RemoteFailed:
        if not heard:
            raise
    if heard:
        raise heard[0]
    if not link.call(doing, lambda: domain.hasManagedSaveImage(0)):
        raise RemoteFailed(
            link.host.name,
            f"{link.host.name}: machine {uuid} is off, and nothing of its memory was saved",
            hint=f"on {link.host.name}: /var/log/libvirt/qemu/{domain.name()}.log tells why",
            reason="not-saved",
        )


def _join(link: Link, domain: libvirt.virDomain, uuid: str, meanwhile: Callable[[], None]) -> None:
    """Wait for the end of a save that someone else began; their death does not end it."""
    until = time.monotonic() + _SAVING
    while _is_saving(link, domain, uuid):
        if time.monotonic() > until:
            raise RemoteTimedOut(
                link.host.name,
                f"{link.host.name}: the memory of machine {uuid} was still being saved after"
                f" {_SAVING:g} s",
                hint=f"on {link.host.name}: virsh domjobinfo {uuid}",
                reason="timeout",
            )
        meanwhile()
        time.sleep(_PAUSE)


def stop_saving(link: Link, uuid: str) -> None:
    """Have no memory of a domain being saved: libvirt lets it run on."""
    domain = find(link, uuid)
    if domain is None or not _is_saving(link, domain, uuid):
        return
    doing = f"stopping the save of machine {uuid}"
    link.attempt(doing, domain.abortJob, REFUSED, ABSENT)
    until = time.monotonic() + link.limits.act
    while _is_saving(link, domain, uuid) and time.monotonic() < until:
        time.sleep(_PAUSE)


def _is_saving(link: Link, domain: libvirt.virDomain, uuid: str) -> bool:
    doing = f"looking at the jobs of machine {uuid}"
    job = link.attempt(doing, domain.jobStats, REFUSED, ABSENT) or {}
    if job.get("type", libvirt.VIR_DOMAIN_JOB_NONE) == libvirt.VIR_DOMAIN_JOB_NONE:
        return False
    return bool(job.get(libvirt.VIR_DOMAIN_JOB_OPERATION) == libvirt.VIR_DOMAIN_JOB_OPERATION_SAVE)


def forget_saved(link: Link, uuid: str) -> None:
    """Have no saved memory of a domain that is off."""
    domain = find(link, uuid)
    doing = f"forgetting the saved memory of machine {uuid}"
    if domain is not None and link.attempt(doing, lambda: domain.hasManagedSaveImage(0), ABSENT):
        link.attempt(doing, lambda: domain.managedSaveRemove(0), ABSENT)


def ensure_named(link: Link, uuid: str, name: str) -> None:
    """Have a domain that is off bear this name; NameTaken if another bears it."""
    domain = existing(link, uuid)
    if domain.name() == name:
        return
    other = link.find(f"looking for machine {name}", lambda on: on.lookupByName(name))
    if other is not None:
        raise name_taken(link.host.name, name, other.UUIDString())
    link.call(f"naming machine {uuid} {name}", lambda: domain.rename(name, 0))


def _see_paused(link: Link, uuid: str) -> None:
    domain = existing(link, uuid)
    power = power_of(link, domain, uuid)
    if power is not Power.PAUSED:
        raise RemoteFailed(
            link.host.name,
            f"{link.host.name}: machine {uuid} was to be paused and is {power}",
            hint="vmctl server refresh tells what it is now",
            reason="not-paused",
        )
