"""What the record keeps of a server's making, and the work on it taken up again from that."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeVar

from vmctl.domain.build import Build
from vmctl.domain.network import Network
from vmctl.domain.plain import from_plain, to_plain
from vmctl.domain.spec import GroupUse, Secrets, ServerSpec
from vmctl.sagas import CREATE
from vmctl.sagas.power import REBOOT_HARD
from vmctl.sagas.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from vmctl.domain.host import Host
    from vmctl.domain.operation import Token
    from vmctl.domain.record import Attempt, Server
    from vmctl.ports import Store
    from vmctl.sagas.saga import Saga
    from vmctl.sagas.work import World

T = TypeVar("T")


def create_params(
    networks: Mapping[str, Network], groups: Mapping[str, GroupUse]
) -> Mapping[str, object]:
    """Give what a create's operation keeps for whoever resumes it: NewOperation's `params`."""
    return {"networks": to_plain(networks), "groups": to_plain(groups)}


def anew(store: Store, server: Server, saga: Saga[Work]) -> Mapping[str, object]:
    """Give what a start needs that is to make a server's filters and reservations once more.

    A hard reboot does, and every start of one that was moved by hand: nobody knows what its new
    host has of them. Nothing for any other deed.
    """
    moved = any(one.number > server.attempt for one in store.attempts(server.id))
    if saga.name != REBOOT_HARD.name and not moved:
        return {}
    made = (one for one in store.operations(server=server.id) if one.saga == CREATE.name)
    groups = next((one.params["groups"] for one in made if "groups" in one.params), {})
    return {"anew": True, "groups": groups}


def work_of(
    world: World,
    token: Token,
    server: Server,
    attempt: Attempt,
    host: Host,
    *,
    params: Mapping[str, object] | None = None,
    secrets: Secrets | None = None,
    claim: Callable[[Work], None] | None = None,
    settled: Callable[[Work], AbstractContextManager[None]] | None = None,
    peers: tuple[Host, ...] = (),
    tell: Callable[[str], None] = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> Work:
    """Take up the work on one attempt; to delete it takes neither params, secrets nor claim."""
    kept = params or {}
    wanted = kept.get("spec")  # what a deed makes of the server, if anything
    return Work(
        world=world,
        token=token,
        host=host,
        spec=from_plain(ServerSpec, wanted if isinstance(wanted, dict) else server.spec),
        build=from_plain(Build, attempt.plan),
        claim=claim or _never,
        settled=settled or (lambda _: nullcontext()),
        secrets=secrets or Secrets(),
        networks=_read(Network, kept.get("networks")),
        groups=_read(GroupUse, kept.get("groups")),
        peers=peers,
        params=kept,
        tell=tell,
        check=check,
    )


def _read(kind: Callable[..., T], plain: object) -> dict[str, T]:
    found = plain if isinstance(plain, dict) else {}
    return {name: from_plain(kind, each) for name, each in found.items()}


def _never(work: Work) -> None:
    raise AssertionError(f"nothing is to be defined for {work.build.name}")
