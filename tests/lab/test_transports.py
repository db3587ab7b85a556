"""Both ways to every login: scripts over ssh, and libvirt."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.outside import Lab
from tests.lab.reach import EVERY_LOGIN, Reach, ends_within, operator
from vmctl.adapters.ssh_connect import CHANNELS
from vmctl.errors import HostUnreachable, LoginRefused, RemoteFailed
from vmctl.services.fanout import Failed, Ok, fanout


@pytest.mark.parametrize(("name", "who"), [("kvm1", "root"), ("kvm2", "ops"), ("kvm3", "root")])
def test_scripts_run_as_whom_the_inventory_says(reach: Reach, name: str, who: str) -> None:
    assert reach.run(name, "id -un; uname -n").split() == [who, name]


def test_sudo_may_be_left_out_for_one_script(reach: Reach) -> None:
    assert reach.run("kvm3", "id -un", become=False) == "admin\n"


@pytest.mark.parametrize("name", EVERY_LOGIN)
def test_libvirt_is_reached_on_every_login(reach: Reach, name: str) -> None:
    connection = reach.libvirt.connection(reach.host(name))

    assert connection.getHostname() == name
    assert connection.listAllDomains()
    assert reach.libvirt.connection(reach.host(name)) is connection


def test_libvirt_is_reached_with_a_pinned_fingerprint_in_a_folder_with_an_awkward_name(
    shared_lab: Lab, tmp_path: Path
) -> None:
    with operator(shared_lab, tmp_path / "it's 100%h") as mine:
        key = mine.shells.ssh(mine.host("kvm3")).verified_key()
        pinned = mine.host("kvm3", name="again", host_key=(key.fingerprint,), known_hosts=None)

        assert mine.libvirt.connection(pinned).getHostname() == "kvm3"


def test_a_connection_to_libvirt_that_died_is_opened_anew(reach: Reach) -> None:
    host = reach.host("kvm2")
    before = reach.libvirt.connection(host)

    reach.lab.do("restart-libvirt", "kvm2")

    assert reach.libvirt.connection(host) is not before
    assert reach.libvirt.connection(host).getHostname() == "kvm2"


@pytest.mark.parametrize("name", EVERY_LOGIN)
def test_what_only_the_host_reaches_is_reached_through_it(reach: Reach, name: str) -> None:
    shell = reach.shells.shell(reach.host(name))
    passage = shell.reach("127.0.0.1", 22)
    said = passage.read()
    passage.close()
    with pytest.raises(RemoteFailed) as told:
        shell.reach("127.0.0.1", 9)

    assert said.startswith(b"SSH-2.0-OpenSSH")
    assert passage.read() == b""
    assert (told.value.host, told.value.reason) == (name, "port")
    assert "127.0.0.1 port 9" in told.value.message


@pytest.mark.parametrize("name", EVERY_LOGIN)
def test_exit_codes_streams_and_stdin_arrive(reach: Reach, name: str) -> None:
    data = bytes(range(256)) * 20_000

    done = reach.shells.shell(reach.host(name)).run(
        "cat; echo said >&2; exit 9", stdin=data, timeout=20
    )

    assert done.stdout == data
    assert (done.stderr, done.exit_code) == (b"said\n", 9)


def test_output_is_bounded_and_the_connection_lives_on(reach: Reach) -> None:
    error = ends_within(20, lambda: reach.run("kvm1", "head -c 9M /dev/zero; sleep 60"))

    assert isinstance(error, RemoteFailed)
    assert error.reason == "output"
    assert reach.run("kvm1", "echo on") == "on\n"


def test_a_command_that_hangs_ends_here_and_there(reach: Reach) -> None:
    error = ends_within(3, lambda: reach.run("kvm3", "echo $$ >/tmp/hung; sleep 600", timeout=1))

    assert isinstance(error, RemoteFailed)
    assert error.reason == "timeout"
    # The host's own timeout ends it within three seconds more.
    script = (
        'for i in 1 2 3 4 5; do kill -0 "$(cat /tmp/hung)" 2>&- || exit 0; sleep 1; done; exit 1'
    )
    assert reach.shells.shell(reach.host("kvm3")).run(script).exit_code == 0


def test_sessions_on_a_connection_stay_below_what_sshd_grants(reach: Reach) -> None:
    shell = reach.shells.shell(reach.host("kvm2"))
    outcomes: list[object] = []

    def run(number: int) -> None:
        try:
            outcomes.append(shell.run(f"sleep 0.3; echo {number}").text)
        except Exception as error:  # noqa: BLE001 - told below
            outcomes.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(map(str, outcomes)) == sorted(f"{number}\n" for number in range(20))
    assert CHANNELS == 8


def test_connects_that_sshd_drops_to_shed_load_are_tried_again(
    shared_lab: Lab, tmp_path: Path
) -> None:
    operators = [operator(shared_lab, tmp_path, limit=30) for _ in range(40)]
    reaches = [each.__enter__() for each in operators]

    def shed() -> int:
        return shared_lab.do("inside", "kvm1", "cat", "/var/log/libvirt/sshd.log").count(
            "MaxStartups"
        )

    before = shed()
    outcomes: list[str] = []
    gate = threading.Barrier(40)

    def run(mine: Reach) -> None:
        gate.wait()
        try:
            outcomes.append(mine.run("kvm1", "echo in"))
        except Exception as error:  # noqa: BLE001 - told below
            outcomes.append(repr(error))

    threads = [threading.Thread(target=run, args=(mine,)) for mine in reaches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in operators:
        each.__exit__(None, None, None)

    assert outcomes == ["in\n"] * 40
    # Or the test would prove nothing: sshd did shed some of them.
    assert shed() > before


def test_hosts_behind_one_jump_host_share_the_connection_to_it(reach: Reach) -> None:
    hosts = [reach.host("kvm3", name=f"behind{number}") for number in range(6)]
    count = "pgrep -c -f '^sshd: root'"
    before = int(reach.run("kvm1", count))

    done = fanout(lambda host: reach.shells.shell(host).run("true").exit_code, hosts)

    assert all(outcome == Ok(0) for outcome in done.values())
    assert int(reach.run("kvm1", count)) - before <= 2


def test_a_login_without_the_right_is_told_with_its_remedy(reach: Reach, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    foreign = reach.host("kvm2", name="foreign", identity_file=str(other))
    nothing = reach.host("kvm2", name="nothing", identity_file=str(tmp_path / "none"))
    sudo = reach.host("kvm2", name="sudo", become="sudo")
    bare = reach.host("kvm3", name="bare", become="none")

    found = {
        host.name: ends_within(8, lambda host=host: reach.shells.shell(host).run("true"))  # type: ignore[misc]  # a default argument binds the loop's value
        for host in (foreign, nothing, sudo)
    }
    found["bare"] = ends_within(8, lambda: reach.libvirt.connection(bare))

    assert {name: getattr(error, "reason", "") for name, error in found.items()} == {
        "foreign": "denied",
        "nothing": "no-key",
        "sudo": "sudo",
        "bare": "libvirt-rights",
    }
    assert all(isinstance(error, LoginRefused) and error.hint for error in found.values())


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    sock = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(sock)], stdout=subprocess.DEVNULL)
    while not sock.exists():
        assert process.poll() is None
    monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))
    yield sock
    process.terminate()
    process.wait()


def test_a_key_with_a_passphrase_needs_an_agent_and_works_with_one(
    reach: Reach, shared_lab: Lab, tmp_path: Path, agent: Path
) -> None:
    locked = tmp_path / "locked"
    locked.write_bytes(shared_lab.plan.key.read_bytes())
    locked.chmod(0o600)
    locked.with_suffix(".pub").write_bytes(shared_lab.plan.key.with_suffix(".pub").read_bytes())
    change = ["ssh-keygen", "-q", "-p", "-N", "hunter2", "-f", str(locked)]
    subprocess.run(change, check=True, capture_output=True)

    error = ends_within(
        8, lambda: reach.shells.shell(reach.host("kvm2", identity_file=str(locked))).run("true")
    )

    assert isinstance(error, LoginRefused)
    assert (error.reason, error.hint) == ("locked-key", f"ssh-add {locked}")

    environ = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    subprocess.run(["ssh-add", "-q", str(shared_lab.plan.key)], check=True, env=environ)

    assert reach.run("kvm2", "id -un") == "ops\n"
    assert reach.libvirt.connection(reach.host("kvm2", name="n", identity_file=str(locked)))


def test_what_cannot_be_reached_is_told_apart(reach: Reach) -> None:
    hosts = {
        "name": reach.host("kvm1", name="name", address="no-such-host.invalid"),
        "refused": reach.host("kvm1", name="refused", port=2),
        "jump": reach.host("kvm3", name="jump", port=2),
    }

    done = fanout(lambda host: reach.shells.shell(host).run("true"), hosts.values())

    for reason, outcome in done.items():
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, HostUnreachable)
        assert (outcome.error.reason, bool(outcome.error.hint)) == (reason, True)


def test_a_proxy_command_leads_both_stacks_to_the_host(reach: Reach, tmp_path: Path) -> None:
    config = tmp_path / "my config"
    lab = reach.lab.plan
    proxy = f"ProxyCommand ssh -F {lab.ssh_config} -W %h:%p kvm1"
    config.write_text(lab.ssh_config.read_text().replace("ProxyJump kvm1", proxy))
    host = reach.host("kvm3", ssh_config=str(config))

    assert [hop.alias for hop in reach.shells.route(host).hops] == ["kvm3"]
    assert reach.shells.shell(host).run("uname -n").text == "kvm3\n"
    assert reach.libvirt.connection(host).getHostname() == "kvm3"


def test_a_proxy_command_that_ends_is_told(reach: Reach, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host kvm3\n  ProxyCommand false\n")
    host = reach.host("kvm3", ssh_config=str(config))

    error = ends_within(5, lambda: reach.shells.shell(host).run("true"))

    assert isinstance(error, HostUnreachable)
    assert error.reason == "proxy"
