"""What is said of a server that stands, said otherwise; and its password, which nobody keeps.

The server's name goes to it in the transaction that ends the workflow, for names are given away
there. Until then all is on its host alone, and can be undone.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.edits import told_name
from vmctl.domain.plain import from_plain
from vmctl.domain.record import Power
from vmctl.domain.server_record import ServerRecord, to_xml
from vmctl.domain.spec import ServerSpec
from vmctl.errors import Conflict, RemoteFailed, RemoteTimedOut, VmctlError
from vmctl.sagas.power import own_machine
from vmctl.sagas.presence import SETTLING, is_ours
from vmctl.sagas.saga import Saga, Step

if TYPE_CHECKING:
    from vmctl.domain.machine import Machine
    from vmctl.sagas.work import Work


class Overtaken(Conflict):
    """Somebody else has changed the server since the change was thought of."""


def look(work: Work) -> None:
    """See that the server is what the change was made of: from here on nobody changes it."""
    now = work.world.store.server(work.build.server)
    if from_plain(ServerSpec, now.spec) != _before(work):
        raise overtaken(now.name)


def overtaken(name: str) -> Overtaken:
    """Return the error for a change that was thought of too early."""
    return Overtaken(
        f"server {name} is being changed by others all the time: nothing was changed",
        hint="try again",
    )


def name(work: Work) -> None:
    """Have the domain bear the server's name, if it is off; one that runs follows when it is."""
    machine = _present(work)
    if machine is not None:
        _call(work, machine, work.spec.name)


def name_back(work: Work) -> None:
    """Have the domain be called what it was."""
    machine = _left(work)
    if machine is not None:
        _call(work, machine, work.build.name)


def write(work: Work) -> None:
    """Have the domain's own record say what the server is to be."""
    machine = _present(work)
    if machine is not None:
        _write(work, work.spec, machine.name)


def write_back(work: Work) -> None:
    """Have the domain's own record say what it said."""
    if _left(work) is not None:
        _write(work, _before(work), work.build.name)


def promise(work: Work) -> None:
    """Have the DHCP of the host's networks know the server by its hostname."""
    if told_name(work.spec) != told_name(_before(work)):
        _promise(work, told_name(work.spec))


def promise_back(work: Work) -> None:
    """Have them know it as they did."""
    if told_name(work.spec) != told_name(_before(work)):
        _promise(work, told_name(_before(work)))


def autostart(work: Work) -> None:
    """Have the host start it by itself, or not any more."""
    if work.spec.autostart != _before(work).autostart and _present(work) is not None:
        work.hypervisor.ensure_autostart(work.build.server, on=work.spec.autostart)


def autostart_back(work: Work) -> None:
    """Have the host start it by itself, if it did."""
    before = _before(work)
    if work.spec.autostart != before.autostart and _left(work) is not None:
        work.hypervisor.ensure_autostart(work.build.server, on=before.autostart)


def all_back(work: Work) -> None:
    """Have all as it was, and once more when what was in flight has landed."""
    name_back(work)
    work.world.sleep(SETTLING)
    for back in (autostart_back, promise_back, write_back, name_back):
        back(work)


def tell(work: Work) -> None:
    """Tell a host what was said of its server while it did not answer."""
    if _left(work) is not None:
        name(work)
        write(work)


def set_password(work: Work) -> None:
    """Have the agent in the guest set the password; whoever did not begin it does not know it."""
    told = work.secrets
    user = str(work.params.get("user"))
    own_machine(work)
    if told.password_hash is None and told.password is None:
        raise VmctlError(
            f"nobody knows the new password of {user} on server {work.spec.name} any more: whether"
            " its guest has taken it is not known",
            hint=f"set it again: vmctl server set --password - {work.spec.name}",
        )
    secret = told.password_hash or told.password or ""
    arguments = {
        "username": user,
        "password": base64.b64encode(secret.encode()).decode(),
        "crypted": told.password_hash is not None,
    }
    try:
        work.hypervisor.agent(work.build.server, "guest-set-user-password", arguments)
    except RemoteFailed as error:
        ends = "may not be set" if isinstance(error, RemoteTimedOut) else "was not set"
        raise Conflict(
            f"the password of {user} on server {work.spec.name} {ends}: {error.message}",
            hint=error.hint,
        ) from error


def _before(work: Work) -> ServerSpec:
    """Give the spec as it was."""
    before = work.params.get("before")
    return from_plain(ServerSpec, before) if isinstance(before, dict) else work.spec


def _present(work: Work) -> Machine | None:
    """Find the server's domain; None where there is none, Conflict where it is another's."""
    return own_machine(work) if work.hypervisor.machine(work.build.server) is not None else None


def _left(work: Work) -> Machine | None:
    """Find the server's domain, if it is there and its own: there is nothing else to undo."""
    machine = work.hypervisor.machine(work.build.server)
    return machine if machine is not None and is_ours(work, machine) else None


def _call(work: Work, machine: Machine, wanted: str) -> None:
    free = machine.power is Power.SHUTDOWN and not machine.managed_save
    if free and machine.name != wanted:
        work.hypervisor.ensure_named(work.build.server, wanted)


def _write(work: Work, spec: ServerSpec, domain: str) -> None:
    build = replace(work.build, name=domain)
    record = ServerRecord(owner=work.world.store.uuid(), spec=spec, build=build)
    work.hypervisor.ensure_record(work.build.server, to_xml(record))


def _promise(work: Work, known_as: str) -> None:
    for card in work.build.cards:
        if card.reserved:
            work.hypervisor.ensure_reservation(
                card.source, mac=card.mac, addresses=card.addresses, name=known_as
            )


SET: Saga[Work] = Saga(
    name="server-set",
    version=2,
    steps=(
        Step(name="look", do=look),
        Step(name="name", do=name, undo=all_back),
        Step(name="record", do=write, undo=write_back),
        Step(name="dhcp", do=promise, undo=promise_back),
        Step(name="autostart", do=autostart, undo=autostart_back),
    ),
)

OLDER_SET: Saga[Work] = replace(SET, version=1, steps=SET.steps[1:])
"""As it was when it did not look first."""

PASSWORD: Saga[Work] = Saga(
    name="server-set-password", version=1, steps=(Step(name="password", do=set_password),)
)
