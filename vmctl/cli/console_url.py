"""``vmctl console url show``: a server's screen for one viewer, through a port of this machine."""

from __future__ import annotations

import secrets
import string
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import holder
from vmctl.cli.output import Record, render
from vmctl.cli.server_words import refuse_doubled, stamp, the_server, where_it_is
from vmctl.errors import Conflict, HostError, NotFound, RemoteFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.cli.context import Context
    from vmctl.domain.console import Screen
    from vmctl.domain.record import Server
    from vmctl.ports import Hypervisor

_PASSWORD = 8  # VNC heeds no more of it
_SIGNS = string.ascii_letters + string.digits
_PATIENCE = 300

_VNC = "vmctl console url show --vnc SERVER"
_OTHERS = {
    "novnc": f"{_VNC}, and a VNC viewer",
    "xvpvnc": f"{_VNC}, and a VNC viewer",
    "spice": f"{_VNC}: servers' screens are served by that",
    "spice-direct": f"{_VNC}: servers' screens are served by that",
    "rdp": f"{_VNC}; RDP is a matter of the guest's own",
    "serial": "vmctl console attach SERVER",
    "mks": f"{_VNC}; MKS is VMware's",
}
"""Openstack's other ways, and what to do instead."""


def _others(function: Callable[..., int | None]) -> Callable[..., int | None]:
    for name in reversed(_OTHERS):
        option = click.option(f"--{name}", is_flag=True, hidden=True)
        function = option(function)
    return function


@holder
@click.argument("server", metavar="SERVER")
@click.option("--vnc", is_flag=True, help="by VNC, which is the only way and needs no word")
@_others
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(1, 65535),
    help="at this port of this machine (one that is free)",
)
@click.option(
    "--timeout",
    metavar="S",
    type=click.IntRange(min=1),
    default=_PATIENCE,
    help=f"wait so many seconds for a viewer ({_PATIENCE}); the password is good for as long",
)
def console_url_show(
    context: Context, *, server: str, vnc: bool, port: int | None, timeout: int, **others: bool
) -> None:
    """Open a way to a server's screen for one viewer, and print where it is with its password.

    It stays until that viewer has gone, or ^C, and goes through the ssh connection to the host: to
    its own 127.0.0.1, where nobody else's machine comes. The password is made for this once: as
    soon as it has let in a viewer it lets in nobody any more.
    """
    from vmctl.adapters.door import HERE, LocalDoor
    from vmctl.cli.interrupts import ended_by_signals
    from vmctl.services.viewing import serve

    del vnc
    for name, said in others.items():
        if said:
            spelled = name.replace("_", "-")
            raise UsageError(f"--{spelled}: there is none here", hint=_OTHERS[spelled])
    found = the_server(context, server)
    refuse_doubled(context, found)
    found, host = where_it_is(context, found)
    hypervisor = context.app.hypervisors.on(host)
    shell = context.app.shells.shell(host)
    screen = _screen(hypervisor, found)
    # What stands in the way is told now, not to the viewer.
    shell.reach(screen.address, screen.port).close()
    password = "".join(secrets.choice(_SIGNS) for _ in range(_PASSWORD))
    context.log.hide(password)

    def received() -> None:
        hypervisor.end_screen_password(found.id, password)
        context.say("a viewer is connected: nobody else is let in by this password")

    with (
        ended_by_signals(),
        LocalDoor(lambda: shell.reach(screen.address, screen.port), port=port or 0) as door,
    ):
        try:
            hypervisor.ensure_screen_password(found.id, password, seconds=timeout)
            fields = {
                "protocol": "vnc",
                "type": "vnc",
                "url": f"vnc://{HERE}:{door.port}",
                "password": password,
                "expires_at": stamp(time.time() + timeout),
            }
            context.write(render(Record(fields=fields), context.output, context.screen))
            context.say(f"waiting for a viewer, such as: vncviewer {HERE}::{door.port}")
            serve(
                door,
                patience=timeout,
                clock=time.monotonic,
                sleep=time.sleep,
                received=received,
            )
        finally:
            # It ends by itself as well; a host that is gone cannot be asked.
            with suppress(HostError):
                hypervisor.end_screen_password(found.id, password)


def _screen(hypervisor: Hypervisor, server: Server) -> Screen:
    from vmctl.domain.console import NO_SCREEN

    name = server.name
    try:
        return hypervisor.screen(server.id)
    except RemoteFailed as error:
        match error.reason:
            case "refused":
                what = f"server {name} does not run: its screen is dark"
                raise Conflict(what, hint=f"vmctl console log show {name}") from error
            case "absent":
                what = f"server {name} is not on {error.host}: its domain is gone"
                raise NotFound(what, hint=f"vmctl server show {name} --refresh") from error
            case reason if reason == NO_SCREEN:
                what = f"server {name} has no screen"
                raise NotFound(what, hint=f"vmctl console attach {name}") from error
        raise
