"""The agent in a guest, asked over the domain's channel; no network is needed."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import libvirt
import libvirt_qemu

from vmctl.adapters.hypervisor import domains
from vmctl.adapters.hypervisor.link import ABSENT, code_of
from vmctl.domain.agent import AGENT_REFUSED, AGENT_SILENT, NO_AGENT, TOO_MUCH
from vmctl.errors import HostError, RemoteFailed, RemoteTimedOut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.adapters.hypervisor.link import Link

_NOT_CONNECTED = "is not connected"
_GIVEN_UP = "not available due to an error"
_TOO_LONG = ("Unable to encode message payload", "No complete agent response found")
_SAYS = "unable to execute QEMU agent command '{}': "


def ask(
    link: Link, uuid: str, command: str, arguments: Mapping[str, object], *, timeout: float
) -> object:
    """Ask the agent, and give what it returns; what it was told shows in no error."""
    domain = domains.find(link, uuid)
    if domain is None:
        name = link.host.name
        raise RemoteFailed(name, f"{name}: machine {uuid} is not defined there", reason=ABSENT)
    words = json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})})
    seconds = math.ceil(timeout)
    try:
        answer = link.call(
            f"asking the agent of machine {uuid} for {command}",
            lambda: libvirt_qemu.qemuAgentCommand(domain, words, seconds, 0),
            # libvirt says a word to the agent first, and waits for that, too.
            limit=seconds + link.limits.ask,
        )
    except HostError as error:
        raise _told(link.host.name, uuid, command, error) from error.__cause__
    found: object = json.loads(answer).get("return")
    return found


def _told(host: str, uuid: str, command: str, error: HostError) -> HostError:
    """Say in our words why an agent was asked in vain."""
    if any(words in error.message for words in _TOO_LONG):
        return RemoteFailed(
            host,
            f"{host}: what the agent in machine {uuid} said to {command} is too long to get here",
            reason=TOO_MUCH,
        )
    code = code_of(error)
    if code == libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED:
        return RemoteFailed(
            host,
            f"{host}: machine {uuid} has no channel for a guest agent",
            hint="its image says hw_qemu_guest_agent=no: set that property to yes, and create anew",
            reason=NO_AGENT,
        )
    if code == libvirt.VIR_ERR_AGENT_UNRESPONSIVE and _NOT_CONNECTED in error.message:
        return RemoteFailed(
            host,
            f"{host}: no agent runs in machine {uuid}",
            hint="install qemu-guest-agent in the guest and start it; one that boots has none yet",
            reason=NO_AGENT,
        )
    if code == libvirt.VIR_ERR_AGENT_UNRESPONSIVE and _GIVEN_UP in error.message:
        return RemoteFailed(
            host,
            f"{host}: libvirt has given up the agent in machine {uuid}",
            hint="restart qemu-guest-agent in the guest: that makes it try anew",
            reason=NO_AGENT,
        )
    if code == libvirt.VIR_ERR_AGENT_UNRESPONSIVE:
        return RemoteTimedOut(
            host,
            f"{host}: the agent in machine {uuid} did not answer {command} in time",
            hint="restart qemu-guest-agent in the guest; is the guest itself alive?",
            reason=AGENT_SILENT,
        )
    said = error.message.rpartition(_SAYS.format(command))[2]
    if said != error.message:
        return RemoteFailed(
            host,
            f"{host}: the agent in machine {uuid} refused {command}: {said}",
            reason=AGENT_REFUSED,
        )
    return error
