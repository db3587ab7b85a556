"""Taking a server off its host: for good, or what is left of an attempt that was given up.

Autostart goes first: a host that returns must not boot what is being deleted. The domain goes
last, under the lease: until then others see its room as taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.errors import Conflict
from vmctl.sagas import presence
from vmctl.sagas.saga import Saga, Step

if TYPE_CHECKING:
    from vmctl.sagas.work import Work


def let_go(work: Work) -> None:
    """Have the host not start it by itself; Conflict where the domain is not this server's."""
    if presence.is_anothers(work):
        raise Conflict(
            f"{work.host.name}: the domain {work.build.server} there does not say that it is"
            f" server {work.spec.name}: its record is another's, or gone",
            hint=f"look at it: virsh dumpxml {work.build.server}; once it is undefined, the delete"
            " can be resumed",
        )
    presence.stop_autostart(work)


_REST: tuple[Step[Work], ...] = (
    Step(name="off", do=presence.power_off),
    Step(name="volumes", do=presence.remove_volumes),
    Step(name="network", do=presence.remove_network),
    Step(name="undefine", do=presence.undefine),
)

DELETE: Saga[Work] = Saga(
    name="server-delete",
    version=1,
    steps=(Step(name="autostart", do=let_go, pivot=True), *_REST),
)

CLEANUP: Saga[Work] = Saga(
    name="cleanup",
    version=1,
    steps=(Step(name="autostart", do=presence.stop_autostart, pivot=True), *_REST),
)
"""What an attempt owes its host; a domain that is not its own is passed over."""
