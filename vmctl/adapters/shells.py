"""The shell of each host: ssh, or this machine; one of each for the whole of a command."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING

from vmctl.adapters.local_shell import LocalShell
from vmctl.adapters.ssh_answers import KeptAnswers
from vmctl.adapters.ssh_config import Route, ask_ssh, resolve

if TYPE_CHECKING:
    from vmctl.adapters.ssh import Jumps, SshShell
    from vmctl.domain.host import Host

CONNECT_LIMIT = 5.0
"""Seconds that a host has to let us in."""


class HostShells:
    """Makes each host's shell once, and closes them all at the end."""

    def __init__(
        self, *, connect_limit: float = CONNECT_LIMIT, cache_folder: str | None = None
    ) -> None:
        self.connect_limit = connect_limit
        self._lock = threading.Lock()
        self._shells: dict[str, SshShell | LocalShell] = {}
        self._jumps: Jumps | None = None
        # Many hosts share a jump host: what ssh says of it is asked once.
        self._kept = KeptAnswers(cache_folder, ask_ssh) if cache_folder is not None else None
        ask = ask_ssh if self._kept is None else self._kept.ask
        self._ask = functools.lru_cache(maxsize=None)(ask)

    def shell(self, host: Host) -> SshShell | LocalShell:
        """Return the shell of a host; nothing is connected yet."""
        with self._lock:
            if host.name not in self._shells:
                self._shells[host.name] = self._make(host)
            return self._shells[host.name]

    def ssh(self, host: Host) -> SshShell:
        """Return the shell of a host that is reached by ssh."""
        shell = self.shell(host)
        if isinstance(shell, LocalShell):
            raise TypeError(f"{host.name} is this machine: there is no ssh to it")
        return shell

    def route(self, host: Host) -> Route:
        """Return the way to a host, as the ssh configuration and the inventory have it."""
        return resolve(host, self._ask)

    def close(self) -> None:
        """Close every connection, without waiting for any that hangs."""
        if self._kept is not None:
            self._kept.save()
        with self._lock:
            shells, self._shells = self._shells, {}
            jumps, self._jumps = self._jumps, None
        for shell in shells.values():
            shell.close()
        if jumps is not None:
            jumps.close()

    def _make(self, host: Host) -> SshShell | LocalShell:
        if host.connection == "local":
            return LocalShell(host)
        # paramiko costs ten times an empty python: only who connects pays for it.
        from vmctl.adapters.ssh import Jumps, SshShell

        if self._jumps is None:
            self._jumps = Jumps()
        return SshShell(
            host, lambda: self.route(host), self._jumps, connect_limit=self.connect_limit
        )
