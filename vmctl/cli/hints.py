"""What to do instead of commands that openstack has and vmctl does not, or not yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_POWER = "it comes later; until then: vmctl host ssh HOST -- virsh -c qemu:///system {} SERVER"
_ANEW = "it comes later; until then vmctl server create makes another one, of {}"
_WRITTEN = "what there is of them is written down in the inventory: vmctl inventory show, vmctl {}"
_NOBODY = "there are no users and no tokens: ssh and the hosts say who may do what"
_LABEL = "a project is a label here: --project NAME, and vmctl quota set limits it"
_VOLUMES = "there are no volumes yet: --swap and --ephemeral of server create make disks"
_MOVE = "it comes later; a server stays on its host, and vmctl host disable HOST keeps new ones off"
_FLOATING = "there are no floating addresses: --network gives a server one that others reach"

HINTS = {
    "aggregate add": _WRITTEN.format("aggregate list"),
    "aggregate cache": _WRITTEN.format("aggregate list"),
    "aggregate create": _WRITTEN.format("aggregate list"),
    "aggregate delete": _WRITTEN.format("aggregate list"),
    "aggregate remove": _WRITTEN.format("aggregate list"),
    "aggregate set": _WRITTEN.format("aggregate list"),
    "aggregate unset": _WRITTEN.format("aggregate list"),
    "application credential": _NOBODY,
    "catalog": "there are no services to look up: vmctl host list shows the hosts",
    "compute agent": "nothing of vmctl's runs on a host: vmctl host list",
    "compute service delete": "take the host out of the inventory: vmctl inventory show",
    "compute service list": "nothing of vmctl's runs on a host: vmctl host list",
    "compute service set": "vmctl host disable HOST --reason TEXT, and vmctl host enable HOST",
    "credential": _NOBODY,
    "domain": _NOBODY,
    "ec2 credentials": _NOBODY,
    "endpoint": "there are no services to look up: vmctl host list shows the hosts",
    "floating ip": _FLOATING,
    "host evacuate": _MOVE,
    "host set": "vmctl host disable HOST --reason TEXT, and vmctl host enable HOST",
    "image import": "vmctl image create NAME --url URL makes an image of what lies there",
    "limits": "vmctl quota show tells the limits, vmctl placement capacity what still fits",
    "network create": _WRITTEN.format("network list"),
    "network delete": _WRITTEN.format("network list"),
    "network set": _WRITTEN.format("network list"),
    "network unset": _WRITTEN.format("network list"),
    "network agent": "nothing of vmctl's runs on a host: vmctl host check HOST tells its faults",
    "port": "there are no ports: --nic net-id=NETWORK,v4-fixed-ip=ADDRESS of server create fixes"
    " an address, and vmctl server show SERVER tells the cards",
    "project": _LABEL,
    "quota delete": "vmctl quota set PROJECT --instances -1 takes a limit away",
    "quota list": "vmctl quota show PROJECT",
    "role": _NOBODY,
    "router": "there are no routers: the inventory names networks' gateways; vmctl network list",
    "server add": "it comes later; until then a server is made with all that it has",
    "server backup": "it comes later; vmctl image create NAME --file FILE makes an image of a disk",
    "server confirm": _ANEW.format("another flavor"),
    "server dump": _POWER.format("dump"),
    "server evacuate": _MOVE,
    "server image": "it comes later; vmctl image create NAME --file FILE makes an image of a disk",
    "server migrate": _MOVE,
    "server migration": _MOVE,
    "server remove": "it comes later; until then a server is made with all that it has",
    "server resize": _ANEW.format("another flavor"),
    "server restore": "what was deleted is gone; vmctl server list --deleted tells what it was",
    "server shelve": "it comes later; a server that is off keeps its place",
    "server unshelve": "it comes later; a server that is off keeps its place",
    "server volume": _VOLUMES,
    "service": "there are no services to look up: vmctl host list shows the hosts",
    "snapshot": _VOLUMES,
    "subnet create": _WRITTEN.format("subnet list"),
    "subnet delete": _WRITTEN.format("subnet list"),
    "subnet set": _WRITTEN.format("subnet list"),
    "subnet show": _WRITTEN.format("subnet list"),
    "subnet unset": _WRITTEN.format("subnet list"),
    "token": _NOBODY,
    "usage": "vmctl hypervisor stats show sums it up, vmctl quota show --usage by project",
    "user": _NOBODY,
    "volume": _VOLUMES,
}
"""By the words that such a command begins with; the longest that fits is meant."""


def hint_for(words: Sequence[str]) -> tuple[str, str] | None:
    """Give the words of openstack's that these begin with, and what to do instead."""
    for length in range(len(words), 0, -1):
        phrase = " ".join(words[:length])
        if phrase in HINTS:
            return phrase, HINTS[phrase]
    return None
