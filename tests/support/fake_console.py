"""The consoles and screens of machines on hosts that are folders.

What is typed at a console is said back, as a tty does; of a screen there is only its password.
"""

from __future__ import annotations

import socket
import threading

from tests.support.fake_effects import State
from vmctl.domain.console import CONSOLE_HELD, NO_CONSOLE, NO_SCREEN, ConsoleEnd, Screen
from vmctl.domain.machine import Machine
from vmctl.domain.record import Power
from vmctl.errors import RemoteFailed


class FakeConsole:
    """A console of one process: a socket whose other end is the machine."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._how: ConsoleEnd | None = None
        self.over = False
        threading.Thread(target=self._echo, daemon=True).start()

    def fileno(self) -> int:
        return self._ours.fileno()

    def read(self) -> bytes | None:
        try:
            return self._ours.recv(4096) or None
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> int:
        try:
            return self._ours.send(data)
        except OSError:
            return 0

    def end(self) -> ConsoleEnd | None:
        return self._how

    def close(self) -> None:
        self.over = True
        self._ours.close()

    def cut(self, how: ConsoleEnd) -> None:
        """End it from the other side."""
        if not self.over:
            self.over, self._how = True, how
            self._theirs.shutdown(socket.SHUT_RDWR)

    def _echo(self) -> None:
        with self._theirs:
            while said := self._theirs.recv(4096):
                try:
                    self._theirs.sendall(said.replace(b"\r", b"\r\n"))
                except OSError:
                    return


class FakeConsoles:
    """Who has which console."""

    def __init__(self) -> None:
        self._held: dict[str, FakeConsole] = {}

    def attach(
        self, host: str, uuid: str, machine: Machine | None, xml: str, *, force: bool
    ) -> FakeConsole:
        if machine is None:
            raise RemoteFailed(host, f"{host}: machine {uuid} is not there", reason="absent")
        if machine.power not in (Power.RUNNING, Power.PAUSED):
            raise RemoteFailed(host, f"{host}: {uuid}: domain is not running", reason="refused")
        if "<serial" not in xml:
            raise RemoteFailed(host, f"{host}: {uuid} has no serial port", reason=NO_CONSOLE)
        held = self._held.get(uuid)
        if held is not None and not held.over:
            if not force:
                raise RemoteFailed(
                    host, f"{host}: somebody has the console of {uuid}", reason=CONSOLE_HELD
                )
            held.cut(ConsoleEnd.TAKEN)
        self._held[uuid] = FakeConsole()
        return self._held[uuid]

    def is_held(self, uuid: str) -> bool:
        return uuid in self._held and not self._held[uuid].over

    def powered_off(self, uuid: str) -> None:
        """A machine that is off closes its console."""
        if uuid in self._held:
            self._held[uuid].cut(ConsoleEnd.CLOSED)

    def lose(self, uuid: str) -> None:
        """Have the connection to the host end."""
        self._held[uuid].cut(ConsoleEnd.LOST)


def screen_of(host: str, uuid: str, machine: State | None) -> Screen:
    if machine is None:
        raise RemoteFailed(host, f"{host}: machine {uuid} is not there", reason="absent")
    if not machine["on"]:
        raise RemoteFailed(host, f"{host}: machine {uuid} does not run", reason="refused")
    if "type='vnc'" not in machine["xml"]:
        raise RemoteFailed(host, f"{host}: {uuid} has no screen", reason=NO_SCREEN)
    return Screen(address="127.0.0.1", port=machine.get("screen port", 5900))
