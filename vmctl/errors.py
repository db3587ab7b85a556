"""Everything vmctl refuses or fails with: what happened, what to do next, an exit code.

VmctlError                 1    any expected failure
├── UsageError             2    the words of a command, or a file it was given, are wrong
│   └── InventoryError     2    everything that is wrong with the inventory, at once
├── NotFound               1    no such server, host, flavor, …
├── Conflict               1    it is there already, or its state forbids this
│   ├── ClaimLost          1    the host has no room left, or is no longer wanted, at the last look
│   │   └── CpusTaken      1    another server has got the CPUs that were chosen for it
│   ├── NameTaken          1    a live server bears this name
│   ├── AddressTaken       1    the address or MAC is held by another attempt
│   ├── KeyTaken           1    the idempotency key belongs to a create that did not fail
│   └── Busy               1    another operation on this server, or its owner, is in the way
│       └── AtWork         17   someone else is at the same work just now
├── QuotaExceeded          1    a project's servers would take more than it may
├── NoValidHost            10   no host passes every filter
├── HostError              11   a host does not answer, refuses us, or fails a command
│   ├── HostUnreachable    11   no connection within the time limit
│   ├── HostKeyError       11   the host's key is unknown, or not the one that was pinned
│   ├── LoginRefused       11   the host answered and did not let us in
│   ├── LeaseLost          11   the lease on the host is not ours any more
│   ├── ArbiterDown        11   who says who may give away a network's addresses is not there
│   └── RemoteFailed       11   the host answered, and what we asked of it failed
│       ├── ProbeError     11   the host answered, and not what it was asked
│       └── RemoteTimedOut 11   what we asked of it did not end within its limit
├── TimedOut               12   a wait ended before what it waited for
├── StateError             13   the database is locked, too new, or out of reach
├── Partial                14   some of a batch succeeded
├── Locked                 15   the server is locked or protected
├── Interrupted            130  someone stopped it: what was begun was undone
└── OwnershipLost          1    another process has taken this operation over
"""

from __future__ import annotations


class VmctlError(Exception):
    """An expected failure: what happened, and what the operator can do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def code(self) -> str:
        """The name that machine-readable errors carry."""
        return type(self).__name__

    @property
    def details(self) -> dict[str, object]:
        """What a program can use beside the message."""
        return {}


class UsageError(VmctlError):
    """The words of a command, or a file it was given, are wrong."""

    exit_code = 2


class InventoryError(UsageError):
    """Everything that is wrong with the inventory, each as `file:line: message`."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NotFound(VmctlError):
    """Nothing bears the name or id that was given."""


class Conflict(VmctlError):
    """What was asked for is there already, or a state forbids it."""


class ClaimLost(Conflict):
    """The chosen host cannot take the server after all: someone else was quicker."""


class CpusTaken(ClaimLost):
    """Another server has got the CPUs that were chosen for it: there may be others."""


class NameTaken(Conflict):
    """A live server bears this name."""


class AddressTaken(Conflict):
    """The address or MAC is held by another attempt."""


class KeyTaken(Conflict):
    """The idempotency key belongs to another create, which did not fail."""


class Busy(Conflict):
    """Another operation on this server, or the living owner of this one, is in the way."""


class AtWork(Busy):
    """Someone else is at the same work just now, which is not to be done twice at once."""

    exit_code = 17


class QuotaExceeded(VmctlError):
    """A project's servers would take more than it may."""


class NoValidHost(VmctlError):
    """No host passes every filter."""

    exit_code = 10


class HostError(VmctlError):
    """A host does not answer, refuses us, or fails a command."""

    exit_code = 11
    on_the_way = False
    """Whether it was a jump host that failed: that says nothing of the host behind it."""

    def __init__(
        self, host: str, message: str, *, hint: str | None = None, reason: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.host = host
        self.reason = reason

    @property
    def details(self) -> dict[str, object]:
        """The host that failed, and one word for how, where there is one."""
        return {"host": self.host, **({"reason": self.reason} if self.reason else {})}


class HostUnreachable(HostError):
    """No connection to the host within the time limit."""

    @property
    def silent(self) -> bool:
        """Whether nothing at all was heard, though the way there is open as far as we see it."""
        return self.reason in {"timeout", "route"}


class HostKeyError(HostError):
    """The host's key is unknown, or not the one that was pinned."""

    def __init__(
        self,
        host: str,
        message: str,
        *,
        hint: str | None = None,
        reason: str = "",
        fingerprint: str = "",
        key_type: str = "",
    ) -> None:
        super().__init__(host, message, hint=hint, reason=reason)
        self.fingerprint = fingerprint
        self.key_type = key_type

    @property
    def details(self) -> dict[str, object]:
        """The same, with the fingerprint of the key that was seen."""
        return {**super().details, "fingerprint": self.fingerprint}


class LoginRefused(HostError):
    """The host answered and did not let us in."""


class LeaseLost(HostError):
    """The lease on the host is not ours any more: whoever held it must not act."""


class ArbiterDown(HostError):
    """The lease under which a network's addresses are given away is not to be had."""


class RemoteFailed(HostError):
    """The host answered, and what we asked of it failed."""


class ProbeError(RemoteFailed):
    """The host answered, and not what it was asked: there is no sample in it."""


class RemoteTimedOut(RemoteFailed):
    """What we asked of the host did not end within its limit; it may go on there."""


class TimedOut(VmctlError):
    """A wait ended before what it waited for."""

    exit_code = 12


class StateError(VmctlError):
    """The database is locked, too new, or out of reach."""

    exit_code = 13


class Partial(VmctlError):
    """Some of a batch succeeded."""

    exit_code = 14


class Locked(VmctlError):
    """The server is locked or protected."""

    exit_code = 15


class Interrupted(VmctlError):
    """Someone stopped it: nothing more was begun, and what was begun was undone."""

    exit_code = 130


class OwnershipLost(VmctlError):
    """Another process has taken this operation over; the loser stops before its next effect."""
