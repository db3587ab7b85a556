"""A connection inside another is closed without a word, even while the outer one ends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from paramiko import Channel, RSAKey, ServerInterface, SSHException, Transport
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from vmctl.adapters.ssh_inner import InnerSocket


class Jump(ServerInterface):
    """An sshd that lets everybody in, and through to everywhere."""

    def check_auth_none(self, username: str) -> int:  # noqa: ARG002 - paramiko's own signature
        return AUTH_SUCCESSFUL

    def check_channel_direct_tcpip_request(
        self,
        chanid: int,  # noqa: ARG002 - likewise
        origin: tuple[str, int],  # noqa: ARG002 - likewise
        destination: tuple[str, int],  # noqa: ARG002 - likewise
    ) -> int:
        return OPEN_SUCCEEDED


@pytest.fixture
def outer() -> Iterator[Transport]:
    ours, theirs = socket.socketpair()
    server = Transport(theirs)
    server.add_server_key(RSAKey.generate(2048))
    server.start_server(event=threading.Event(), server=Jump())
    client = Transport(ours)
    client.start_client(timeout=10)
    client.auth_none("operator")
    yield client
    client.close()
    server.close()
    for one in (client, server):
        one.join(10)


def opened(outer: Transport) -> Channel:
    return outer.open_channel("direct-tcpip", ("inner", 22), ("", 0), timeout=10)


def closed_as_the_outer_ends(outer: Transport, one: InnerSocket | Channel) -> list[type]:
    """Close it from a thread that has seen the outer one live, and ends it before it speaks."""
    raised: list[type] = []

    def close() -> None:
        try:
            one.close()
        except (SSHException, EOFError, OSError) as error:
            raised.append(type(error))

    outer.clear_to_send_lock.acquire()
    thread = threading.Thread(target=close)
    thread.start()
    time.sleep(0.3)
    outer.close()
    outer.clear_to_send_lock.release()
    thread.join(10)
    assert not thread.is_alive()
    return raised


def test_a_bare_channel_fails_then(outer: Transport) -> None:
    assert closed_as_the_outer_ends(outer, opened(outer)) == [EOFError]


def test_an_inner_socket_is_closed_all_the_same(outer: Transport) -> None:
    channel = opened(outer)

    assert closed_as_the_outer_ends(outer, InnerSocket(channel)) == []
    assert channel.closed


def test_it_does_as_a_socket_does_for_whoever_connects_by_it(outer: Transport) -> None:
    inner = InnerSocket(opened(outer))
    inner.settimeout(0.1)

    assert inner.send(b"SSH-2.0-inner\r\n") == 15
    with pytest.raises(TimeoutError):
        inner.recv(1)
    assert not inner._closed  # paramiko asks its sockets so
    inner.close()
    inner.close()
    assert inner._closed
