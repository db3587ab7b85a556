"""What is tried on a host: how the script is asked, and that any answer can be read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.checks import WELL
from tests.support.probes import NONCE
from vmctl.adapters.check import parse_trial, trial_script
from vmctl.domain.check import exit_code
from vmctl.domain.check_facts import KvmTrial, Trial, Tried
from vmctl.domain.check_steps import check
from vmctl.errors import ProbeError

TRIED = f"""
{NONCE} begin

{NONCE} who
ops
ops libvirt

{NONCE} lease
lease 1


{NONCE} nwfilter
nwfilter 0


{NONCE} volume default
create 0

upload 1
error: cannot upload to volume
error: Permission denied
download 1
error: cannot download
delete 0


{NONCE} kvm
unreadable /boot/vmlinuz-6.8.0
no-kernel

{NONCE} done
"""


def test_a_trial_is_read_with_its_first_fault() -> None:
    trial = parse_trial(TRIED, NONCE, host="kvm2")

    assert trial == Trial(
        user="ops",
        groups=("ops", "libvirt"),
        lease=Tried(step="lease", fault="refused"),
        nwfilter=Tried(),
        volumes=(
            ("default", Tried(step="upload", fault="cannot upload to volume; Permission denied")),
        ),
        kvm=KvmTrial(alive=None, said="the login may not read /boot/vmlinuz-6.8.0"),
    )


@pytest.mark.parametrize(
    ("lines", "alive", "said"),
    [
        ("kernel /k\npanicked 0", True, "a kernel booted"),
        ("ended 124 host\nqemu: terminating on signal 15", False, "a kernel hung"),
        ("ended 134 host\nMSR!\npanicked 0", True, "a kernel booted"),
        ("ended 134 host\nMSR!\nended 124 qemu64\n", False, "a kernel hung"),
        ("ended 1 host\nno\nended 1 qemu64\nneither", False, "QEMU ended with 1: no ended 1"),
        ("ended 0 host\n", False, "QEMU ended with 0"),
        ("no-device", False, "there is no /dev/kvm"),
        ("refused", None, "may not open /dev/kvm"),
        ("no-kernel", None, "no kernel was found"),
        ("no-emulator /usr/libexec/qemu-kvm", None, "there is no /usr/libexec/qemu-kvm"),
        ("kernel /k", None, "broke off"),
    ],
)
def test_only_a_kernel_that_spoke_proves_kvm(lines: str, said: str, *, alive: bool | None) -> None:
    trial = parse_trial(f"{NONCE} begin\n{NONCE} kvm\n{lines}\n", NONCE, host="kvm2")

    assert trial.kvm is not None
    assert trial.kvm.alive is alive
    assert said in trial.kvm.said


@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(
        st.one_of(
            st.sampled_from(TRIED.split("\n")),
            st.text(max_size=20),
            st.builds(
                lambda line, cut: line[:cut], st.sampled_from(TRIED.split("\n")), st.integers(0, 30)
            ),
        ),
        max_size=30,
    )
)
def test_any_text_is_a_trial_or_a_probe_error(lines: list[str]) -> None:
    try:
        trial = parse_trial("\n".join(lines), NONCE, host="kvm2")
    except ProbeError:
        assert f"{NONCE} begin" not in lines
        return
    assert exit_code(check(replace(WELL, trial=trial))) in (0, 1, 16)


def test_the_trial_script_quotes_what_it_is_given() -> None:
    script = trial_script(nonce=NONCE, pools=["it's $(x)", "b"], emulator="/usr/bin/q e")

    assert "pools='it'\"'\"'s $(x)\nb'\n" in script
    assert "emulator='/usr/bin/q e'\n" in script
