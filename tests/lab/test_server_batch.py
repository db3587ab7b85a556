"""Batches, what decides beforehand, and what nobody else is to see."""

from __future__ import annotations

import json
import subprocess
import time
from base64 import b64encode
from pathlib import Path

import pytest

from tests.lab.outside import Lab
from tests.lab.servers import (
    Running,
    assert_clean,
    create,
    create_words,
    left,
    owed,
    servers,
    show,
)
from tests.lab.vmctl import Vmctl, argv

NET = ("--network", "default")
OFF = (*NET, "--no-start")
SECRET = "correct-horse-battery"  # noqa: S105 - it is to be found nowhere


def test_a_batch_ends_with_a_table_and_says_what_it_lacks(shared_lab: Lab, maker: Vmctl) -> None:
    maker.ok("quota", "set", "", "--instances", "3")

    made = create(maker, "web", *NET, "--min", "2", "--max", "5", "-f", "json")

    assert made.code == 0, made.err
    assert "warning: 3 of 5 are made: Quota exceeded for instances" in made.err
    assert [(row["Name"], row["Status"], row["Fault"]) for row in made.json] == [
        (f"web-{one}", "ACTIVE", None) for one in (1, 2, 3)
    ]
    assert len({row["Host"] for row in made.json}) > 1

    # One more is refused before any host is asked, and the names are taken.
    full = create(maker, "more", *NET)
    assert (full.code, len(servers(maker))) == (1, 3)
    assert "Requested 1, but already used 3 of 3 instances" in full.err
    taken = create(maker, "web", *NET, "--min", "3")
    assert taken.code == 1
    assert all(f"web-{one} (" in taken.err for one in (1, 2, 3))

    maker.ok("quota", "set", "", "--instances", "-1")
    more = create(maker, "web", *OFF, "--min", "4", "--if-not-exists", "-f", "json")
    assert more.code == 0
    assert [(row["Name"], row["Status"]) for row in more.json] == [
        *((f"web-{one}", "ACTIVE") for one in (1, 2, 3)),
        ("web-4", "SHUTOFF"),
    ]
    reservation = show(maker, "web-1")["OS-EXT-SRV-ATTR:reservation_id"]
    assert maker("server", "delete", "--reservation-id", reservation, "web-4").code == 0
    assert_clean(shared_lab)


def test_fewer_than_the_least_end_with_14_and_are_kept(shared_lab: Lab, maker: Vmctl) -> None:
    # Another's machine bears the name of one of them, on the only host that is asked for.
    shared_lab.do("inside", "kvm1", "sh", "-c", _STRANGER)
    try:
        ended = create(maker, "web", *OFF, "--min", "3", "-f", "json", on="kvm1")

        assert ended.code == 14
        assert [row["Status"] for row in ended.json] == ["SHUTOFF", "ERROR", "SHUTOFF"]
        assert "a machine named web-2 is there already" in ended.json[1]["Fault"]
        assert "warning: 2 of 3 servers are as far as was asked" in ended.err
        assert maker("server", "delete", "web-1", "web-2", "web-3").code == 0
        assert owed(maker) == []
        assert left(shared_lab, "kvm1").domains == {"web-2"}
    finally:
        shared_lab.do("inside", "kvm1", "virsh", "undefine", "web-2")
    assert_clean(shared_lab, "kvm1")


_STRANGER = """echo "<domain type='qemu'><name>web-2</name><memory unit='MiB'>1</memory>\
<os><type>hvm</type></os></domain>" | virsh define /dev/stdin"""


def test_saying_where_and_why_changes_nothing(shared_lab: Lab, maker: Vmctl) -> None:
    for way in ("--dry-run", "--explain"):
        ended = create(maker, "web", *NET, "--max", "2", way, "-f", "json")

        assert ended.code == 0
        assert [row["Name"] for row in ended.json] == ["web-1", "web-2"]
    assert "chosen" in ended.err
    none = create(maker, "web", *NET, "--min", "99", "--dry-run")
    assert none.code == 10
    assert servers(maker) == {}
    assert json.loads(maker.ok("events", "-f", "json")) == []
    assert owed(maker) == []
    assert_clean(shared_lab)


def test_debris_is_kept_on_demand_and_a_delete_takes_it_away(shared_lab: Lab, maker: Vmctl) -> None:
    run = Running(maker, *create_words("web", *NET, "--on-error", "keep", on="kvm1"))
    run.says("web: image")
    shared_lab.do("pool-full", "kvm1")
    ended = run.end()

    assert ended.code == 11, ended.err
    assert "what was made on kvm1 is kept; vmctl server delete web takes it away" in ended.err
    assert left(shared_lab, "kvm1").domains == {"web"}
    assert [one["State"] for one in owed(maker)] == ["stuck"]
    shared_lab.do("heal", "kvm1")
    assert maker("server", "delete", "web").code == 0
    assert owed(maker) == []
    assert_clean(shared_lab, "kvm1")


def test_progress_for_machines_and_none_at_all(shared_lab: Lab, maker: Vmctl) -> None:
    told = maker("--progress", "json", *create_words("a", *OFF, on="kvm1"), seconds=240)
    steps = [json.loads(line) for line in told.told]
    assert {(one["server"], one["host"]) for one in steps} == {("a", "kvm1")}
    assert [one["step"] for one in steps if one["step"] in ("define", "seed")] == ["define", "seed"]

    quiet = maker("--quiet", *create_words("b", *OFF, "-f", "value", "-c", "name", on="kvm1"))
    assert (quiet.code, quiet.out, quiet.err) == (0, "b\n", "")

    assert maker("server", "delete", "a", "b").code == 0
    assert_clean(shared_lab, "kvm1")


def test_secrets_stay_between_the_operator_and_the_guest(
    shared_lab: Lab, maker: Vmctl, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.write_text(f"#cloud-config\n# {SECRET}\n")
    words = create_words("web", *NET, "--password", "-", "--user-data", str(data), on="kvm2")
    seen = set()
    log = tmp_path / "err"
    with log.open("wb") as err:
        run = subprocess.Popen(
            argv("--debug", *words, "-f", "json"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=err,
            env=maker.environ,
            text=True,
        )
    assert run.stdin is not None
    run.stdin.write(f"{SECRET}\n")
    run.stdin.close()
    while run.poll() is None:
        seen |= set(_command_lines())
        time.sleep(0.05)
    assert run.stdout is not None
    shown = run.stdout.read()
    run.stdout.close()

    assert run.returncode == 0
    assert json.loads(shown)["adminPass"] == SECRET
    said = log.read_text()
    xml = shared_lab.virsh_ok("kvm2", "dumpxml", "--security-info", "web")
    vnc = xml.split("passwd='")[1].split("'")[0]
    hashed = "$6$"
    logs = [one.read_text() for one in maker.home.rglob("*.log")]
    assert logs
    for where in (*seen, *logs, said, maker.ok("events", "-f", "json")):
        assert SECRET not in where
        assert hashed not in where
        assert vnc not in where
    assert SECRET not in xml
    assert hashed not in xml
    db = b"".join(one.read_bytes() for one in maker.db.parent.glob("state.db*"))
    assert SECRET.encode() not in db
    assert b64encode(data.read_bytes()) not in db
    assert hashed.encode() not in db
    maker.ok("server", "delete", "web")
    assert_clean(shared_lab, "kvm2")


def _command_lines() -> list[str]:
    """What every process on this machine and on the hosts was started with."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(one.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--volume", "v"), "--volume is not there yet"),
        (("--flavor", "none", "--image", "none"), "No Flavor found for none\nNo Image found"),
        (("--network", "nowhere"), "nowhere"),
        (("--host", "kvm9"), "kvm9"),
        (("--wait-for", "ssh", "--no-start"), "exclude each other"),
    ],
    ids=lambda one: one if isinstance(one, str) else one[0],
)
def test_what_cannot_be_is_said_before_anything_is_done(
    maker: Vmctl, words: tuple[str, ...], said: str
) -> None:
    ended = create(maker, "web", *words)

    assert ended.code in (1, 2)
    assert said in ended.err
    assert servers(maker) == {}
