"""What is said of servers, said otherwise: on record, and on its host, which is the truth."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain import deed
from vmctl.domain.edits import differences, needs_host, too_many
from vmctl.domain.operation import Event, NewOperation, OperationState
from vmctl.domain.plain import from_plain, to_plain
from vmctl.domain.record import AttemptState, Change
from vmctl.domain.spec import Secrets, ServerSpec
from vmctl.errors import Conflict, HostError, NameTaken, NotFound, UsageError, VmctlError
from vmctl.sagas.setting import PASSWORD, SET, Overtaken, overtaken
from vmctl.services.acting import Errand, act, admitted, carry_out, standing
from vmctl.services.password import hash_password
from vmctl.services.recovery import resume
from vmctl.services.running import does_not_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.domain.edits import Edits
    from vmctl.domain.record import Server
    from vmctl.ports import Store
    from vmctl.services.recovery import Recovery

_LIVE = (AttemptState.HELD, AttemptState.BEGUN)
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """What a change leaves to be known: the host that is owed the news, or a name that waits.

    `domain` is what the server's domain is called until it is off.
    """

    owed: str | None = None
    domain: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A change that was looked through: only its host, or a race, can be in its way."""

    server: Server
    edits: Edits
    old: ServerSpec
    new: ServerSpec

    @property
    def params(self) -> Mapping[str, object]:
        """What whoever resumes it must know."""
        return {"before": to_plain(self.old), "spec": to_plain(self.new)}

    @property
    def detail(self) -> dict[str, object]:
        """What the events tell of it."""
        return {"set": {name: to_plain(now) for name, (_, now) in self.differences.items()}}

    @property
    def differences(self) -> dict[str, tuple[object, object]]:
        """What it changes, and from what to what."""
        return differences(self.old, self.new)


def planned(store: Store, server: Server, edits: Edits) -> Plan:
    """Look a change through; raises what is in its way as far as the record can tell."""
    deed.refuse_locked(server.name, server.locked)
    if server.deleted is not None:
        raise Conflict(f"server {server.name} cannot be set: it is deleted")
    old = from_plain(ServerSpec, server.spec)
    new = edits.on(old)
    problems = [*edits.problems(), *filter(None, [too_many(new)])]
    if problems:
        raise UsageError("\n".join(problems))
    if new.name != server.name:
        _refuse_name(store, new.name)
    return Plan(server=server, edits=edits, old=old, new=new)


def set_server(
    recovery: Recovery,
    plan: Plan,
    *,
    reason: str | None = None,
    check: Callable[[], None] = lambda: None,
) -> Edited:
    """Change a server's record and the one in its domain, or neither.

    Where its host does not answer, what is only said of a server changes on record, and the host
    is owed the news; what a host does is not changed without it.
    """
    for _ in range(_TRIES):
        try:
            return _set_once(recovery, plan, reason, check)
        except Overtaken as error:
            fault = error
            store = recovery.world.store
            plan = planned(store, store.server(plan.server.id), plan.edits)
    raise fault


def _set_once(
    recovery: Recovery, plan: Plan, reason: str | None, check: Callable[[], None]
) -> Edited:
    if not plan.differences:
        return Edited()
    server, store = plan.server, recovery.world.store
    live = [one for one in store.attempts(server.id) if one.state in _LIVE]
    if server.launched is None or not live:
        _on_record(recovery, plan, reason)
        return Edited()
    try:
        server = admitted(recovery, server, deed.SET)
        if plan.new.name != plan.old.name:
            _refuse_domain(recovery, server, plan.new.name)
    except (HostError, NotFound) as error:
        _refuse_without_host(plan, error)
        _on_record(recovery, plan, reason, owed=(live[-1].host, error))
        return Edited(owed=live[-1].host)
    errand = Errand(
        deed=deed.SET,
        saga=SET,
        params=plan.params,
        reason=reason,
        detail=plan.detail,
        check=check,
    )
    server = carry_out(recovery, server, errand)
    _pay(recovery, server)
    attempts = store.attempts(server.id)
    called = next(one.plan.get("name") for one in attempts if one.number == server.attempt)
    renamed = plan.new.name != plan.old.name
    return Edited(domain=str(called) if renamed and called not in (None, server.name) else None)


def set_password(
    recovery: Recovery,
    server: Server,
    password: str,
    *,
    reason: str | None = None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Have a server's guest take a password; it is kept nowhere, and goes there as its hash."""
    use = from_plain(ServerSpec, server.spec).image
    windows = use.properties.get("os_type") == "windows"
    user = use.properties.get("os_admin_user") or ("Administrator" if windows else "root")
    # Windows' agent takes no hash.
    secrets = (
        Secrets(password=password) if windows else Secrets(password_hash=hash_password(password))
    )
    errand = Errand(
        deed=deed.SET_PASSWORD,
        saga=PASSWORD,
        params={"user": user},
        secrets=secrets,
        reason=reason,
        check=check,
    )
    act(recovery, server, errand)


def _refuse_name(store: Store, name: str) -> None:
    """Raise NameTaken where a server bears that name; the end of the change looks once more."""
    for other in store.servers():
        if other.name == name and other.holds_name:
            raise NameTaken(
                f"a server named {name} is there already ({other.id})",
                hint=f"choose another name: vmctl server show {name}",
            )


def _refuse_domain(recovery: Recovery, server: Server, name: str) -> None:
    """Raise NameTaken where another domain on its host is called so: it could never follow."""
    _, host = standing(recovery, server)
    for other in recovery.world.hypervisors.on(host).machines():
        if other.name == name and other.uuid != server.id:
            raise NameTaken(
                f"{host.name}: a machine named {name} is there already, with uuid {other.uuid}",
                hint=f"take another name; on {host.name}, `virsh dumpxml {other.uuid}` tells whose"
                " it is",
            )


def _refuse_without_host(plan: Plan, error: HostError | NotFound) -> None:
    """Raise the error unless what changes may be told to the host later."""
    if isinstance(error, HostError) and not does_not_answer(error):
        raise error
    needed = needs_host(plan.old, plan.new)
    if needed and isinstance(error, HostError):
        raise HostError(
            error.host,
            f"server {plan.server.name}: its {' and '.join(needed)} cannot be changed without its"
            f" host: {error.message}",
            hint=error.hint,
            reason=error.reason,
        ) from error
    if needed:
        raise error


def _on_record(
    recovery: Recovery,
    plan: Plan,
    reason: str | None,
    *,
    owed: tuple[str, VmctlError] | None = None,
) -> None:
    """Change the record alone; the host that is named is owed the news."""
    store, server = recovery.world.store, plan.server
    host = server.host if owed is None else owed[0]
    event = Event(
        actor=recovery.actor,
        action=deed.SET.event,
        result="done",
        server=server.id,
        host=host,
        detail={
            **plan.detail,
            **({"reason": reason} if reason else {}),
            **({"owed": [host]} if owed else {}),
        },
    )
    new = NewOperation(
        kind=deed.SET.name,
        saga=SET.name,
        version=SET.version,
        owner=recovery.owner,
        server=server.id,
        host=host,
        params={**plan.params, "alone": True},
    )
    with recovery.world.leases.hold(str(uuid.uuid4())) as lease:
        token = store.begin(lease, new, expect=deed.SET.states)
        try:
            if from_plain(ServerSpec, store.server(server.id).spec) != plan.old:
                raise overtaken(server.name)
            store.finish(
                token,
                OperationState.OWED if owed else OperationState.DONE,
                change=Change(name=plan.new.name, spec=to_plain(plan.new)),
                fault=str(owed[1]) if owed else None,
                event=event,
            )
        except (NameTaken, Overtaken) as error:
            store.finish(token, OperationState.UNWOUND, fault=str(error))
            raise


def _pay(recovery: Recovery, server: Server) -> None:
    """Be done with what the host was owed to hear of this server before."""
    for operation in recovery.world.store.operations(unfinished=True, server=server.id):
        if operation.saga == SET.name and operation.state is OperationState.OWED:
            with suppress(Conflict):
                resume(recovery, operation)
