"""`vmctl host ssh` and `vmctl host trust`: the way in, and whose key is believed."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import time

import pytest

from tests.lab.outside import Lab
from tests.lab.vmctl import Ended, Vmctl, argv, findings

HOSTS = ("kvm1", "kvm2", "kvm3")
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
WRONG = "SHA256:" + "A" * 43


def shown_key(lab: Lab, host: str) -> str:
    """The fingerprint that the host's own console shows."""
    key = "/etc/ssh/ssh_host_ed25519_key.pub"
    return lab.do("inside", host, "ssh-keygen", "-lf", key).split()[1]


def asked(vmctl: Vmctl, *words: str, answer: str) -> Ended:
    """Run a command in a terminal and answer its one question."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        argv(*words), stdin=theirs, stdout=theirs, stderr=theirs, env=vmctl.environ, cwd=vmctl.home
    )
    os.close(theirs)
    said, answered, until = b"", False, time.monotonic() + 30
    while time.monotonic() < until:
        try:
            more = os.read(ours, 4096)
        except OSError:  # the terminal's other end is closed
            break
        if not more:
            break
        said += more
        if b"[y/N]" in said and not answered:
            answered = True
            os.write(ours, f"{answer}\n".encode())
    code = child.wait(timeout=10)
    os.close(ours)
    return Ended(code=code, out=said.decode(), err="", took=0)


@pytest.mark.parametrize(("host", "user"), [("kvm1", "root"), ("kvm2", "ops"), ("kvm3", "admin")])
def test_every_login_enters_and_runs_what_it_is_given(vmctl: Vmctl, host: str, user: str) -> None:
    quoted = vmctl("host", "ssh", host, "--", "printf", "<%s>", "a  b", "$HOME", "it's", "", "*")
    script = vmctl("host", "ssh", host, "--", "id -un; echo $((6*7)); cat; exit 7", stdin="in\n")

    assert (quoted.code, quoted.out) == (0, "<a  b><$HOME><it's><><*>")
    assert (script.code, script.out, script.err) == (7, f"{user}\n42\nin\n", "")


def test_an_exit_code_of_sshs_own_is_passed_through_where_the_key_is_right(vmctl: Vmctl) -> None:
    ended = vmctl("host", "ssh", "kvm1", "--", "exit 255")

    assert (ended.code, ended.err) == (255, "")


def test_a_changed_key_is_refused_everywhere_and_replaced_by_its_fingerprint_only(
    lab: Lab, vmctl: Vmctl
) -> None:
    vmctl = vmctl.changed()
    vmctl.ok("host", "list")
    true = shown_key(lab, "kvm2")
    lab.do("wrong-key", "kvm2")
    changed = shown_key(lab, "kvm2")
    mend = f"vmctl host trust kvm2 --fingerprint {changed}"

    listed = vmctl("host", "list", "--refresh", "--long", "-f", "json")
    checked = vmctl("host", "check", "kvm2", "-f", "json")
    entered = vmctl("host", "ssh", "kvm2", "--", "echo in")
    unsure = vmctl("host", "trust", "kvm2")
    yes = asked(vmctl, "host", "trust", "kvm2", answer="y")
    wrong = vmctl("host", "trust", "kvm2", "--fingerprint", WRONG)

    rows = {row["Host Name"]: row for row in listed.json}
    assert listed.code == 0
    assert rows["kvm2"]["State"] == "down"
    assert changed in rows["kvm2"]["Fault"]
    assert true in rows["kvm2"]["Fault"]
    assert [line.split(":")[0] for line in listed.told] == ["kvm2"]
    fault = findings(checked, "kvm2", "fail")["host key"]
    assert (checked.code, fault["Remedy"], fault["Where"]) == (1, mend, "here")
    assert changed in fault["Found"]
    assert (entered.code, entered.out) == (11, "")
    assert mend in entered.err
    for refused in (unsure, wrong):
        assert refused.code == 11
        assert changed in refused.err
    assert mend in unsure.err
    assert yes.code == 11
    assert "[y/N]" not in yes.out
    assert (vmctl.inventory.parent / "known_hosts").read_text() == lab.plan.known_hosts.read_text()

    pinned = vmctl(*mend.split()[1:])
    after = vmctl("host", "ssh", "kvm2", "--", "echo in")
    lab.do("wrong-key-undo", "kvm2")
    again = vmctl("host", "list", "--refresh", "--long", "-f", "json")

    assert pinned.code == 0
    assert f"pinned {changed}" in pinned.err
    assert (after.code, after.out) == (0, "in\n")
    assert true in {row["Host Name"]: row for row in again.json}["kvm2"]["Fault"]


def test_a_jump_hosts_changed_key_is_replaced_from_the_host_behind_it(
    lab: Lab, vmctl: Vmctl
) -> None:
    vmctl = vmctl.changed()
    lab.do("wrong-key", "kvm1")
    changed = shown_key(lab, "kvm1")

    refused = vmctl("host", "check", "kvm3", "-f", "json")
    remedy = findings(refused, "kvm3", "fail")["host key"]["Remedy"]
    pinned = vmctl(*remedy.split()[1:])
    after = vmctl("host", "ssh", "kvm3", "--", "hostname")

    assert remedy == f"vmctl host trust kvm3 --fingerprint {changed}"
    assert pinned.code == 0, pinned.err
    assert f"pinned {changed}" in pinned.err
    assert (after.code, after.out) == (0, "kvm3\n")


def test_a_key_that_is_not_known_is_pinned_once_somebody_says_that_it_is_right(
    vmctl: Vmctl,
) -> None:
    lab, vmctl = vmctl.lab, vmctl.changed()
    known = vmctl.inventory.parent / "known_hosts"
    known.write_text("")
    true = shown_key(lab, "kvm1")

    refused = vmctl("host", "ssh", "kvm1", "--", "true")
    nobody = vmctl("host", "trust", "kvm1")
    no = asked(vmctl, "host", "trust", "kvm1", answer="n")
    before = known.read_text()
    yes = asked(vmctl, "host", "trust", "kvm1", answer="y")
    again = vmctl("host", "trust", "kvm1")

    assert refused.code == 11
    assert f"the host key is not known; it shows ssh-ed25519 {true}" in refused.err
    assert nobody.code == 2
    assert f"vmctl host trust kvm1 --fingerprint {true}" in nobody.err
    assert "ssh-keygen -lf" in nobody.err
    assert no.code == 2
    assert "nothing was pinned" in no.out
    assert before == ""
    assert yes.code == 0
    assert true in yes.out
    assert set(FINGERPRINT.findall(yes.out)) == {true}
    assert "is trusted already" in again.err
    assert vmctl("host", "ssh", "kvm1", "--", "true").code == 0


def test_the_jump_host_is_trusted_before_what_is_behind_it(vmctl: Vmctl) -> None:
    lab, vmctl = vmctl.lab, vmctl.changed()
    known = vmctl.inventory.parent / "known_hosts"
    known.write_text("")
    keys = {host: shown_key(lab, host) for host in ("kvm1", "kvm3")}

    first = vmctl("host", "trust", "kvm3", "--fingerprint", keys["kvm1"])
    second = vmctl("host", "trust", "kvm3", "--fingerprint", keys["kvm3"])

    assert first.code == 2
    assert f"pinned {keys['kvm1']}" in first.err
    assert second.code == 0
    assert f"pinned {keys['kvm3']}" in second.err
    assert vmctl("host", "ssh", "kvm3", "--", "hostname").out == "kvm3\n"


def test_a_shell_is_entered_with_the_terminal_that_is_there(vmctl: Vmctl) -> None:
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        argv("host", "ssh", "kvm1"), stdin=theirs, stdout=theirs, stderr=theirs,
        env=vmctl.environ, cwd=vmctl.home, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, b"tty && echo $((40+2)) on $(hostname); exit 3\n")
    said = b""
    while True:
        try:
            said += os.read(ours, 4096)
        except OSError:
            break

    assert child.wait(timeout=20) == 3
    os.close(ours)
    assert b"/dev/pts/" in said
    assert b"42 on kvm1" in said
