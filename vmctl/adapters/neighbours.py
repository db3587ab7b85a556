"""Who bears an address on a bridge already, asked from the host that is to carry another.

IPv4 is asked by ARP. The owner of an IPv6 address listens to a group of its own, made of the
address's end: who answers there has it, or one that looks the same to that group.
"""

from __future__ import annotations

import shlex
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from vmctl.adapters.guest_entry import SSH, answers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.host import Host
    from vmctl.ports import Shells

_LIMIT = 15.0
_GREETED = 2.0

# What the host remembers may be of a machine that is gone since. Whoever may not make it forget,
# and gets no answer, cannot tell.
_ASK4 = """\
seen() {{ ip neigh show to {address} dev {bridge} 2>/dev/null; }}
ip neigh flush to {address} dev {bridge} >/dev/null 2>&1
case $(seen) in *lladdr*) old=old ;; *) old= ;; esac
if ping -n -q -c 1 -W 1 -I {bridge} {address} >/dev/null 2>&1; then echo yes; exit; fi
case $old$(seen) in
old*) echo unknown ;;
*lladdr*) echo yes ;;
*FAILED*|*INCOMPLETE*) echo no ;;
*) echo unknown ;;
esac
"""
_ASK6 = """\
if ping -6 -n -q -c 1 -W 1 -I {bridge} {address} >/dev/null 2>&1; then echo yes
elif [ "$?" = 1 ]; then echo no
else echo unknown
fi
"""
_GREETING = """\
timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/22" && head -c 4 <&3' {address} 2>/dev/null
"""
_WORDS = {"yes": True, "no": False}


class ShellNeighbours:
    """Asks with what every host has, ping and ip, and needs no rights there."""

    def __init__(self, shells: Shells) -> None:
        self._shells = shells

    def who_answers(
        self, host: Host, bridge: str, addresses: tuple[str, ...]
    ) -> Mapping[str, bool | None]:
        """Ask for all at the same time; None for one that could not be asked for."""
        asked = "".join(
            f"({_question(bridge, one).strip()}\n) | sed s/^/{at}:/ &\n"
            for at, one in enumerate(addresses)
        )
        script = f"PATH=$PATH:/usr/sbin:/sbin\n{asked}wait\n"
        done = self._shells.shell(host).run(script, timeout=_LIMIT)
        lines = done.stdout.decode(errors="replace").split()
        said = dict(line.partition(":")[::2] for line in lines)
        return {one: _WORDS.get(said.get(str(at), "")) for at, one in enumerate(addresses)}

    def ssh_answers(self, host: Host, address: str, *, bridged: bool) -> bool:
        """Whether an ssh server greets a caller at this address, on that host or here.

        Here only on a bridge: behind a host's NAT it is another's address to everyone else.
        """
        if bridged and answers(address, SSH, seconds=_GREETED):
            return True
        script = _GREETING.format(address=shlex.quote(address))
        done = self._shells.shell(host).run(script, timeout=_LIMIT)
        return done.stdout.startswith(b"SSH-")


def _question(bridge: str, address: str) -> str:
    found = ip_address(address)
    script = _ASK4
    if isinstance(found, IPv6Address):
        end = int(found) & 0xFFFFFF
        address = str(IPv6Address(int(IPv6Address("ff02::1:ff00:0")) | end))
        script = _ASK6
    return script.format(bridge=shlex.quote(bridge), address=shlex.quote(address))
