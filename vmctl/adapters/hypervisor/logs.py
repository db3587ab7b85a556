"""The parts of a console log: virtlogd moves full ones aside, and libvirt does not hear of it."""

from __future__ import annotations

import logging
import shlex
from itertools import count
from typing import TYPE_CHECKING

from vmctl.errors import HostError

if TYPE_CHECKING:
    from vmctl.adapters.hypervisor.volumes import HostPool
    from vmctl.ports import Shell

log = logging.getLogger(__name__)

_LIMIT = 5.0


def parts(pool: HostPool, shell: Shell, name: str, *, moved: bool) -> tuple[str, ...]:
    """Name the volumes that a log is in, the oldest first.

    The pool is read anew where there is a part of which libvirt does not know: the login may ask
    for a file by its name even where it may not list the folder.
    """
    found = pool.find(name)
    if found is None:
        return ()
    known = _older(pool, name)
    if (moved and not known) or _there(shell, f"{found.path}.{len(known)}"):
        try:
            pool.refresh()
        except HostError as error:
            # Another job has the pool. What is known is better than nothing.
            log.debug("%s", error.message)
        known = _older(pool, name)
    return (*reversed(known), name)


def _older(pool: HostPool, name: str) -> list[str]:
    known: list[str] = []
    for number in count():
        part = f"{name}.{number}"
        if pool.find(part) is None:
            break
        known.append(part)
    return known


def _there(shell: Shell, path: str) -> bool:
    try:
        return shell.run(f"test -e {shlex.quote(path)}", timeout=_LIMIT).exit_code == 0
    except HostError as error:
        log.debug("%s", error.message)
        return False
