"""`host check`: what stands between us and a host is named by its own step, with its remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.checks import DEBIAN, HOST, ROCKY, TRIAL, WELL, found, seen
from tests.support.probes import sample
from vmctl.domain.check import Finding, exit_code
from vmctl.domain.check_facts import Contact, Tried
from vmctl.domain.check_steps import STEPS, check
from vmctl.domain.sample import HostSample


def test_a_good_host_passes_every_step() -> None:
    findings = check(WELL)

    assert {finding.grade for finding in findings} == {"pass"}
    assert exit_code(findings) == 0
    assert list(dict.fromkeys(finding.step for finding in findings)) == [
        step.name for step in STEPS if step.name not in ("flavor", "cpus")
    ]


def test_every_ground_of_a_step_stands_before_it() -> None:
    names = [step.name for step in STEPS]

    for step in STEPS:
        assert all(names.index(need) < names.index(step.name) for need in step.needs)


@pytest.mark.parametrize(
    ("grades", "code"),
    [((), 0), (("pass", "skip"), 0), (("pass", "warn"), 16), (("warn", "fail", "pass"), 1)],
)
def test_the_worst_grade_is_the_exit_code(grades: tuple[str, ...], code: int) -> None:
    findings = [Finding(step="x", grade=grade, text="x") for grade in grades]  # type: ignore[arg-type] # the table has grades only

    assert exit_code(findings) == code


@pytest.mark.parametrize(
    ("step", "remedy"),
    [
        ("name", "ssh -G 192.0.2.2"),
        ("tcp", "nc -vz -w 5 192.0.2.2 22"),
        ("host key", "vmctl host trust kvm2"),
        ("login", "ssh-copy-id ops@192.0.2.2"),
    ],
)
def test_a_host_out_of_reach_fails_at_one_step_and_the_rest_is_skipped(
    step: str, remedy: str
) -> None:
    contact = Contact(address="192.0.2.2", user="ops", failed=step, said="it broke here")  # type: ignore[arg-type] # the table has steps only
    findings = check(replace(WELL, contact=contact, sample=None, trial=None))

    failed = [finding for finding in findings if finding.grade == "fail"]
    assert [(one.step, one.text, one.where) for one in failed] == [(step, "it broke here", "here")]
    assert (failed[0].remedy or "").startswith(remedy)
    after = findings[findings.index(failed[0]) + 1 :]
    assert after
    assert {(one.grade, one.text) for one in after} == {("skip", f"not looked at: {step!r} failed")}


@pytest.mark.parametrize(
    ("reason", "said", "remedy", "where"),
    [
        ("silent", "it says nothing", "sudo systemctl restart ssh || ", "host"),
        ("refused", "port 22 was refused", "sudo systemctl restart ssh || ", "host"),
        ("dropped", "sshd closed it", "echo 'MaxStartups 100:30:200' | sudo tee", "host"),
        ("timeout", "no answer within 5 s", "nc -vz -w 5 192.0.2.2 22", "here"),
        ("silent", "its jump host gate: it says nothing", "vmctl host ssh kvm2 -- true", "here"),
    ],
)
def test_a_port_that_lets_nobody_in_is_mended_where_the_fault_is(
    reason: str, said: str, remedy: str, where: str
) -> None:
    contact = Contact(address="192.0.2.2", user="ops", failed="tcp", said=said, reason=reason)
    facts = replace(WELL, contact=contact, sample=None, trial=None)

    one = found(facts, "tcp", "fail")

    assert (one.remedy or "").startswith(remedy)
    assert one.where == where


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("unknown", "vmctl host trust kvm2"),
        ("changed", "vmctl host trust kvm2 --fingerprint SHA256:new"),
        ("revoked", None),
    ],
)
def test_a_key_that_took_anothers_place_must_be_named_to_be_trusted(
    reason: str, remedy: str | None
) -> None:
    contact = Contact(failed="host key", said="no", reason=reason, key="SHA256:new")

    one = found(replace(WELL, contact=contact, sample=None, trial=None), "host key", "fail")

    assert one.remedy == remedy


def test_a_local_host_is_reached_without_ssh() -> None:
    local = replace(HOST, connection="local")

    assert found(replace(WELL, host=local), "login", "pass").text == "this very machine"


def test_a_login_that_does_not_run_what_it_is_given_fails_at_the_look() -> None:
    facts = replace(WELL, sample=None, sample_fault="kvm2 answered with something else: no shell")

    assert "usermod -s /bin/sh ops" in (found(facts, "look", "fail").remedy or "")


def test_a_sudo_that_asks_for_a_password_is_mended_in_sudoers() -> None:
    facts = replace(
        WELL,
        host=replace(HOST, become="sudo"),
        sample=None,
        sample_fault="sudo: a password is required",
    )

    assert "ops ALL=(root) NOPASSWD" in (found(facts, "look", "fail").remedy or "")


REFUSED = sample("lab-sudo-refused").libvirt_error


@pytest.mark.parametrize(
    ("base", "changes", "remedy"),
    [
        (DEBIAN, {"libvirt_error": REFUSED}, "sudo usermod -aG libvirt ops"),
        (
            DEBIAN,
            {"libvirt_error": "authentication unavailable: no polkit agent available"},
            "sudo usermod -aG libvirt ops",
        ),
        (
            DEBIAN,
            {"libvirt_error": "virsh is not installed"},
            "sudo apt-get install -y libvirt-daemon-system",
        ),
        (
            ROCKY,
            {"libvirt_error": "virsh is not installed"},
            "sudo dnf install -y libvirt qemu-kvm",
        ),
        (
            DEBIAN,
            {"libvirt_error": "No such file or directory", "sockets_seen": ()},
            "sudo systemctl enable --now libvirtd",
        ),
        (
            ROCKY,
            {"libvirt_error": "No such file or directory", "sockets_seen": ()},
            "sudo systemctl enable --now virtqemud.socket virtnetworkd.socket virtstoraged.socket",
        ),
        (
            DEBIAN,
            {"libvirt_error": "libvirt did not answer within 5 s"},
            "sudo systemctl restart libvirtd",
        ),
        (
            ROCKY,
            {"libvirt_error": "libvirt did not answer within 5 s"},
            "sudo systemctl restart virtqemud",
        ),
    ],
    ids=["group", "polkit", "apt", "dnf", "libvirtd", "virtqemud", "hangs", "modular hangs"],
)
def test_a_libvirt_that_does_not_answer_is_mended_as_its_distribution_does(
    base: HostSample, changes: dict[str, object], remedy: str
) -> None:
    facts = replace(WELL, sample=replace(base, **changes))  # type: ignore[arg-type] # the table has fields only

    assert (found(facts, "libvirt", "fail").remedy or "").startswith(remedy)
    assert found(facts, "pools", "skip").text == "not looked at: 'libvirt' failed"


def test_root_needs_no_sudo_to_mend() -> None:
    facts = replace(
        seen(libvirt_error="libvirt did not answer within 5 s"), contact=Contact(user="root")
    )

    assert found(facts, "libvirt", "fail").remedy == "systemctl restart libvirtd"


@pytest.mark.parametrize(
    ("tried", "grade", "word"),
    [
        (Tried(step="lease", fault="refused"), "pass", "someone else holds it"),
        (Tried(step="lease", fault="flock: cannot open: Permission denied"), "fail", "cannot open"),
        (Tried(step="lease", fault="the command is not there"), "fail", "not there"),
    ],
)
def test_a_lease_that_someone_holds_is_no_fault(tried: Tried, grade: str, word: str) -> None:
    facts = replace(WELL, trial=replace(TRIAL, lease=tried))

    assert word in found(facts, "lease", grade).text


def test_a_volume_that_cannot_be_written_takes_the_console_log_with_it() -> None:
    tried = Tried(step="upload", fault="Permission denied")
    facts = replace(WELL, trial=replace(TRIAL, volumes=(("default", tried),)))

    assert found(facts, "volumes", "fail").text == "default: upload failed: Permission denied"
    assert found(facts, "console log", "skip").text == "not looked at: 'volumes' failed"
