"""The first inventory: with this machine in it if it runs libvirt, else an example to fill in."""

from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path

from vmctl.errors import Conflict, UsageError

_SOCKETS = (
    "/run/libvirt/libvirt-sock",
    "/run/libvirt/virtqemud-sock",
    "/var/run/libvirt/libvirt-sock",
)

_HEAD = """\
# vmctl's inventory. inventory.example.yaml in vmctl's source documents every key;
# `vmctl inventory validate` checks this file, `vmctl host check` the hosts.
"""

_HERE = """
hosts:
  {name}:
    connection: local
    virt_type: {virt_type}
#  kvm[01:04]:
#    address: 10.0.0.{{n}}
#    user: ops

networks:
  default:
    source: {{network: default}}
    default: true
"""

_EXAMPLE = """
#defaults:
#  user: ops
#  become: sudo

#hosts:
#  kvm[01:04]:
#    address: 10.0.0.{n}
#  big1:
#    address: big1.example.net
#    zone: az2
#    capacity: {memory: 256GiB}

#networks:
#  default:
#    source: {network: default}
#    default: true
#  lan:
#    source: {bridge: br0}
#    cidrs: 10.1.0.0/24
#    gateway: 10.1.0.1
#    dns: 10.1.0.1
#    allocation_pool: 10.1.0.100-10.1.0.199
"""


def first_inventory(hostname: str | None, *, kvm: bool) -> str:
    """Give the text of a first inventory; a hostname is that of this machine, which has libvirt."""
    if hostname is None:
        return _HEAD + _EXAMPLE
    name = hostname.partition(".")[0]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", name, re.ASCII):
        name = "this-host"
    elif name.lower() in {"yes", "no", "on", "off", "true", "false", "null"}:
        name = f"'{name}'"  # bare, YAML would not take it for a name
    return _HEAD + _HERE.format(name=name, virt_type="kvm" if kvm else "qemu")


def this_machine() -> str | None:
    """Give this machine's hostname if it runs libvirt: by its socket, or by virsh being here."""
    if any(Path(one).exists() for one in _SOCKETS) or shutil.which("virsh"):
        return socket.gethostname()
    return None


def init_inventory(path: str) -> str:
    """Write a first inventory where there is none, and give its text; nothing is overwritten."""
    text = first_inventory(this_machine(), kvm=Path("/dev/kvm").exists())
    try:
        _write_new(Path(path), text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path} cannot be written: {reason}") from error
    return text


def _write_new(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        raise Conflict(
            f"{path} is there already, and vmctl overwrites no inventory",
            hint="`vmctl inventory validate` checks it; --inventory names another place",
        ) from None
    with file:
        file.write(text)
