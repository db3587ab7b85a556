"""What is written when a key is trusted, and what is never written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.unit.transports.test_hostkeys import ED, OTHER, RSA, line
from vmctl.adapters.hostkeys import Key, parse_known_hosts, trust_in
from vmctl.adapters.ssh_config import Hop, hop_of
from vmctl.adapters.trust import Seen, pin, pinned, seen_at
from vmctl.errors import HostKeyError, UsageError


def seen(file: Path, *keys: Key, **hop: object) -> Seen:
    known = Hop(alias="h", hostname="h.example", known_hosts=(str(file),), **hop)  # type: ignore[arg-type]  # each test gives what it is about
    return Seen(host="h", hop=known, keys=keys, jump=False, file=str(file))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ssh" / "known_hosts"


def test_a_first_key_makes_the_file(file: Path) -> None:
    at = seen(file, ED, RSA)

    assert pin(at) == (ED, RSA)

    assert file.stat().st_mode & 0o777 == 0o600
    trust_in(at.hop, "h").verify(ED)
    trust_in(at.hop, "h").verify(RSA)


def test_with_a_fingerprint_only_that_key_is_pinned(file: Path) -> None:
    at = seen(file, ED, RSA)

    assert pin(at, fingerprint=RSA.fingerprint) == (RSA,)
    assert [found.key for found in parse_known_hosts(file.read_text())] == [RSA]


def test_a_fingerprint_that_is_not_seen_writes_nothing(file: Path) -> None:
    with pytest.raises(HostKeyError, match="no key with the fingerprint"):
        pin(seen(file, ED), fingerprint=OTHER.fingerprint)

    assert not file.exists()


def test_a_changed_key_is_replaced_by_its_fingerprint_only(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("# ours\n" + line("h.example,alias", OTHER) + line("g.example"))

    with pytest.raises(HostKeyError, match="has changed"):
        pin(seen(file, ED))
    assert OTHER.base64 in file.read_text()

    pin(seen(file, ED), fingerprint=ED.fingerprint)

    rows = file.read_text().splitlines()
    assert rows[0] == "# ours"
    assert rows[1] == f"h.example,alias {ED.type} {ED.base64}"
    assert rows[2] == line("g.example").strip()


def test_a_replaced_machines_other_keys_go_with_it(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(line("h.example", OTHER) + line("h.example", RSA))

    pin(seen(file, ED), fingerprint=ED.fingerprint)

    assert [found.key for found in parse_known_hosts(file.read_text())] == [ED]


def test_a_key_of_another_type_is_added_beside_a_trusted_one(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(line("h.example"))

    pin(seen(file, ED, RSA))

    assert [found.key for found in parse_known_hosts(file.read_text())] == [ED, RSA]


def test_a_revoked_key_is_never_pinned(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(line("*", ED, "@revoked"))

    for fingerprint in (None, ED.fingerprint):
        with pytest.raises(HostKeyError, match="revoked"):
            pin(seen(file, ED), fingerprint=fingerprint)


def test_a_pattern_is_not_changed_for_one_host(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(line("*.example", OTHER))

    with pytest.raises(UsageError, match=r"known_hosts:1: .*pattern"):
        pin(seen(file, ED), fingerprint=ED.fingerprint)


def test_keys_that_the_inventory_pins_are_changed_there(file: Path) -> None:
    with pytest.raises(UsageError, match="host_key") as raised:
        pin(seen(file, ED, host_key=(OTHER.fingerprint,)))

    assert ED.fingerprint in (raised.value.hint or "")


def test_names_are_hashed_where_the_file_has_them_hashed(file: Path) -> None:
    hashed = pinned("", seen(file, ED, hash_known_hosts=True), (ED,))
    again = pinned(hashed, seen(file, ED, port=2222), (ED,))

    assert "example" not in hashed + again
    assert [found.covers("h.example") for found in parse_known_hosts(again)] == [True, False]
    assert pinned(line("g.example"), seen(file, ED, hash_known_hosts=True), (ED,)).count("|1|") == 0


def test_a_link_to_a_shared_file_stays_a_link(file: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.write_text(line("g.example"))
    shared.chmod(0o664)
    file.parent.mkdir()
    file.symlink_to(shared)

    pin(seen(file, ED))

    assert file.is_symlink()
    assert shared.stat().st_mode & 0o777 == 0o664
    assert len(parse_known_hosts(shared.read_text())) == 2


def at_sshd(*files: Path | str) -> Seen:
    hop = Hop(alias="h", hostname="h.example", known_hosts=tuple(map(str, files)))
    return seen_at("h", hop, (ED,), jump=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_never_replaced_by_a_file(file: Path, tmp_path: Path) -> None:
    device = tmp_path / "null"
    os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    link = tmp_path / "link"
    link.symlink_to(device)

    with pytest.raises(UsageError, match=r"null, .*link") as raised:
        pin(at_sshd(device, link))
    with pytest.raises(UsageError):
        pin(seen(device, ED))
    assert "`known_hosts:`" in (raised.value.hint or "")
    assert stat.S_ISCHR(device.stat().st_mode)

    at = at_sshd(device, file)
    pin(at)

    assert at.file == str(file)
    assert stat.S_ISCHR(device.stat().st_mode)
    trust_in(at.hop, "h").verify(ED)


def test_where_no_file_takes_keys_nothing_is_written(tmp_path: Path) -> None:
    for files in ((), (tmp_path,)):
        with pytest.raises(UsageError) as raised:
            pin(at_sshd(*files))
        assert "`known_hosts:`" in (raised.value.hint or "")

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    below = tmp_path / "file" / "known_hosts"

    with pytest.raises(UsageError, match=f"{below} cannot be written"):
        pin(at_sshd(below))


@pytest.mark.parametrize("none", ["none", "None"])
def test_the_word_none_is_no_file(none: str) -> None:
    found = {"userknownhostsfile": [none], "globalknownhostsfile": [none]}
    hop = hop_of("h", None, found, {})

    assert hop.known_hosts == ()
    with pytest.raises(UsageError, match="names none"):
        pin(seen_at("h", hop, (ED,), jump=False))
