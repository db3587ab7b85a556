"""What vmctl writes for libvirt and for guests, taken by both: no step of vmctl's own is in it."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab.outside import Lab, plain
from tests.lab.written import DEFAULT, Written, written
from vmctl.domain.build import Volume
from vmctl.domain.spec import Secrets

HASH = "$6$vmctl$ofNoPasswordThatAnybodyKnows"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SCRIPT = Secrets(
    user_data=encoded("#!/bin/sh\necho done > /run/told\n"), files={"/run/a b": encoded("kept")}
)


def opens(address: str, port: int, *, seconds: float = 1.5) -> bool:
    try:
        socket.create_connection((address, port), seconds).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def closed(shared_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """A small guest from a NoCloud seed, with a filter, that serves port 8080."""
    folder = tmp_path_factory.mktemp("closed")
    with written(shared_lab, "kvm2", folder, number=61, secrets=SCRIPT, groups=(DEFAULT,)) as made:
        made.wait_ready(folder)
        made.ssh(made.four, "httpd -p 8080 -h /")
        yield made


@pytest.fixture(scope="module")
def wide_open(shared_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """The same from a config drive, and without a filter."""
    folder = tmp_path_factory.mktemp("open")
    with written(shared_lab, "kvm1", folder, number=62, secrets=SCRIPT, seed="config-2") as made:
        made.wait_ready(folder)
        made.ssh(made.four, "httpd -p 8080 -h /")
        yield made


@pytest.fixture(params=["closed", "wide_open"])
def made(request: pytest.FixtureRequest) -> Written:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Written)
    return found


def test_the_small_guest_takes_everything_from_its_seed(made: Written) -> None:
    for address in (made.four, made.six):
        told = made.ssh(address, "hostname; cat /run/told '/run/a b'")
        assert told == f"{made.name}\ndone\nkept"
    assert "via 198.18" in made.ssh(made.four, "ip route show default")


def test_a_filter_lets_a_stranger_reach_what_its_groups_say_and_no_more(closed: Written) -> None:
    for address in (closed.four, closed.six):
        assert plain("ping", "-c", "1", "-W", "3", address, seconds=9).returncode == 0
        assert opens(address, 22, seconds=5)
        assert not opens(address, 8080)


def test_without_a_filter_the_same_stranger_reaches_the_rest(wide_open: Written) -> None:
    for address in (wide_open.four, wide_open.six):
        assert opens(address, 8080, seconds=5)


def test_only_without_a_filter_a_guest_is_heard_from_another_address(
    closed: Written, wide_open: Written
) -> None:
    def heard(made: Written, version: int) -> bool:
        number = made.four.rsplit(".", 1)[1]
        four, six = made.four.rsplit(".", 1)[0], made.six.rsplit(":", 1)[0]
        other, prefix, gateway, ping = {
            4: (f"{four}.1{number}", 24, f"{four}.1", "ping"),
            6: (f"{six}:1{number}", 64, f"{six}:1", "ping6"),
        }[version]
        assert _hears(made, f"{ping} -c 3 -W 4 {gateway}")
        made.ssh(made.four, f"ip addr add {other}/{prefix} dev eth0; sleep 2")
        return _hears(made, f"{ping} -c 3 -W 4 -I {other} {gateway}")

    both = [closed, closed, wide_open, wide_open]
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(heard, both, [4, 6, 4, 6])) == [False, False, True, True]


def _hears(made: Written, ping: str) -> bool:
    """Whether any of three pings is answered: on a busy machine the first may come late."""
    said = made.ssh(made.four, f"{ping} 2>&1")
    assert "packets received" in said, said
    return " 0 packets received" not in said


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "number"), [("nocloud", 71), ("config-2", 72)])
def test_a_real_cloud_init_takes_everything_from_its_seed(
    lab: Lab, kind: str, number: int, tmp_path: Path, *, torture: bool
) -> None:
    if not torture:
        pytest.skip("two more boots of a real Debian, as server create's own test has them")
    secrets = Secrets(
        user_data=encoded("#cloud-config\nwrite_files: [{path: /root/theirs, content: t}]\n"),
        files={"/root/ours": encoded("o")},
        password_hash=HASH,
    )
    more = (
        Volume(name="e", role="ephemeral", size=64 * 2**20),
        Volume(name="s", role="swap", size=64 * 2**20),
    )
    with written(
        *(lab, "kvm1", tmp_path),
        kind="debian",
        user="debian",
        memory=512,
        number=number,
        secrets=secrets,
        more=more,
        seed=kind,
        groups=(DEFAULT,),
    ) as made:
        told = _settled(made)

        assert "status: done" in told, told + made.console(tmp_path)[-3000:]
        script = (
            "hostname; cat /root/theirs /root/ours; echo; ip route show default; ip -6 addr; "
            "cat /proc/swaps; findmnt -n /mnt; grep ^debian /etc/shadow; resolvectl dns; "
            "resolvectl domain; grep -i passwordauth /etc/ssh/sshd_config.d/*"
        )
        lines = [" ".join(line.split()) for line in made.ssh(made.four, script).splitlines()]
        found = "\n".join(lines)
        assert lines[:2] == [made.name, "to"], found
        assert made.six in found
        for each in ("default via 198.18", "/mnt /dev/vdb", "/dev/vdc", HASH, "198.51.100.53"):
            assert each in found, found
        assert "lan.example" in found
        assert "yes" in lines[-1], found


def _settled(made: Written) -> str:
    """What cloud-init says of itself once it is through; asked for as long as ssh is not there."""
    give_up = time.monotonic() + 400
    told = ""
    while time.monotonic() < give_up and "status:" not in told:
        time.sleep(5)
        told = made.ssh(made.four, "cloud-init status --wait --long")
    return told
