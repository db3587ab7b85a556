"""What libvirt's errors mean, in one table; the most specific row wins."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import libvirt

from vmctl.errors import (
    Conflict,
    HostUnreachable,
    LoginRefused,
    NotFound,
    RemoteFailed,
    RemoteTimedOut,
    VmctlError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Row:
    """One meaning: for a code, for a code from one part of libvirt, or for words within it."""

    error: type[VmctlError]
    code: int | None = None
    domain: int | None = None
    words: str = ""
    hint: str = ""
    reason: str = ""

    @property
    def weight(self) -> int:
        """How much the row says about what it is for."""
        return sum((self.code is not None, self.domain is not None, bool(self.words)))

    def fits(self, code: int, domain: int, message: str) -> bool:
        """Whether this row is about such an error."""
        return (
            self.code in (None, code)
            and self.domain in (None, domain)
            and self.words.lower() in message.lower()
        )


_GROUP = "let {user} join the group libvirt there, or say `become: sudo` in the inventory"
_DAEMON = "on {host}: systemctl enable --now libvirtd.socket (or virtqemud.socket)"

ROWS: tuple[Row, ...] = (
    *(
        Row(NotFound, code)
        for code in (
            libvirt.VIR_ERR_NO_DOMAIN,
            libvirt.VIR_ERR_NO_NETWORK,
            libvirt.VIR_ERR_NO_STORAGE_POOL,
            libvirt.VIR_ERR_NO_STORAGE_VOL,
            libvirt.VIR_ERR_NO_NWFILTER,
            libvirt.VIR_ERR_NO_DOMAIN_METADATA,
            libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT,
            libvirt.VIR_ERR_NO_SECRET,
            libvirt.VIR_ERR_NO_INTERFACE,
            libvirt.VIR_ERR_NO_NODE_DEVICE,
        )
    ),
    *(
        Row(Conflict, code)
        for code in (
            libvirt.VIR_ERR_DOM_EXIST,
            libvirt.VIR_ERR_NETWORK_EXIST,
            libvirt.VIR_ERR_STORAGE_POOL_BUILT,
            libvirt.VIR_ERR_STORAGE_VOL_EXIST,
            libvirt.VIR_ERR_OPERATION_INVALID,
            libvirt.VIR_ERR_RESOURCE_BUSY,
        )
    ),
    # A second domain of one name fails with this code, and nothing but the words tells why.
    Row(Conflict, libvirt.VIR_ERR_OPERATION_FAILED, words="already exists"),
    Row(Conflict, words="has asynchronous jobs running", reason="pool-busy"),
    Row(RemoteTimedOut, libvirt.VIR_ERR_OPERATION_TIMEOUT, reason="timeout"),
    Row(RemoteTimedOut, libvirt.VIR_ERR_AGENT_UNRESPONSIVE, reason="timeout"),
    *(
        Row(LoginRefused, code, hint=_GROUP, reason="libvirt-rights")
        for code in (
            libvirt.VIR_ERR_AUTH_FAILED,
            libvirt.VIR_ERR_AUTH_CANCELLED,
            libvirt.VIR_ERR_AUTH_UNAVAILABLE,
            libvirt.VIR_ERR_ACCESS_DENIED,
            libvirt.VIR_ERR_OPERATION_DENIED,
        )
    ),
    Row(LoginRefused, words="permission denied", domain=libvirt.VIR_FROM_RPC, hint=_GROUP,
        reason="libvirt-rights"),
    Row(RemoteFailed, words="no such file or directory", domain=libvirt.VIR_FROM_RPC, hint=_DAEMON,
        reason="libvirt-socket"),
    Row(RemoteFailed, words="connection refused", domain=libvirt.VIR_FROM_RPC, hint=_DAEMON,
        reason="libvirt-socket"),
    Row(HostUnreachable, words="host key verification failed", domain=libvirt.VIR_FROM_RPC,
        hint="vmctl host trust {host}", reason="key"),
    Row(HostUnreachable, domain=libvirt.VIR_FROM_RPC, reason="lost"),
    Row(HostUnreachable, domain=libvirt.VIR_FROM_REMOTE, reason="lost"),
    Row(HostUnreachable, libvirt.VIR_ERR_INTERNAL_ERROR, words="client socket is closed",
        reason="lost"),
    Row(HostUnreachable, words="keepalive", reason="lost"),
)  # fmt: skip

_OTHER = Row(RemoteFailed, reason="libvirt")


def row_of(code: int, domain: int, message: str) -> Row:
    """Return the row that says most about an error."""
    fitting = [row for row in ROWS if row.fits(code, domain, message)]
    return max(fitting, key=lambda row: row.weight, default=_OTHER)


@contextmanager
def libvirt_errors(host: str, doing: str, *, user: str = "this login") -> Iterator[None]:
    """Turn every libvirt error within into one of ours, about this host and this doing."""
    try:
        yield
    except libvirt.libvirtError as error:
        message = " ".join((error.get_error_message() or str(error)).split())
        code, domain = error.get_error_code() or -1, error.get_error_domain() or -1
        row = row_of(code, domain, message)
        text = f"{host}: {doing}: {message}"
        hint = row.hint.format(host=host, user=user) or None
        if issubclass(row.error, HostUnreachable | LoginRefused | RemoteFailed):
            raise row.error(host, text, hint=hint, reason=row.reason) from error
        raise row.error(text, hint=hint) from error
