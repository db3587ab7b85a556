"""What the record keeps of a server's making, and the work on it taken up again from that."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from vmctl.domain.build import Build
from vmctl.domain.network import Network
from vmctl.domain.plain import from_plain, to_plain
from vmctl.domain.spec import GroupUse, Secrets, ServerSpec
from vmctl.sagas.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.domain.host import Host
    from vmctl.domain.operation import Token
    from vmctl.domain.record import Attempt, Server
    from vmctl.sagas.work import World

T = TypeVar("T")


def create_params(
    networks: Mapping[str, Network], groups: Mapping[str, GroupUse]
) -> Mapping[str, object]:
    """Give what a create's operation keeps for whoever resumes it: NewOperation's `params`."""
    return {"networks": to_plain(networks), "groups": to_plain(groups)}


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
