"""To which CPUs a host's guests are bound, as a look at it tells."""

from __future__ import annotations

from vmctl.adapters.probe_answer import parse_probe
from vmctl.domain.sample_form import for_placing, from_plain, pins_in, to_plain

NONCE = "n0"
UUID = "00000000-0000-4000-8000-000000000001"


def test_the_cpus_that_a_guest_is_bound_to_are_told() -> None:
    text = (
        f"{NONCE} begin quick\n{NONCE} files\n/sys/devices/system/cpu/online:0-1,4-7\n"
        f"{NONCE} libvirt\n{NONCE} guests\n{UUID} a\n{NONCE} guest {UUID}\n"
        "<domain type='kvm'>\n  <memory unit='KiB'>65536</memory>\n"
        "  <vcpu placement='static'>2</vcpu>\n    <vcpupin vcpu='0' cpuset='4'/>\n"
        "    <vcpupin vcpu='1' cpuset='6'/>\n    <emulatorpin cpuset='0-1'/>\n"
        f"{NONCE} end 0\n{NONCE} done\n"
    )

    seen = parse_probe(text, NONCE, host="kvm1", taken_at=1.0)

    assert [one.pins for one in seen.guests] == ["0-1,4,6"]
    assert (seen.cpus, seen.cpus_online) == (6, "0-1,4-7")
    for read in (from_plain(to_plain(seen)), for_placing(to_plain(seen), ())):
        assert read is not None
        assert (read.guests, read.cpus_online) == (seen.guests, seen.cpus_online)
    assert pins_in(to_plain(seen)) == {0, 1, 4, 6}
