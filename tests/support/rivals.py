"""Operators who create at once on the same fake hosts, each database knowing of no other.

`python -m tests.support.rivals FOLDER DATABASES EACH ROOM ADDRESSES` has so many processes of each
database want a server, where each host has room for so many, and the LAN so many addresses. They
are the product's own command line, with the real claims, judge, scheduler and database. It says as
JSON how each of them ended, and what then stands on the hosts and on record.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.crowd import together
from tests.support.fake_app import on_fakes
from tests.support.fake_effects import guest_of
from tests.support.fake_host import FakeFleet
from tests.support.stage import a_stage, beside, on_stage
from vmctl.domain.server_record import from_xml

if TYPE_CHECKING:
    from tests.support.product import Product

HOSTS = ("kvm1", "kvm2", "kvm3")
EACH, KEPT = 128, 512
"""MiB of a server, and of what is kept for a host itself."""

HOST = "  {name}: {{address: {name}, capacity: {{memory: {memory}MiB}}}}\n"
LAN = """
networks:
  lan:
    source: {{bridge: br-lan}}
    cidrs: [10.1.0.0/24]
    addressing: static
    allocation_pool: [10.1.0.10-10.1.0.{last}]
"""


def main(folder: str, databases: str, each: str, room: str, addresses: str) -> None:
    hosts = "".join(HOST.format(name=name, memory=KEPT + int(room) * EACH) for name in HOSTS)
    text = f"hosts:\n{hosts}{LAN.format(last=9 + int(addresses))}"
    rivals = operators(Path(folder), int(databases), text)
    ended = together(
        [
            partial(create, rival, f"{chr(ord('a') + number)}{one}")
            for one in range(int(each))
            for number, rival in enumerate(rivals)
        ],
        limit=240,
    )
    rows = [row for rival in rivals for row in rival.data("server", "list")]
    said = {
        "ended": [json.loads(one) for one in ended],
        "standing": standing(Path(folder) / "0"),
        "active": [row["Name"] for row in rows if row["Status"] == "ACTIVE"],
        "owed": [one for rival in rivals for one in rival.data("operation", "list")],
    }
    sys.stdout.write(json.dumps(said))


def operators(folder: Path, databases: int, inventory: str) -> list[Product]:
    """Have so many databases with the same hosts, each with an image and a flavor."""
    made = []
    for number in range(databases):
        mine = folder / str(number)
        if number:
            beside(folder / "0", mine)
        else:
            a_stage(mine, HOSTS)
        # Nothing of the database is open where processes come to be.
        with on_stage(mine) as stage:
            rival = on_fakes(stage, inventory=inventory)
        disk = mine / "mini.raw"
        disk.write_bytes(bytes(4096))
        rival.ok("image", "create", "mini", "--file", str(disk))
        rival.ok("flavor", "create", "nano", "--ram", str(EACH), "--disk", "1")
        made.append(rival)
    return made


def create(rival: Product, name: str) -> str:
    """Want a server on the LAN, and say how that ended."""
    words = ("--flavor", "nano", "--image", "mini", "--network", "lan")
    ran = rival.run("--progress", "none", "server", "create", name, *words)
    return json.dumps([name, ran.code, ran.err[-1500:]])


def standing(stage: Path) -> list[dict[str, Any]]:
    """What the records on the hosts say of our servers, whoever made them."""
    found = []
    for host in HOSTS:
        machines = FakeFleet(stage / "hosts").picture(host)["machines"]
        for uuid, machine in machines.items():
            record = guest_of(uuid, machine).record
            if record is None:
                continue
            build = from_xml(record).build
            found.append(
                {
                    "host": host,
                    "name": build.name,
                    "memory": build.memory,
                    "macs": [one.mac for one in build.cards],
                    "addresses": [one for card in build.cards for one in card.addresses],
                }
            )
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
