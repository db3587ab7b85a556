"""A machine's screen, by VNC, and the password that it asks for."""

from __future__ import annotations

import secrets
import string
import time
from typing import TYPE_CHECKING

import libvirt

from vmctl.adapters.hypervisor import domains, elements
from vmctl.adapters.hypervisor.link import ABSENT, REFUSED
from vmctl.domain.console import NO_SCREEN, Screen
from vmctl.errors import RemoteFailed

if TYPE_CHECKING:
    from vmctl.adapters.hypervisor.link import Link
    from vmctl.ports import Shell

_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - nothing is bound
_LONGEST = 8
_NOW = "date +%s"
_NOW_LIMIT = 5.0
_PAST = "1970-01-01T00:00:01"


def screen(link: Link, uuid: str) -> Screen:
    """Say where a machine's screen is served."""
    _, found = _graphics(link, uuid)
    port = found.get("port", "")
    listens = found.find("listen")
    address = found.get("listen", "" if listens is None else listens.get("address", ""))
    if not port.isdecimal() or int(port) == 0:
        name = link.host.name
        raise RemoteFailed(
            name, f"{name}: the screen of machine {uuid} has no port there", reason=NO_SCREEN
        )
    return Screen(address=_HERE.get(address, address), port=int(port))


def set_password(link: Link, shell: Shell, uuid: str, password: str, *, seconds: float) -> None:
    """Have a machine's screen ask for this password, and take it for so many seconds."""
    if not 0 < len(password) <= _LONGEST:
        raise ValueError(f"a password of VNC has 1 to {_LONGEST} characters")
    # The host's own clock: it is QEMU there that heeds the moment.
    said = shell.run(_NOW, timeout=_NOW_LIMIT).text.strip()
    if not said.isdecimal():
        name = link.host.name
        raise RemoteFailed(name, f"{name}: it does not tell the time", reason="clock")
    end = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(said) + max(seconds, 1)))
    _update(link, uuid, password, end)


def end_password(link: Link, uuid: str, password: str) -> None:
    """Have a machine's screen take that password no more; another one is left as it is."""
    try:
        _, found = _graphics(link, uuid)
    except RemoteFailed as error:
        if error.reason not in (ABSENT, REFUSED, NO_SCREEN):
            raise
        return
    if found.get("passwd") == password:
        alphabet = string.ascii_letters + string.digits
        fresh = "".join(secrets.choice(alphabet) for _ in range(_LONGEST))
        _update(link, uuid, fresh, _PAST)


def _update(link: Link, uuid: str, password: str, end: str) -> None:
    domain, found = _graphics(link, uuid)
    found.set("passwd", password)
    found.set("passwdValidTo", end)
    xml = elements.write(found)
    link.call(
        f"setting the password of the screen of machine {uuid}",
        lambda: domain.updateDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE),
        limit=link.limits.ask,
    )


def _graphics(link: Link, uuid: str) -> tuple[libvirt.virDomain, elements.Element]:
    """Find a running machine and its VNC server, with the password that it has now."""
    name, doing = link.host.name, f"looking at the screen of machine {uuid}"
    domain = domains.find(link, uuid)
    if domain is None:
        raise RemoteFailed(name, f"{name}: machine {uuid} is not defined there", reason=ABSENT)
    if not link.ask(doing, lambda _: domain.isActive()):
        raise RemoteFailed(name, f"{name}: machine {uuid} does not run", reason=REFUSED)
    xml = link.ask(doing, lambda _: domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))
    found = elements.read(xml).find("devices/graphics[@type='vnc']")
    if found is None:
        raise RemoteFailed(
            name, f"{name}: machine {uuid} has no screen that VNC shows", reason=NO_SCREEN
        )
    return domain, found
