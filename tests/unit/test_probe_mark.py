"""When a quick look may hold on to what libvirt said before, and what it then says."""

from __future__ import annotations

import dataclasses

from tests.support.probes import NONCE, sample
from vmctl.adapters.probe import held_from, probe_script
from vmctl.adapters.probe_answer import parse_probe
from vmctl.domain.sample import HostSample, keep_facts

MARK = "cafe0123-0000-4000-8000-000000000000 " + " ".join(["1000000000.000000000"] * 5)
HELD = f"{NONCE} libvirt\n{NONCE} same\n{NONCE} end 0\n{NONCE} path /var/lib/libvirt/images\n"
DF = f"{NONCE} df\nFilesystem\n/dev/vda ext4 2048 1024 1024 50% /\n{NONCE} done\n"


def marked(now: float, stamp: str = "1000000000.000000001", rest: str = "") -> HostSample:
    said = f"/proc/uptime:{now - 1000000000} 3\n/proc/stat:btime 1000000000\n"
    text = f"{NONCE} begin quick\n{NONCE} files\n{said}{NONCE} mark\n{MARK} {stamp}\n"
    rest = rest or f"{NONCE} guests\n{NONCE} end 0\n{NONCE} done\n"
    return parse_probe(text + rest, NONCE, host="kvm1", taken_at=now)


def test_a_mark_counts_once_a_change_is_sure_to_alter_it() -> None:
    assert marked(1000000003.0).libvirt_mark == f"{MARK} 1000000000.000000001"
    assert marked(1000000002.0).libvirt_mark is None
    assert marked(1000000003.0, "1000000009.000000001").libvirt_mark is None
    assert marked(1000000003.0, "%.9Z").libvirt_mark is None
    assert marked(1000000003.0, "1000000000").libvirt_mark is None
    failed = f"{NONCE} guests\nerror: no\n{NONCE} end 0\n{NONCE} done\n"
    assert marked(1000000003.0, rest=failed).libvirt_mark is None
    assert marked(1000000003.0, rest=f"{NONCE} end 124\n").libvirt_mark is None


def test_an_answer_that_holds_on_to_a_look_says_the_same_with_the_room_of_now() -> None:
    full = sample("lab-plain-full")
    off = tuple(dataclasses.replace(one, active=one.name == "default") for one in full.networks)
    full = dataclasses.replace(full, networks=off, pools=full.pools[1:])

    text = f"{NONCE} begin quick\n{HELD}{DF}"
    seen = parse_probe(text, NONCE, host="kvm1", taken_at=1.0, held=full)
    kept = keep_facts(dataclasses.replace(seen, boot_id=full.boot_id), full)

    assert (kept.guests, kept.networks) == (full.guests, full.networks)
    assert kept.pools == (dataclasses.replace(full.pools[0], capacity=2, used=1, available=1),)
    assert (kept.threads, kept.problems, kept.libvirt_error) == (full.threads, (), None)


def test_an_answer_that_holds_on_to_no_look_is_an_error() -> None:
    seen = parse_probe(f"{NONCE} begin quick\n{HELD}{DF}", NONCE, host="kvm1", taken_at=1.0)

    assert seen.libvirt_error == "the answer speaks of a look that is not known"


def test_only_a_marked_look_that_told_all_that_is_asked_is_held_on_to() -> None:
    full = dataclasses.replace(sample("lab-plain-full"), libvirt_mark=MARK)
    block = dataclasses.replace(full.pools[0], type="logical")

    assert held_from(full, pools=["default"], wanted="quick") is full
    assert held_from(full, pools=["default"], wanted="full") is None
    assert held_from(full, pools=["nosuch"], wanted="quick") is None
    assert held_from(None, pools=[], wanted="quick") is None
    unmarked = dataclasses.replace(full, libvirt_mark=None)
    assert held_from(unmarked, pools=[], wanted="quick") is None
    unread = dataclasses.replace(full, facts_at=None)
    assert held_from(unread, pools=[], wanted="quick") is None
    for pool, held in ((block, False), (dataclasses.replace(block, active=False), True)):
        one = dataclasses.replace(full, pools=(pool,))
        assert (held_from(one, pools=[], wanted="quick") is one) is held
    assert f"mark='{MARK}'" in probe_script(nonce=NONCE, held=full)
    assert "mark=''" in probe_script(nonce=NONCE, held=full, images=True)


def test_a_libvirtd_has_longer_at_a_first_contact() -> None:
    for depth, seconds in (("quick", 5), ("full", 10)):
        text = f"{NONCE} begin {depth}\n{NONCE} libvirt\n{NONCE} end 124\n{NONCE} done\n"
        seen = parse_probe(text, NONCE, host="kvm1", taken_at=1.0)
        assert seen.libvirt_error == f"libvirt did not answer within {seconds} s"
