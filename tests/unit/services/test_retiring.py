"""Hosts that never come back, with a real database and hosts that are folders."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from paramiko import RSAKey, ServerInterface, SSHException, Transport

from tests.support.stage import CREATION, SPEC, Stage, a_stage, create, on_stage
from tests.support.stores import ACTOR, a_new, begin
from vmctl.adapters.prober import ShellProber
from vmctl.adapters.ssh import Jumps, SshShell
from vmctl.adapters.ssh_config import Hop, Route
from vmctl.domain.host import Host
from vmctl.domain.host_record import Sighting
from vmctl.domain.operation import OperationState
from vmctl.domain.record import AttemptState, ServerState
from vmctl.errors import Busy, Conflict, HostError, HostKeyError, HostUnreachable, NotFound
from vmctl.sagas import CREATE
from vmctl.services.delete import delete_server
from vmctl.services.recovery import resume
from vmctl.services.retiring import Retired, held_on, refuse_alive, retire


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path)
    with on_stage(tmp_path) as opened:
        yield opened


def write_off(stage: Stage, host: str = "kvm1") -> Retired:
    holdings = held_on(host, stage.hosts, stage.sql)
    return retire(host, holdings, stage.world, actor=ACTOR, owner="bob@desk", reason="burnt")


def die(_: object) -> None:
    raise KeyboardInterrupt


def killed_at(stage: Stage, step: str, host: str = "kvm1") -> None:
    """Have a create die before this step on that host, as a killed process leaves it."""
    steps = tuple(replace(one, do=die) if one.name == step else one for one in CREATE.steps)
    with pytest.raises(KeyboardInterrupt):
        create(stage, saga=replace(CREATE, steps=steps), only=host)


def held(stage: Stage) -> tuple[int, int]:
    scopes = ("nat@kvm1", "nat@kvm2", "lan")
    return len(stage.sql.claims()), sum(len(stage.sql.addresses(one)) for one in scopes)


def states(stage: Stage) -> list[AttemptState]:
    return [one.state for one in stage.sql.attempts(SPEC.id)]


def test_its_servers_are_deleted_and_hold_nothing_any_more(stage: Stage) -> None:
    create(stage)
    stage.fleet.set_down("kvm1", down=True)

    done = write_off(stage)

    assert [one.name for one in done.deleted] == [SPEC.name]
    assert (stage.sql.servers(), held(stage)) == ((), (0, 0))
    assert stage.sql.server(SPEC.id).state is ServerState.DELETED
    assert stage.sql.operations(unfinished=True) == ()
    assert states(stage) == [AttemptState.RELEASED]
    record = stage.sql.host("kvm1")
    assert (record.enabled, record.reason) == (False, "burnt")
    told = [(one.action, one.result) for one in stage.sql.events(server=SPEC.id)]
    assert told[-1] == ("host-retire", "done")


def test_a_delete_that_it_never_answered_is_owed_no_more(stage: Stage) -> None:
    create(stage)
    stage.fleet.set_down("kvm1", down=True)
    assert delete_server(stage.recovery, stage.sql.server(SPEC.id)).owed == "kvm1"
    assert held(stage)[0] == 1

    done = write_off(stage)

    assert ([one.id for one in done.cleaned], done.deleted) == ([SPEC.id], ())
    assert (stage.sql.owed(), held(stage)) == ((), (0, 0))
    assert stage.sql.operations(unfinished=True) == ()


def test_a_server_that_went_elsewhere_stays_and_only_its_debris_is_written_off(
    stage: Stage,
) -> None:
    def fail(_: object) -> None:
        stage.fleet.set_down("kvm1", down=True)
        raise HostUnreachable("kvm1", "kvm1 did not answer")

    steps = tuple(replace(one, do=fail) if one.name == "disks" else one for one in CREATE.steps)
    create(stage, saga=replace(CREATE, steps=steps))
    assert states(stage) == [AttemptState.OWED, AttemptState.BEGUN]

    done = write_off(stage)

    assert ([one.id for one in done.cleaned], done.deleted) == ([SPEC.id], ())
    server = stage.sql.server(SPEC.id)
    assert (server.state, server.host) == (ServerState.ACTIVE, "kvm2")
    assert states(stage) == [AttemptState.RELEASED, AttemptState.BEGUN]
    assert stage.sql.operations(unfinished=True) == ()
    assert held(stage) == (1, 2)


def test_what_another_host_is_owed_stays_owed(stage: Stage) -> None:
    def lose(call: str) -> str:
        host, _, what = call.partition(" ")
        if what == "volume":
            stage.fleet.set_down(host, down=True)
            raise HostUnreachable(host, f"{host} did not answer")
        return ""

    stage.fleet.lose = lose
    create(stage)
    create_failed = stage.sql.server(SPEC.id)
    assert states(stage) == [AttemptState.OWED, AttemptState.OWED]

    write_off(stage, "kvm1")
    between = stage.sql.operation(CREATION).state, held(stage)
    write_off(stage, "kvm2")

    assert between == (OperationState.OWED, (1, 2))
    assert (stage.sql.operations(unfinished=True), held(stage)) == ((), (0, 0))
    server = stage.sql.server(SPEC.id)
    assert (server.state, server.fault) == (ServerState.ERROR, create_failed.fault)


@pytest.mark.parametrize("step", ["define", "disks", "start", "autostart"])
def test_a_create_that_died_there_is_ended_with_it(stage: Stage, step: str) -> None:
    killed_at(stage, step)

    done = write_off(stage)

    assert [one.id for one in done.deleted] == [SPEC.id]
    assert (stage.sql.servers(), held(stage)) == ((), (0, 0))
    assert stage.sql.operation(CREATION).state is OperationState.UNWOUND


def test_a_create_that_died_on_another_host_can_still_be_resumed(stage: Stage) -> None:
    def fail(_: object) -> None:
        stage.fleet.set_down("kvm1", down=True)
        raise HostUnreachable("kvm1", "kvm1 did not answer")

    steps = tuple(replace(one, do=fail) if one.name == "disks" else one for one in CREATE.steps)
    real = stage.fleet.lose

    def interrupt(call: str) -> str:
        if call == "kvm2 volume":
            raise KeyboardInterrupt
        return real(call)

    stage.fleet.lose = interrupt
    with pytest.raises(KeyboardInterrupt):
        create(stage, saga=replace(CREATE, steps=steps))
    stage.fleet.lose = real

    write_off(stage)
    assert stage.sql.operation(CREATION).state is OperationState.RUNNING
    resume(stage.recovery, stage.sql.operation(CREATION))

    server = stage.sql.server(SPEC.id)
    assert (server.state, server.host) == (ServerState.ACTIVE, "kvm2")
    assert stage.sql.operations(unfinished=True) == ()


def test_what_a_living_process_is_at_work_on_is_left_and_told(stage: Stage) -> None:
    create(stage)
    with stage.world.leases.hold(str(uuid.uuid4())) as lease:
        stage.sql.begin(lease, a_new("server-delete", SPEC.id, "carol@desk"))

        done = write_off(stage)

    assert isinstance(done.failures[SPEC.name], Busy)
    assert "carol@desk is at work" in str(done.failures[SPEC.name])
    assert stage.sql.server(SPEC.id).deleted is None
    assert held(stage) == (1, 2)


@pytest.mark.parametrize("dead", [False, True], ids=["at rest", "with a dead delete"])
def test_what_changed_since_it_was_listed_is_left_and_told(stage: Stage, *, dead: bool) -> None:
    create(stage)
    listed = held_on("kvm1", stage.hosts, stage.sql)
    if dead:
        begin(stage.sql, stage.world.leases, "server-delete", SPEC.id)
    stage.fleet.set_down("kvm1", down=True)
    stale = tuple(replace(one, stands=False) for one in listed)

    done = retire("kvm1", stale, stage.world, actor=ACTOR, owner="bob", reason="burnt")

    assert "not what it was" in str(done.failures[SPEC.name])
    assert stage.sql.server(SPEC.id).deleted is None


def test_a_delete_that_died_at_it_is_ended(stage: Stage) -> None:
    create(stage)
    begin(stage.sql, stage.world.leases, "server-delete", SPEC.id)

    done = write_off(stage)

    assert [one.id for one in done.deleted] == [SPEC.id]
    assert (stage.sql.operations(unfinished=True), held(stage)) == ((), (0, 0))
    assert [one.state for one in stage.sql.operations()][-1] is OperationState.DONE


def test_a_second_time_there_is_nothing_left_to_do(stage: Stage) -> None:
    create(stage)
    write_off(stage)

    assert held_on("kvm1", stage.hosts, stage.sql) == ()
    assert write_off(stage) == Retired()


def test_one_that_answers_in_any_way_is_refused(stage: Stage) -> None:
    world = stage.world
    with pytest.raises(Conflict, match="kvm1 answers"):
        refuse_alive("kvm1", stage.hosts, world.prober, stage.sql)

    class Changed:
        def look(self, *_: object, **__: object) -> None:
            raise HostKeyError("kvm1", "its key is another one")

    with pytest.raises(Conflict, match=r"something answers at kvm1.*another one"):
        refuse_alive("kvm1", stage.hosts, Changed(), stage.sql)  # type: ignore[arg-type] # never returns


class Way:
    """Leads to one host over real sockets, whatever listens there."""

    def __init__(self, *ports: int) -> None:
        hops = tuple(Hop(alias=f"hop{port}", hostname="127.0.0.1", port=port) for port in ports)
        self._shell = SshShell(
            Host(name="kvm1", address="127.0.0.1"),
            lambda: Route(hops=hops),
            Jumps(),
            connect_limit=0.5,
        )

    def shell(self, host: Host) -> SshShell:
        assert host.name == "kvm1"
        return self._shell

    def close(self) -> None:
        self._shell.close()


def asked(stage: Stage, *ports: int) -> HostError | None:
    """Ask for a host whose sshd, behind those of its jump hosts, is on this port."""
    prober = ShellProber(Way(*ports), stage.world.clock)
    return refuse_alive("kvm1", stage.hosts, prober, stage.sql)


@contextmanager
def listening() -> Iterator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        yield server, server.getsockname()[1]


@contextmanager
def deaf() -> Iterator[int]:
    """Give a port whose machine takes no more connections, and does not say so."""
    with listening() as (_, port), ExitStack() as stack:
        for _ in range(3):
            other = stack.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(("127.0.0.1", port))
        yield port


def refused() -> int:
    with listening() as (_, port):
        return port


def test_one_that_nothing_is_heard_of_within_the_limit_may_be_retired(stage: Stage) -> None:
    with deaf() as port:
        silence = asked(stage, port)

    assert silence is not None
    assert (silence.reason, "no answer within 0.5 s" in silence.message) == ("timeout", True)


def test_one_whose_port_refuses_is_a_machine_that_runs(stage: Stage) -> None:
    with pytest.raises(Conflict, match=r"something answers at kvm1.*was refused") as raised:
        asked(stage, refused())

    assert "take kvm1 out of the inventory" in str(raised.value.hint)


def test_one_whose_sshd_hangs_is_a_machine_that_runs(stage: Stage) -> None:
    with (
        listening() as (_, port),
        pytest.raises(Conflict, match=r"something answers at kvm1.*then said nothing"),
    ):
        asked(stage, port)


def test_one_whose_sshd_drops_us_is_a_machine_that_runs(stage: Stage) -> None:
    with listening() as (server, port):
        server.settimeout(10)

        def drop() -> None:
            with suppress(OSError):
                while True:
                    server.accept()[0].close()

        dropping = Thread(target=drop, daemon=True)
        dropping.start()
        with pytest.raises(Conflict, match="something answers at kvm1"):
            asked(stage, port)


def test_one_behind_a_jump_host_that_does_not_answer_may_be_there(stage: Stage) -> None:
    with deaf() as jump, pytest.raises(Conflict) as silent:
        asked(stage, jump, 22)
    with pytest.raises(Conflict) as away:
        asked(stage, refused(), 22)

    for raised in (silent, away):
        assert raised.value.message.startswith("nobody can say whether kvm1 is gone: ")
        assert "its jump host hop" in raised.value.message
        assert "take kvm1 out of the inventory" in str(raised.value.hint)


def test_one_behind_a_jump_host_that_is_another_machine_may_be_there(stage: Stage) -> None:
    with listening() as (server, port):

        def greet() -> None:
            with suppress(OSError, EOFError, SSHException):
                transport = Transport(server.accept()[0])
                transport.add_server_key(RSAKey.generate(2048))
                transport.start_server(server=ServerInterface())

        Thread(target=greet, daemon=True).start()
        with pytest.raises(Conflict, match="nobody can say whether kvm1 is gone") as raised:
            asked(stage, port, 22)

    assert f"its jump host hop{port}'s key" in raised.value.message


def test_one_that_is_silent_is_told_so(stage: Stage) -> None:
    stage.fleet.set_down("kvm1", down=True)

    silence = refuse_alive("kvm1", stage.hosts, stage.world.prober, stage.sql)

    assert isinstance(silence, HostUnreachable)


def test_one_that_is_in_no_inventory_is_not_asked(stage: Stage) -> None:
    create(stage)
    hosts = {"kvm2": stage.hosts["kvm2"]}

    assert refuse_alive("kvm1", hosts, stage.world.prober, stage.sql) is None
    assert [one.stands for one in held_on("kvm1", hosts, stage.sql)] == [True]
    with pytest.raises(NotFound):
        held_on("kvm9", hosts, stage.sql)


def test_a_machine_that_has_another_name_now_is_not_gone(stage: Stage) -> None:
    seen = [
        Sighting(host=name, at=1.0, sample={}, machine=machine, libvirt="l")
        for name, machine in (("old", "m1"), ("kvm1", "m1"), ("older", "m2"))
    ]
    stage.sql.save_samples(seen)

    with pytest.raises(Conflict, match="the machine that the inventory calls kvm1 now"):
        refuse_alive("old", stage.hosts, stage.world.prober, stage.sql)
    assert refuse_alive("older", stage.hosts, stage.world.prober, stage.sql) is None
