"""A real Debian with the real cloud-init takes all that our seed tells it, of either kind."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab import servers
from tests.lab.bases import clear
from tests.lab.outside import Lab, image, plain
from tests.lab.plan import lan_v6, network
from tests.lab.vmctl import Vmctl

PASSWORD = "correct horse: 'battery' $taple"  # noqa: S105 - the guest's own
CONTENT = b"what a file says\x00\xff\n'quoted' $HOME `id`\n"
ROLE = 'it\'s "proven"'
SCRIPT = """\
#!/bin/sh
echo "by $(id -un) on $(hostname)" > /root/by-script
"""
CONFIG = """\
#cloud-config
write_files:
  - {path: /root/by-config, content: "said by the operator\\n"}
runcmd:
  - [sh, -c, 'echo "by $(id -un) on $(hostname)" > /root/by-script']
"""
PATIENCE = 480
"""Seconds for a boot that takes 60 on an idle machine: others may be at work on it too."""

LOOK = r"""
set -e
say() { printf '%s\t%s\n' "$1" "$(base64 -w0)"; }
hostname | say hostname
ip -j addr | say addresses
{ ip -j route; ip -6 -j route; } | say routes
cat ~/.ssh/authorized_keys | say keys
cat /var/lib/cloud/data/instance-id | say instance
cat /run/cloud-init/result.json | say result
sudo getent shadow debian | cut -d: -f2 | say hash
sudo cat /root/by-script | say script
sudo cat /srv/kept/file | say file
stat -c '%a %U' /srv/kept/file | say mode
{ sudo cat /root/by-config || true; } 2>/dev/null | say config
sudo swapon --show=SIZE --noheadings --bytes | say swap
findmnt -no FSTYPE,SIZE -b /mnt | say mount
lsblk -bnrdo SIZE /dev/vda | say disk
sudo cloud-init query ds.meta_data.meta.role | say role
"""


def seen(vmctl: Vmctl, name: str, *way: str) -> dict[str, bytes]:
    """What the guest says of itself, by name; entered as an operator enters it."""
    key = ("-i", str(vmctl.lab.plan.key))
    ended = vmctl("ssh", name, *key, *way, "--", LOOK, seconds=180)
    assert ended.code == 0, ended.err
    pairs = (line.split("\t") for line in ended.out.splitlines())
    return {name: base64.b64decode(value) for name, value in pairs}


def address_set(found: bytes) -> set[str]:
    return {
        f"{one['local']}/{one['prefixlen']}"
        for link in json.loads(found)
        for one in link["addr_info"]
        if one["scope"] == "global"
    }


def hashed(password: str, like: str) -> str:
    """The password as crypt(3) has it, with the salt of another hash, by other means than ours."""
    salt = like.split("$")[2]
    done = subprocess.run(
        ["openssl", "passwd", "-6", "-salt", salt, "-stdin"],
        input=password,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@dataclass(frozen=True, kw_only=True)
class Booted:
    """An operator, and what `server create` printed of each kind of guest."""

    mine: Vmctl
    shown: dict[str, Any]


@pytest.fixture(scope="module")
def booted(
    shared_lab: Lab, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Booted]:
    """Two servers of a real Debian, one of each kind of seed, that boot side by side."""
    folder = tmp_path_factory.mktemp("debian")
    mine = servers.operator(shared_lab, folder / "home", model)
    try:
        yield Booted(mine=mine, shown=_boot(mine, folder))
    finally:
        servers.wipe(shared_lab)
        clear(shared_lab)


def _boot(mine: Vmctl, folder: Path) -> dict[str, Any]:
    for name, content in (("script", SCRIPT), ("config", CONFIG)):
        (folder / name).write_text(content)
    (folder / "file").write_bytes(CONTENT)
    debian = ("--file", str(image("debian")), "--property", "os_admin_user=debian")
    mine.ok("image", "create", "debian", *debian)
    mine.ok("flavor", "create", "m1.debian", "--ram", "512", "--disk", "2")
    lan, six = network(mine.lab.plan.lab, "lan"), lan_v6(mine.lab.plan.lab)
    common = (
        *("--flavor", "m1.debian", "--image", "debian", "--key-name", "lab", "-f", "json"),
        *("--file", f"/srv/kept/file={folder / 'file'}", "--property", f"role={ROLE}"),
        *("--wait-for", "cloud-init", "--timeout", str(PATIENCE), "--password", PASSWORD),
    )
    each = {
        # A card on the host's NAT and one on the LAN, both with what the plan gives them.
        "nocloud": (
            *("--host", "kvm1", "--network", "default", "--network", "lan"),
            *("--hostname", "first-of-two", "--user-data", str(folder / "script")),
        ),
        # A fixed address of each family, and disks beside the root's.
        "drive": (
            *("--host", "kvm2", "--nic", f"net-id=lan,v4-fixed-ip={lan}.77,v6-fixed-ip={six}77"),
            *("--use-config-drive", "--user-data", str(folder / "config")),
            *("--swap", "64", "--ephemeral", "size=1"),
        ),
    }
    runs = {
        name: servers.Running(mine, "server", "create", name, *words, *common)
        for name, words in each.items()
    }
    ended = {name: run.end(PATIENCE + 60) for name, run in runs.items()}
    assert {name: one.code for name, one in ended.items()} == dict.fromkeys(each, 0), ended
    return {name: one.json for name, one in ended.items()}


def judge(vmctl: Vmctl, shown: Any, guest: dict[str, bytes]) -> None:
    """See to it that a guest has what both of them were given."""
    public = vmctl.lab.plan.key.with_suffix(".pub").read_text().split()[1]
    assert public in guest["keys"].decode()
    assert guest["instance"].decode().strip() == shown["id"]
    assert guest["hash"].decode().strip() == hashed(PASSWORD, guest["hash"].decode())
    assert guest["file"] == CONTENT
    assert json.loads(guest["result"])["v1"]["errors"] == []
    assert int(guest["disk"]) == 2 * 2**30
    assert guest["role"].decode().strip() == ROLE


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE)
def test_a_real_debian_takes_all_of_a_nocloud_seed(booted: Booted) -> None:
    mine, shown = booted.mine, booted.shown["nocloud"]

    # Behind the host's NAT it is reached through the host.
    guest = seen(mine, "nocloud", "--address-type", "default")

    judge(mine, shown, guest)
    assert guest["hostname"].decode().strip() == "first-of-two"
    planned = {each for addresses in shown["addresses"].values() for each in addresses}
    assert {each.split("/")[0] for each in address_set(guest["addresses"])} == planned
    assert len(planned) == 3
    assert "DataSourceNoCloud" in json.loads(guest["result"])["v1"]["datasource"]
    assert guest["script"] == b"by root on first-of-two\n"


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE)
def test_a_real_debian_takes_all_of_a_config_drive(booted: Booted) -> None:
    mine, shown = booted.mine, booted.shown["drive"]
    lan, six = network(mine.lab.plan.lab, "lan"), lan_v6(mine.lab.plan.lab)

    guest = seen(mine, "drive")

    judge(mine, shown, guest)
    assert guest["hostname"].decode().strip() == "drive"
    assert address_set(guest["addresses"]) == {f"{lan}.77/24", f"{six}77/64"}
    assert "DataSourceConfigDrive" in json.loads(guest["result"])["v1"]["datasource"]
    assert guest["script"] == b"by root on drive\n"
    assert guest["config"] == b"said by the operator\n"
    routes = [route for line in guest["routes"].splitlines() for route in json.loads(line)]
    default = [route["gateway"] for route in routes if route["dst"] == "default"]
    assert default == [f"{lan}.1", f"{six}1"]
    assert int(guest["swap"]) == pytest.approx(64 * 2**20, rel=0.01)
    assert guest["mount"].split()[0] == b"ext4"
    # And without vmctl, as anyone with the key enters it.
    for address in (f"{lan}.77", f"{six}77"):
        options = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
        entered = plain(
            *("ssh", "-F", "none", *options, "-i", str(mine.lab.plan.key)),
            *(f"debian@{address}", "hostname"),
            seconds=60,
        )
        assert entered.stdout.strip() == "drive", entered.stderr
