"""What a stream that cannot start does to the connection that others use."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.unit.transports.test_hostkeys import ED
from vmctl.adapters import ssh
from vmctl.adapters.ssh_config import Hop, Route
from vmctl.adapters.ssh_connect import CHANNELS, Entry, Link
from vmctl.domain.host import Host
from vmctl.errors import HostUnreachable, RemoteTimedOut

if TYPE_CHECKING:
    from fabric import Connection
    from paramiko import Transport


class Healthy:
    """A transport that is up, and has no session to give."""

    def is_active(self) -> bool:
        return True

    def open_session(self, *, timeout: float) -> object:
        raise EOFError(timeout)


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    """The connections that were made, in order."""
    links: list[Link] = []

    def enter(_entry: Entry) -> Link:
        transport = cast("Transport", Healthy())
        links.append(Link(connection=cast("Connection", None), transport=transport, key=ED))
        return links[-1]

    monkeypatch.setattr(ssh, "enter", enter)
    return links


def shell() -> ssh.SshShell:
    route = Route(hops=(Hop(alias="h", hostname="h"),))
    host = Host(name="h", address="h")
    return ssh.SshShell(host, lambda: route, ssh.Jumps(), connect_limit=0.1)


def test_a_busy_connection_is_kept(entered: list[Link]) -> None:
    busy = shell()
    busy.verified_key()
    for _ in range(CHANNELS):
        entered[0].slots.acquire()

    with pytest.raises(RemoteTimedOut, match="no session on its connection was free"):
        busy.open("cat")

    busy.verified_key()
    assert len(entered) == 1


def test_a_connection_that_fails_is_not_used_again(entered: list[Link]) -> None:
    failing = shell()

    with pytest.raises(HostUnreachable):
        failing.open("cat")

    failing.verified_key()
    assert len(entered) == 2
