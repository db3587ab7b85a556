"""The probe: what recorded answers of hosts are read as, and that no text can break the reading."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.probes import NAMES, NONCE, answer, sample
from vmctl.adapters.probe import new_nonce, probe_script, quote_for_virsh
from vmctl.adapters.probe_answer import parse_probe
from vmctl.domain.sample import (
    Depth,
    FoundBridge,
    FoundPool,
    Stall,
    depth_to_ask,
    keep_facts,
)
from vmctl.domain.sample_form import brief, for_placing, from_plain, to_plain
from vmctl.errors import ProbeError

FORGED = "00000000-0000-4000-8000-00000000000"


@pytest.mark.parametrize("name", ["lab-root-quick", "lab-plain-full", "lab-sudo-full"])
def test_each_login_sees_the_whole_host(name: str) -> None:
    seen = sample(name)

    assert seen.problems == ()
    assert seen.libvirt_error is None
    assert (seen.cpus, seen.sockets, seen.cores, seen.threads) == (2, 1, 2, 1)
    assert seen.memory == 24684092 // 1024
    assert seen.arch == "x86_64"
    assert [(one.name, one.state, one.vcpus, one.memory) for one in seen.guests] == [
        ("legacy-db", "running", 1, 64),
        ("old-build", "off", 1, 64),
    ]


def test_a_quick_look_tells_of_the_pools_it_was_asked_about() -> None:
    seen = sample("lab-root-quick")

    assert [pool.name for pool in seen.pools] == ["default"]
    assert seen.pools[0].capacity == 8154588 // 1024
    assert seen.pools[0].available == 8137984 // 1024
    assert (seen.depth, seen.facts_at, seen.uefi) == ("quick", None, None)
    assert (seen.libvirt_uuid, seen.cpu_model, seen.libvirt_version) == (None, None, None)
    assert [(one.disk, one.autostart) for one in seen.guests] == [(None, None), (None, None)]


def test_a_full_look_tells_what_rarely_changes() -> None:
    seen = sample("lab-plain-full")

    assert seen.facts_at == seen.taken_at
    assert (seen.libvirt_version, seen.qemu_version) == ("9.0.0", "7.2.22")
    assert seen.qemu_number == 7002022
    assert seen.emulator == "/usr/bin/qemu-system-x86_64"
    assert seen.machine_id == (seen.libvirt_uuid or "").replace("-", "")
    assert [one.autostart for one in seen.guests] == [True, False]
    assert [(one.name, one.autostart, one.file_system) for one in seen.pools] == [
        ("archive", True, "ext4"),
        ("default", True, "ext4"),
    ]
    assert [(one.name, one.bridge, one.forward) for one in seen.networks] == [
        ("default", "virbr0", "nat"),
        ("storage-net", "virbr1", None),
    ]
    assert [guest.disk for guest in seen.guests] == [32, 4]
    assert (seen.uefi, seen.tpm, seen.max_startups) == (False, False, "10:30:100")
    assert FoundBridge(name="br-lan", filtered=False, filtered6=False) in seen.bridges
    assert seen.bridge_filter is True


def test_a_networks_switch_is_told() -> None:
    text = (
        f"{NONCE} begin full\n{NONCE} libvirt\n{NONCE} net 1\n  <name>ovs</name>\n"
        "  <forward mode='bridge'/>\n  <bridge name='ovs0'/>\n"
        f"  <virtualport type='openvswitch'/>\n{NONCE} end 0\n{NONCE} done\n"
    )

    (seen,) = parse_probe(text, NONCE, host="kvm1", taken_at=1.0).networks

    assert (seen.forward, seen.bridge, seen.virtualport) == ("bridge", "ovs0", "openvswitch")
    read = from_plain(to_plain(dataclasses.replace(sample("lab-plain-full"), networks=(seen,))))
    assert read is not None
    assert read.networks == (seen,)


def test_a_login_that_libvirt_refuses_is_told_in_libvirts_words() -> None:
    seen = sample("lab-sudo-refused")

    assert "Permission denied" in (seen.libvirt_error or "")
    assert seen.memory == 24684092 // 1024
    assert seen.sockets_seen == ("libvirt-sock",)
    assert seen.sockets_writable == ()
    assert seen.guests == ()


def test_a_libvirtd_that_hangs_does_not_hide_the_rest() -> None:
    seen = sample("libvirtd-hangs")

    assert seen.libvirt_error == "libvirt did not answer within 5 s"
    assert (seen.hostname, seen.cpus) == ("kvm2", 2)
    assert seen.load


@pytest.mark.parametrize(("depth", "seconds"), [("quick", 5), ("full", 10)])
def test_a_libvirtd_has_longer_at_a_first_contact(depth: Depth, seconds: int) -> None:
    text = f"{NONCE} begin {depth}\n{NONCE} libvirt\n{NONCE} end 124\n{NONCE} done\n"

    seen = parse_probe(text, NONCE, host="kvm1", taken_at=1.0)

    assert seen.libvirt_error == f"libvirt did not answer within {seconds} s"
    assert f"\nlimit={seconds}\n" in probe_script(nonce=NONCE, depth=depth)


def test_a_host_without_libvirt_says_so() -> None:
    seen = sample("no-libvirt")

    assert seen.libvirt_error == "virsh is not installed"
    assert seen.sockets_seen == ()
    assert seen.facts_at is None


def test_a_kernel_without_psi_is_no_problem() -> None:
    seen = sample("no-pressure")

    assert (seen.psi_cpu, seen.psi_memory, seen.psi_io) == (None, None, None)
    assert seen.problems == ()
    assert sample("lab-root-quick").psi_memory == Stall()


def test_names_of_machines_are_read_to_the_letter() -> None:
    names = [guest.name for guest in sample("hostile-full").guests]

    assert 'it\'s "quoted" <b> $(touch owned) `x`; destroy legacy-db' in names
    assert "-rf --all" in names
    assert "žluťoučký kůň ☃" in names
    assert "error: no such thing" in names


@pytest.mark.parametrize("name", ["hostile-quick", "hostile-full"])
def test_metadata_can_neither_open_a_section_nor_shrink_its_machine(name: str) -> None:
    seen = sample(name)
    forger = next(guest for guest in seen.guests if guest.name == "forger")

    assert (forger.vcpus, forger.memory) == (2, 96)
    assert forger.record is None
    assert len(seen.guests) == 7
    assert seen.libvirt_error is None


def test_our_record_is_taken_from_metadata_word_for_word() -> None:
    records = [guest.record for guest in sample("hostile-quick").guests if guest.record]

    assert len(records) == 1
    assert records[0].startswith('<vmctl:server xmlns:vmctl="urn:vmctl:server:1">')
    assert '<claim vcpus="2" memory="96" disk="1024"/>' in records[0]
    assert records[0].endswith("</vmctl:server>")


def test_a_base_image_counts_once_its_marker_is_there() -> None:
    pool = sample("hostile-quick").pool("default")

    assert pool is not None
    assert pool.base_images == ("vmctl-base-" + "7".zfill(64),)


def test_a_pool_that_is_not_active_has_no_room_and_a_missing_one_is_told() -> None:
    seen = sample("hostile-quick")
    idle = seen.pool("idle")

    assert isinstance(idle, FoundPool)
    assert (idle.active, idle.capacity, idle.available) == (False, None, None)
    assert seen.pool('it\'s "odd"') is not None
    assert seen.pool("nosuch") is None
    assert any("no storage pool with matching name 'nosuch'" in one for one in seen.problems)
    assert seen.libvirt_error is None


def test_rocky_9_as_its_documentation_has_it() -> None:
    seen = sample("rocky-9-full.unseen")

    assert (seen.os_id, seen.os_version, seen.selinux) == ("rocky", "9.4", True)
    assert seen.emulator == "/usr/libexec/qemu-kvm"
    assert "virtqemud-sock" in seen.sockets_writable
    assert (seen.cpus, seen.numa_cells, seen.arch) == (32, 2, "x86_64")
    assert (seen.hugepages, seen.hugepages_free) == (8192, 2048)
    assert (seen.bridge_filter, seen.psi_cpu) == (None, None)
    assert (seen.uefi, seen.secure_boot, seen.tpm) == (True, True, True)
    assert seen.problems == ()


def test_the_clock_of_a_quick_look_comes_from_boot_time_and_uptime() -> None:
    seen = parse_probe(
        f"{NONCE} begin quick\n{NONCE} files\n/proc/uptime:12.50 3\n/proc/stat:btime 1000\n"
        f"/proc/stat:cpu 10 0 10 70 0 0 0 10 5 0\n{NONCE} done\n",
        NONCE,
        host="kvm1",
        taken_at=1010.0,
    )

    assert seen.clock == 1012.5
    assert seen.clock_skew == 2.5
    assert seen.steal == 10.0


def test_an_answer_that_breaks_off_is_used_as_far_as_it_goes() -> None:
    text = answer("lab-root-quick")
    seen = parse_probe(text[: text.index(f"{NONCE} node")], NONCE, host="kvm1", taken_at=1.0)

    assert seen.hostname == "kvm1"
    assert "the answer ends early" in seen.problems
    assert seen.libvirt_error is not None


def test_machines_that_libvirt_named_and_did_not_describe_are_an_error() -> None:
    lines = answer("lab-root-quick").split("\n")
    kept = [line for line in lines if not line.startswith("  <memory")]
    seen = parse_probe("\n".join(kept), NONCE, host="kvm1", taken_at=1.0)

    assert seen.libvirt_error == "libvirt did not describe 2 of its machines"


@pytest.mark.parametrize("text", ["", "This account is currently not available.\n"])
def test_a_login_that_runs_something_else_is_an_error_with_what_it_said(text: str) -> None:
    with pytest.raises(ProbeError, match="kvm1 answered with something else") as caught:
        parse_probe(text, NONCE, host="kvm1", taken_at=1.0)

    assert text.strip() in caught.value.message
    assert caught.value.exit_code == 11


def test_an_answer_with_another_nonce_is_none() -> None:
    with pytest.raises(ProbeError):
        parse_probe(answer("lab-root-quick"), new_nonce(), host="kvm1", taken_at=1.0)


LINES = sorted({line for name in NAMES for line in answer(name).split("\n")})
TITLES = sorted({line for line in LINES if line.startswith(NONCE)})
ODD = st.one_of(
    st.text(max_size=40),
    st.sampled_from(LINES),
    st.sampled_from(TITLES),
    st.builds(lambda title, word: title + word, st.sampled_from(TITLES), st.text(max_size=8)),
    st.builds(lambda line, cut: line[:cut], st.sampled_from(LINES), st.integers(0, 60)),
    st.builds(
        lambda line, digits: "".join(digits if c.isdigit() else c for c in line),
        st.sampled_from(LINES),
        st.sampled_from(["", "9" * 30, "-1", "²", "nan", "1e999", "inf"]),
    ),
)


@settings(max_examples=300, deadline=None)
@given(lines=st.lists(ODD, max_size=60), begun=st.booleans())
def test_any_text_is_a_sample_or_a_probe_error(lines: list[str], *, begun: bool) -> None:
    text = "\n".join([f"{NONCE} begin full"] * begun + lines)

    try:
        seen = parse_probe(text, NONCE, host="kvm1", taken_at=1.0)
    except ProbeError:
        assert not begun
        return
    again = from_plain(json.loads(json.dumps(to_plain(seen), allow_nan=False)))
    assert again == seen


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_outlives_its_record(name: str) -> None:
    seen = sample(name)

    assert from_plain(json.loads(json.dumps(to_plain(seen)))) == seen


def test_a_record_with_missing_and_wrong_values_reads_as_if_they_were_not_said() -> None:
    plain = to_plain(sample("lab-plain-full"))
    del plain["memory"]
    plain |= {"cpus": "two", "load": 3, "guests": [[None, "no uuid"], 7], "from_tomorrow": 1}

    seen = from_plain(plain)

    assert seen is not None
    assert (seen.memory, seen.cpus, seen.load, seen.guests) == (None, None, (), ())
    assert seen.hostname == "kvm2"
    assert from_plain({**plain, "version": 2}) is None
    assert from_plain({"version": 1}) is None


@pytest.mark.parametrize("uuid", [None, 7, ["a"], {}])
def test_a_guest_whose_uuid_is_no_text_is_not_there_in_any_reading(uuid: object) -> None:
    guests = [[uuid, "odd"], [], "none", ["theirs", "foreign"], ["mine", "own"]]
    plain = {"version": 1, "taken_at": 1.0, "guests": guests}

    readings = (brief(plain, {"mine"}, "default"), for_placing(plain, {"mine"}))

    assert [[guest.uuid for guest in seen.guests] for seen in readings if seen] == [["theirs"]] * 2


def test_a_quick_look_keeps_the_facts_of_the_last_full_one_of_the_same_boot() -> None:
    full = sample("lab-plain-full")
    quick = dataclasses.replace(
        sample("lab-root-quick"), boot_id=full.boot_id, networks=(), memory=1
    )

    kept = keep_facts(quick, full)

    assert (kept.memory, kept.uefi, kept.facts_at) == (1, False, full.taken_at)
    assert [pool.name for pool in kept.pools] == ["default", "archive"]
    assert [(one.name, one.active) for one in kept.networks] == [
        ("default", False),
        ("storage-net", False),
    ]
    assert (kept.libvirt_uuid, kept.cpu_model) == (full.libvirt_uuid, full.cpu_model)
    assert keep_facts(dataclasses.replace(quick, boot_id="another"), full).uefi is None


def test_a_quick_look_keeps_of_its_machines_and_images_what_it_did_not_ask() -> None:
    full = sample("hostile-full")
    quick = dataclasses.replace(
        sample("hostile-quick"),
        pools=(FoundPool(name="default", active=True, available=7),),
        guests=tuple(dataclasses.replace(one, state="off") for one in full.guests[:2]),
    )

    kept = keep_facts(quick, full)

    pool = kept.pool("default")
    assert pool is not None
    assert (pool.available, pool.autostart) == (7, True)
    assert pool.base_images == ("vmctl-base-" + "7".zfill(64),)
    assert kept.guests == tuple(dataclasses.replace(one, state="off") for one in full.guests[:2])


def test_who_a_host_is_outlives_its_boot() -> None:
    full = sample("lab-plain-full")
    quick = dataclasses.replace(
        sample("lab-root-quick"), boot_id="another", machine_id=full.machine_id
    )

    kept = keep_facts(quick, full)

    assert (kept.libvirt_uuid, kept.facts_at) == (full.libvirt_uuid, None)
    assert keep_facts(dataclasses.replace(quick, machine_id="x"), full).libvirt_uuid is None


def test_a_host_is_looked_at_fully_until_its_facts_are_told() -> None:
    assert depth_to_ask("quick", None) == "full"
    assert depth_to_ask("quick", sample("lab-root-quick")) == "full"
    assert depth_to_ask("quick", sample("lab-plain-full")) == "quick"


def test_machines_are_not_forgotten_while_libvirt_does_not_answer() -> None:
    full = sample("lab-plain-full")
    hung = dataclasses.replace(sample("libvirtd-hangs"), boot_id=full.boot_id)

    kept = keep_facts(hung, full)

    assert kept.guests == full.guests
    assert kept.networks == full.networks
    assert [pool.name for pool in kept.pools] == ["archive", "default"]
    assert kept.libvirt_error is not None


def test_what_is_asked_of_virsh_is_quoted_whatever_a_pool_is_called() -> None:
    script = probe_script(nonce=NONCE, pools=["it's; destroy x"], known=["not a uuid; x"])

    assert quote_for_virsh("it's") == r"'it'\''s'"
    assert "not a uuid" not in script


@pytest.mark.parametrize("shell", [["dash"], ["bash"], ["bash", "--posix"], ["busybox", "sh"]])
def test_every_shell_reads_the_script(shell: list[str]) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} here")
    script = probe_script(nonce=NONCE, depth="full", uri="test:///nowhere", pools=["a'b"])

    done = subprocess.run(
        [*shell, "-s"], input=script, capture_output=True, text=True, check=False, timeout=30
    )

    assert (done.returncode, done.stderr) == (0, "")
    seen = parse_probe(done.stdout, NONCE, host="here", taken_at=1.0)
    assert seen.memory
    assert seen.cpus
    assert seen.boot_id
    assert seen.libvirt_error
    assert "the answer ends early" not in seen.problems
