"""A host as it is entered, looked at and leased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from vmctl.domain.check_facts import Contact, Trial, Tried
    from vmctl.domain.completed import Completed
    from vmctl.domain.host import Host
    from vmctl.domain.sample import Depth, HostSample
    from vmctl.ports.lines import Passage


class Prober(Protocol):
    """Looks at a host and says what is there."""

    def look(self, host: Host, *, depth: Depth, before: HostSample | None) -> HostSample:
        """Look at one host; what only a full look tells is kept from the sample before.

        Raises HostError where the host does not answer, or answers with something else.
        """


class Examiner(Protocol):
    """Tries on a host what a look cannot tell."""

    def contact(self, host: Host) -> Contact:
        """Enter the host and say how, or at which step that ended."""

    def try_out(self, host: Host, sample: HostSample, *, kvm: bool) -> Trial:
        """Try what the login may do there, and KVM if that is wanted; HostError if it cannot."""

    def library(self, host: Host) -> Tried:
        """Try libvirt's own connection, by the system's ssh."""


class Named(Protocol):
    """Anything that bears a name, by which results are told apart."""

    @property
    def name(self) -> str:
        """The name."""


class Stream(Protocol):
    """A script that runs on a host for as long as it is wanted, spoken with line by line."""

    def write(self, data: bytes) -> None:
        """Send bytes to its stdin."""

    def read_line(self, seconds: float) -> bytes | None:
        """Return its next line of output without the newline; None if it has ended.

        Raises RemoteTimedOut where no whole line comes within so many seconds.
        """

    def close(self) -> None:
        """End its stdin and the script with it; never waits for anything that hangs."""


class Shell(Protocol):
    """Runs scripts on one host, over one connection that is opened when it is first needed."""

    def run(
        self,
        script: str,
        *,
        stdin: bytes | None = None,
        timeout: float = 60,
        become: bool | None = None,
    ) -> Completed:
        """Run a POSIX sh script, whatever the login shell is, and return how it ended.

        `become` says whether sudo is put before it; None leaves that to the inventory. Raises
        HostError where it could not be run or did not end in time. A script that was sent is
        never sent again.
        """

    def open(self, script: str, *, timeout: float = 60, become: bool | None = None) -> Stream:
        """Start a script that goes on, to be ended by the host itself after `timeout` seconds."""

    def reach(self, address: str, port: int) -> Passage:
        """Connect to an address as the host reaches it, over the same connection.

        Raises RemoteFailed where nothing answers there, or the host lets nobody through.
        """

    def close(self) -> None:
        """Close the connection."""


class Shells(Protocol):
    """The shell of each host: one for the whole of a command."""

    def shell(self, host: Host) -> Shell:
        """Return the shell of a host; nothing is connected yet."""

    def close(self) -> None:
        """Close every connection."""


Matter = Literal["host", "networks"]
"""What a lease on a host is about: it and its room, or the networks that it is arbiter of."""


class HostLease(Protocol):
    """The lease on a host is held: no other operator acts on that host meanwhile."""

    @property
    def remaining(self) -> float:
        """Seconds for which it is still held if nothing happens."""

    def check(self, need: float = 5) -> None:
        """Ask the host whether it is held, with so many seconds left; raises LeaseLost if not."""


class HostLeases(Protocol):
    """Who may act on a host, as the host itself decides."""

    def hold(
        self, host: Host, *, wait: float = 30, of: Matter = "host"
    ) -> AbstractContextManager[HostLease]:
        """Take the lease on a host, waiting for it so many seconds; raises TimedOut after them.

        It is given back at the end, and by the host itself within a minute where the holder
        vanished. Apart from the host itself stand the networks that it is the arbiter of.
        """


class Neighbours(Protocol):
    """Who is on a network already, whether or not any record knows."""

    def who_answers(
        self, host: Host, bridge: str, addresses: tuple[str, ...]
    ) -> Mapping[str, bool | None]:
        """Ask from a host, over a bridge of its, who bears these addresses.

        None for one that the login there cannot ask for.
        """

    def ssh_answers(self, host: Host, address: str, *, bridged: bool) -> bool:
        """Whether an ssh server greets a caller at this address, on that host or, bridged, here.

        A host may carry a bridge without having an address on it.
        """
