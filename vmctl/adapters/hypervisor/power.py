"""Domains that stand still, sleep on disk or get another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.adapters.hypervisor.domains import existing, find, is_active, name_taken, power_of
from vmctl.adapters.hypervisor.link import ABSENT, REFUSED
from vmctl.domain.record import Power
from vmctl.errors import RemoteFailed

if TYPE_CHECKING:
    from vmctl.adapters.hypervisor.link import Link

_SAVING = 1800.0
"""Seconds that writing a guest's memory may take."""


def ensure_paused(link: Link, uuid: str) -> None:
    """Have a domain that runs stand still."""
    domain = existing(link, uuid)
    if power_of(link, domain, uuid) is Power.RUNNING:
        link.attempt(f"pausing machine {uuid}", domain.suspend, REFUSED)
    _see_paused(link, uuid)


def ensure_saved(link: Link, uuid: str) -> None:
    """Have a domain's memory saved on its host, and the domain off."""
    domain = existing(link, uuid)
    doing = f"saving the memory of machine {uuid}"
    if is_active(link, domain, uuid):
        link.call(doing, lambda: domain.managedSave(0), limit=_SAVING)
    if not link.call(doing, lambda: domain.hasManagedSaveImage(0)):
        raise RemoteFailed(
            link.host.name,
            f"{link.host.name}: machine {uuid} is off, and nothing of its memory was saved",
            hint=f"on {link.host.name}: /var/log/libvirt/qemu/{domain.name()}.log tells why",
            reason="not-saved",
        )


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
