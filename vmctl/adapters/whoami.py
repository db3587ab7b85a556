"""Who gives a command, as far as this machine knows."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from vmctl.domain.operation import Actor

if TYPE_CHECKING:
    from collections.abc import Mapping


def actor(environ: Mapping[str, str]) -> Actor:
    """Name the login, whoever stands behind sudo, and the machine that the command came from.

    The login is the kernel's word, not the environment's: anyone can set USER.
    """
    client = environ.get("SSH_CONNECTION", "").split(" ")[0]
    return Actor(
        login=_login(),
        sudo_user=environ.get("SUDO_USER"),
        client=f"{client} via {socket.gethostname()}" if client else socket.gethostname(),
    )


def _login() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
