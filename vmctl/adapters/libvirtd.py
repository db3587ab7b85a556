"""libvirt on each host: connections opened within a limit, alive or known to be dead.

libvirt itself waits for ever for a daemon that hangs. So the host's own virsh is asked first,
over ssh and with a limit there; then the opening happens in a thread that can be left behind.
"""

from __future__ import annotations

import ctypes
import re
import threading
from typing import TYPE_CHECKING

import libvirt

from vmctl.adapters import libvirt_wrapper
from vmctl.adapters.libvirt_errors import libvirt_errors
from vmctl.adapters.limited import Late, limited
from vmctl.domain.libvirt_uri import check_libvirt_uri
from vmctl.errors import (
    HostError,
    LoginRefused,
    RemoteFailed,
    RemoteTimedOut,
    UsageError,
)

if TYPE_CHECKING:
    from vmctl.adapters.shells import HostShells
    from vmctl.domain.completed import Completed
    from vmctl.domain.host import Host

SYSTEM = "qemu:///system"
OPEN_LIMIT = 10.0
AT_ONCE = 4
"""Connections to one host that are lent at a time; sshd lets in ten strangers at once."""
ASK_LIMIT = 5.0
_ALIVE_EACH, _ALIVE_TIMES = 5, 2
"""Fewer pings in vain than its ssh's own: libvirt reads what a dead ssh has said to the end, and a
jump host's may hold that open for as long as it likes.
"""

_TIMED_OUT = 124
_NEVER = 2**31 - 1
"""Milliseconds, the most there can be: 24 days."""

_RIGHTS = "let the login join the group libvirt there, or say `become: sudo` in the inventory"
_VIRSH = "install libvirt-clients (Rocky: libvirt-client) there"
_DAEMON = "there: systemctl enable --now libvirtd.socket (or virtqemud.socket)"

COMPLAINTS: tuple[tuple[str, type[HostError], str, str], ...] = (
    (r"virsh\S* ?(:|not).*(not found|no such file)", RemoteFailed, "virsh", _VIRSH),
    (r"permission denied", LoginRefused, "libvirt-rights", _RIGHTS),
    (r"authentication (unavailable|failed)|polkit", LoginRefused, "libvirt-rights", _RIGHTS),
    (r"no such file or directory|connection refused", RemoteFailed, "libvirt-socket", _DAEMON),
)
"""What virsh says where its daemon cannot be used, what that is to us, and what to do."""

_loop_lock = threading.Lock()
_loop_runs = False


class LibvirtConnections:
    """Each host's connection to its libvirt, opened when first asked for."""

    def __init__(
        self,
        shells: HostShells,
        folder: str,
        *,
        ask_limit: float = ASK_LIMIT,
        open_limit: float = OPEN_LIMIT,
    ) -> None:
        self._shells = shells
        self._folder = f"{folder}/ssh"
        self._ask_limit = ask_limit
        self._limit = open_limit
        self._lock = threading.Lock()
        self._open: dict[str, _Slot] = {}
        self._shelves: dict[str, _Shelf] = {}

    def connection(self, host: Host) -> libvirt.virConnect:
        """Return the open connection to a host's libvirt; a dead one is opened anew."""
        with self._lock:
            slot = self._open.setdefault(host.name, _Slot())
        with slot.lock:
            if slot.connection is None or not _alive(slot.connection):
                slot.connection = self._connect(host)
            return slot.connection

    def connected(self, host: Host) -> bool:
        """Say whether a connection to a host's libvirt stands, and is to be had for nothing."""
        with self._lock:
            slot = self._open.get(host.name)
        return slot is not None and slot.connection is not None

    def take(self, host: Host, *, wait: float) -> libvirt.virConnect:
        """Lend a connection to one thread alone, to be given back, renewed or forsaken by it.

        Two threads on one connection are not safe before libvirt 10: while one of them waits for
        a slow call, the other's may lie unsent until the next keepalive, and worse.
        """
        shelf = self._shelf(host)
        if not shelf.free.acquire(timeout=wait):
            raise RemoteTimedOut(
                host.name,
                f"{host.name}: {AT_ONCE} calls of libvirt there took all of {wait:g} s",
                hint=f"vmctl host check {host.name} tells whether libvirt hangs there",
                reason="libvirt-hangs",
            )
        try:
            while shelf.idle:
                connection = shelf.idle.pop()
                if _alive(connection):
                    return connection
                _close(connection)
            return self._connect(host)
        except BaseException:
            shelf.free.release()
            raise

    def give_back(self, host: Host, connection: libvirt.virConnect) -> None:
        """Take back a connection that was lent."""
        shelf = self._shelf(host)
        shelf.idle.append(connection)
        shelf.free.release()

    def renew(self, host: Host, connection: libvirt.virConnect) -> libvirt.virConnect:
        """Replace a lent connection that proved to be dead; if that fails it is given back."""
        _close(connection)
        try:
            return self._connect(host)
        except BaseException:
            self._shelf(host).free.release()
            raise

    def forsake(self, host: Host, connection: libvirt.virConnect) -> None:
        """Leave a lent connection to the call that hangs on it.

        It is never closed, nor freed: that would take away what the call still works with, and
        wait for the daemon to say goodbye. The end of the process ends it.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        self._shelf(host).free.release()

    def close(self) -> None:
        """Close every connection; one that hangs is left to the end of the process."""
        with self._lock:
            slots, self._open = self._open, {}
            shelves, self._shelves = self._shelves, {}
        opened = [slot.connection for slot in slots.values()]
        for connection in (*opened, *(one for shelf in shelves.values() for one in shelf.idle)):
            if connection is not None:
                _close(connection)

    def uri(self, host: Host) -> str:
        """Return the URI by which a host's libvirt is reached; writes what the URI refers to."""
        if host.libvirt_uri is not None:
            try:
                return check_libvirt_uri(host.libvirt_uri)
            except ValueError as error:
                raise UsageError(
                    f"{host.name}: libvirt_uri: {error}",
                    hint="correct it in the inventory, or take it out: vmctl finds the way itself",
                ) from None
        if host.connection == "local":
            return SYSTEM
        shell = self._shells.ssh(host)
        wrapper, files = libvirt_wrapper.scripts(
            shell.route,
            self._folder,
            become=host.become == "sudo",
            limit=self._shells.connect_limit,
            pinned=shell.verified_key() if host.host_key else None,
        )
        libvirt_wrapper.write(files)
        return libvirt_wrapper.uri(host.name, wrapper)

    def entry(self, host: Host, command: tuple[str, ...]) -> list[str]:
        """Return the words that enter a host as a person does; writes what they refer to."""
        shell = self._shells.ssh(host)
        words, files = libvirt_wrapper.entry(
            shell.route,
            self._folder,
            command,
            limit=self._shells.connect_limit,
            pinned=shell.verified_key() if host.host_key else None,
        )
        libvirt_wrapper.write(files)
        return words

    def passage(self, host: Host, *, folder: str | None = None) -> str:
        """Return the script that leads through a host to what only it reaches, and write it.

        It stands among what can be made again, unless a folder is named.
        """
        shell = self._shells.ssh(host)
        path, files = libvirt_wrapper.passage(
            shell.route,
            folder or self._folder,
            limit=self._shells.connect_limit,
            pinned=shell.verified_key() if host.host_key else None,
        )
        libvirt_wrapper.write(files)
        return path

    def _shelf(self, host: Host) -> _Shelf:
        with self._lock:
            return self._shelves.setdefault(host.name, _Shelf())

    def _connect(self, host: Host) -> libvirt.virConnect:
        # Another way to it may lead past that host's own virsh; then only our limit counts.
        if host.libvirt_uri is None:
            ask(self._shells, host, limit=self._ask_limit)
        uri = self.uri(host)
        _run_loop()

        def opening() -> libvirt.virConnect:
            with libvirt_errors(host.name, "connecting to libvirt", user=host.user or "the login"):
                connection = libvirt.open(uri)
                connection.setKeepAlive(_ALIVE_EACH, _ALIVE_TIMES)
                return connection

        try:
            return limited(opening, self._limit, discard=_close)
        except Late:
            raise _hangs(host.name, self._limit) from None


class _Shelf:
    """A host's connections that are lent to one thread each, and how many more may be."""

    def __init__(self) -> None:
        self.idle: list[libvirt.virConnect] = []
        self.free = threading.Semaphore(AT_ONCE)


class _Slot:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: libvirt.virConnect | None = None


def ask(shells: HostShells, host: Host, *, limit: float = ASK_LIMIT) -> Completed:
    """Have the host's own virsh talk to its libvirt, within a limit; raises HostError."""
    done = shells.shell(host).run(
        f"timeout -k 1 {limit:g} virsh -q -c {SYSTEM} version", timeout=limit + 1.5
    )
    if done.exit_code == 0:
        return done
    raise complaint(host.name, done, limit)


def complaint(host: str, done: Completed, limit: float = ASK_LIMIT) -> HostError:
    """Return what a virsh that failed tells about the libvirt that it asked."""
    if done.exit_code in (_TIMED_OUT, 137):
        return _hangs(host, limit)
    said = done.stderr.decode(errors="replace")
    for pattern, error, reason, hint in COMPLAINTS:
        if re.search(pattern, said, re.IGNORECASE):
            return error(host, f"{host}: libvirt: {done.complaint}", hint=hint, reason=reason)
    why = done.complaint or f"virsh ended with {done.exit_code}"
    return RemoteFailed(host, f"{host}: libvirt: {why}", reason="libvirt")


def _hangs(host: str, limit: float) -> RemoteTimedOut:
    return RemoteTimedOut(
        host,
        f"{host}: libvirt did not answer within {limit:g} s",
        hint=f"it hangs: on {host}, systemctl restart libvirtd (guests go on running)",
        reason="libvirt-hangs",
    )


def _run_loop() -> None:
    """Start the one event loop, without which keepalive does nothing; before any opening."""
    global _loop_runs  # noqa: PLW0603 - libvirt has one event loop for each process
    with _loop_lock:
        if _loop_runs:
            return
        libvirt.registerErrorHandler(lambda *_: None, None)
        libvirt.virEventRegisterDefaultImpl()
        # Without a timer a loop with nothing to watch would end at once. This one never fires: that
        # would call into an interpreter that may be gone by then.
        libvirt.virEventAddTimeout(_NEVER, lambda *_: None, None)
        threading.Thread(target=_loop, name="libvirt-events", daemon=True).start()
        _loop_runs = True


def _loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def _alive(connection: libvirt.virConnect) -> bool:
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False


def _close(connection: libvirt.virConnect) -> None:
    def closing() -> None:
        try:
            connection.close()
        except libvirt.libvirtError:
            return

    try:
        limited(closing, 2, discard=lambda _: None)
    except Late:
        return
