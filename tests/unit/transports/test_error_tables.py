"""Every foreign exception has a meaning, and every meaning says what to do."""

from __future__ import annotations

import errno
import importlib
import inspect
import pkgutil
import socket

import libvirt
import paramiko
import pytest
from paramiko import ssh_exception

from vmctl.adapters import ssh_errors
from vmctl.adapters.libvirt_errors import ROWS, Row, libvirt_errors, row_of
from vmctl.adapters.libvirtd import COMPLAINTS, complaint
from vmctl.adapters.ssh_errors import TABLE, Met, meaning_of
from vmctl.domain.completed import Completed
from vmctl.errors import Conflict, HostError, HostUnreachable, NotFound, RemoteFailed

MET = Met(host="h", who="h (ops@h)", hostname="h.example", port=22, way="h", limit=5)


def exceptions_of_paramiko() -> list[type[BaseException]]:
    found: dict[str, type[BaseException]] = {}
    for module in pkgutil.iter_modules(paramiko.__path__):
        # These are Windows' own and do not load here.
        if module.name in {"_winapi", "win_pageant", "win_openssh", "ssh_gss"}:
            continue
        loaded = importlib.import_module(f"paramiko.{module.name}")
        found |= {
            name: kind
            for name, kind in inspect.getmembers(loaded, inspect.isclass)
            if issubclass(kind, BaseException) and kind.__module__.startswith("paramiko")
        }
    return list(found.values())


def test_no_exception_class_of_paramiko_is_without_a_meaning_of_its_own() -> None:
    kinds = exceptions_of_paramiko()

    assert ssh_exception.SSHException in kinds
    assert [kind.__name__ for kind in kinds if kind.__name__ not in TABLE] == []


def test_none_of_our_own_words_for_what_happened_is_without_a_meaning() -> None:
    own = [
        name
        for name, kind in inspect.getmembers(ssh_errors, inspect.isclass)
        if issubclass(kind, BaseException) and kind.__module__ == ssh_errors.__name__
    ]

    assert len(own) > 5
    assert [name for name in own if name not in TABLE] == []


@pytest.mark.parametrize("name", TABLE)
def test_each_meaning_makes_a_message_and_a_hint(name: str) -> None:
    error = ssh_errors.translate(TABLE[name], MET, "detail")

    assert error.message.startswith("h (ops@h): ")
    assert "{" not in error.message + (error.hint or "")
    assert error.reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(-2, "Name or service not known"), "name"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "refused"),
        (TimeoutError("timed out"), "timeout"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "route"),
        (OSError(errno.ETIMEDOUT, "timed out"), "timeout"),
        (ssh_exception.BadAuthenticationType("no", ["password"]), "denied"),
        (EOFError(), "lost"),
    ],
)
def test_the_most_specific_class_wins(error: BaseException, reason: str) -> None:
    meaning = meaning_of(error)

    assert meaning is not None
    assert meaning.reason == reason


def test_a_bug_passes_through_as_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), ssh_errors.ssh_errors(MET):
        _ = 1 / 0


def test_a_foreign_failure_becomes_ours_within() -> None:
    with pytest.raises(HostUnreachable) as raised, ssh_errors.ssh_errors(MET):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    assert isinstance(raised.value.__cause__, ConnectionRefusedError)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.code}-{row.domain}-{row.words}")
def test_no_row_of_libvirts_errors_is_hidden_by_another(row: Row) -> None:
    found = row_of(row.code or -1, row.domain or -1, row.words)

    assert found == row


def test_an_unheard_of_libvirt_error_is_a_failure_of_that_host() -> None:
    assert row_of(99999, 99999, "new").error is RemoteFailed


def test_real_libvirt_errors_become_ours() -> None:
    libvirt.registerErrorHandler(lambda *_: None, None)
    connection = libvirt.open("test:///default")
    try:
        with (
            pytest.raises(NotFound, match="kvm1: finding it: Domain not found"),
            libvirt_errors("kvm1", "finding it"),
        ):
            connection.lookupByName("nobody")
        with pytest.raises(Conflict), libvirt_errors("kvm1", "making it"):
            connection.networkLookupByName("default").create()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("code", "stderr", "reason"),
    [
        (124, b"", "libvirt-hangs"),
        (1, b"error: Failed to connect socket to '/run/x': Permission denied", "libvirt-rights"),
        (1, b"error: authentication unavailable: no polkit agent", "libvirt-rights"),
        (1, b"error: Failed to connect socket to '/run/x': No such file or directory",
         "libvirt-socket"),
        (1, b"error: Failed to connect socket to '/run/x': Connection refused", "libvirt-socket"),
        (127, b"timeout: failed to run command 'virsh': No such file or directory", "virsh"),
        (127, b"sh: 1: virsh: not found", "virsh"),
        (1, b"error: something new", "libvirt"),
    ],
)  # fmt: skip
def test_what_virsh_complains_of_is_told_apart(code: int, stderr: bytes, reason: str) -> None:
    error = complaint("h", Completed(exit_code=code, stderr=stderr))

    assert isinstance(error, HostError)
    assert error.reason == reason
    assert len(COMPLAINTS) >= 4
