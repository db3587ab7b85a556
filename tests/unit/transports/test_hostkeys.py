"""Known hosts, as OpenSSH reads them; and the refusals that name key and remedy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from vmctl.adapters.hostkeys import Key, Line, Trust, hashed_name, parse_known_hosts, trust_in
from vmctl.adapters.ssh_config import Hop
from vmctl.errors import HostKeyError

ED = Key(
    type="ssh-ed25519",
    base64="AAAAC3NzaC1lZDI1NTE5AAAAINBf27RCNMZsXx1YXHRAeoo1E9FzrIqt4VHC+BuLeVgS",
)
OTHER = Key(
    type="ssh-ed25519",
    base64="AAAAC3NzaC1lZDI1NTE5AAAAIGMe0ltG5RKTlHIT9RDqkofObH7njZwMHVhQDZLVH7RK",
)
RSA = Key(type="ssh-rsa", base64="AAAAB3NzaC1yc2EAAAADAQABAAAAAQDV")


def line(names: str, key: Key = ED, marker: str = "") -> str:
    return f"{marker} {names} {key.type} {key.base64} comment".strip() + "\n"


def only(names: str) -> Line:
    return parse_known_hosts(line(names))[0]


def trust(tmp_path: Path, text: str, hop: Hop | None = None) -> Trust:
    file = tmp_path / "known_hosts"
    file.write_text(text)
    known = hop or Hop(alias="h", hostname="h.example")
    return trust_in(
        Hop(
            alias=known.alias,
            hostname=known.hostname,
            port=known.port,
            host_key=known.host_key,
            host_key_alias=known.host_key_alias,
            revoked_keys=known.revoked_keys,
            known_hosts=(str(file),),
        ),
        "h",
    )


@pytest.mark.parametrize(
    ("names", "name", "covered"),
    [
        ("h.example", "h.example", True),
        ("h.example", "H.Example", True),
        ("a,h.example", "h.example", True),
        ("*.example", "h.example", True),
        ("h?.example", "h1.example", True),
        ("*.example,!h.example", "h.example", False),
        ("!h.example,*.example", "h.example", False),
        ("[h.example]:2222", "[h.example]:2222", True),
        ("[h.example]:2222", "h.example", False),
        ("[h]*", "h", False),
        ("example", "h.example", False),
        (hashed_name("h.example", b"salt" * 5), "h.example", True),
        (hashed_name("h.example", b"salt" * 5), "g.example", False),
        ("|1|broken", "h.example", False),
    ],
)
def test_names_cover_hosts_as_openssh_has_it(names: str, name: str, covered: bool) -> None:
    assert only(names).covers(name) is covered


def test_openssh_reads_the_names_that_we_hash(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(line(hashed_name("h.example", b"0123456789abcdefghij")))

    found = subprocess.run(
        ["ssh-keygen", "-F", "h.example", "-f", str(file)], capture_output=True, check=False
    )

    assert found.returncode == 0


def test_the_fingerprint_is_what_ssh_keygen_prints(tmp_path: Path) -> None:
    file = tmp_path / "key.pub"
    file.write_text(f"{ED.type} {ED.base64}\n")

    printed = subprocess.run(
        ["ssh-keygen", "-lf", str(file)], capture_output=True, text=True, check=True
    )

    assert printed.stdout.split()[1] == ED.fingerprint


def test_what_is_no_key_line_is_left_out() -> None:
    none = "# comment\n\nh ssh-ed25519\nh ssh-ed25519 %%%\n"
    lying = f"h ssh-rsa {ED.base64}\n"

    assert [found.number for found in parse_known_hosts(none + lying + line("h"))] == [6]


def test_a_known_key_is_trusted(tmp_path: Path) -> None:
    trust(tmp_path, line("h.example")).verify(ED)


@pytest.mark.parametrize(
    ("text", "reason", "mend"),
    [
        ("", "unknown", "vmctl host trust h"),
        (line("g.example"), "unknown", "vmctl host trust h"),
        (line("h.example", OTHER), "changed", f"--fingerprint {ED.fingerprint}"),
        (line("h.example") + line("*", ED, "@revoked"), "revoked", "do not connect"),
        (line("*.example", OTHER, "@cert-authority"), "authority", "vmctl host trust h"),
    ],
    ids=["empty", "another's", "changed", "revoked", "authority"],
)
def test_a_refusal_tells_the_fingerprint_and_the_way_to_mend_it(
    tmp_path: Path, text: str, reason: str, mend: str
) -> None:
    with pytest.raises(HostKeyError) as raised:
        trust(tmp_path, text).verify(ED)

    assert raised.value.reason == reason
    assert raised.value.fingerprint == ED.fingerprint
    assert ED.fingerprint in raised.value.message
    assert mend in (raised.value.hint or "")


def test_a_changed_key_is_told_beside_the_known_one(tmp_path: Path) -> None:
    with pytest.raises(HostKeyError, match=OTHER.fingerprint.replace("+", r"\+")):
        trust(tmp_path, line("h.example", OTHER)).verify(ED)


def test_a_pinned_fingerprint_makes_the_files_count_for_nothing(tmp_path: Path) -> None:
    hop = Hop(alias="h", hostname="h.example", host_key=(OTHER.fingerprint,))
    pinned = trust(tmp_path, line("h.example"), hop)

    pinned.verify(OTHER)
    with pytest.raises(HostKeyError, match="host_key"):
        pinned.verify(ED)


def test_a_pinned_fingerprint_does_not_save_a_revoked_key(tmp_path: Path) -> None:
    hop = Hop(alias="h", hostname="h.example", host_key=(ED.fingerprint,))

    with pytest.raises(HostKeyError, match="revoked"):
        trust(tmp_path, line("*", ED, "@revoked"), hop).verify(ED)


def test_an_alias_is_looked_up_in_place_of_the_name(tmp_path: Path) -> None:
    hop = Hop(alias="h", hostname="h.example", port=2222, host_key_alias="seven")

    trust(tmp_path, line("seven"), hop).verify(ED)
    with pytest.raises(HostKeyError):
        trust(tmp_path, line("h.example,[h.example]:2222"), hop).verify(ED)


def test_a_key_known_without_its_port_counts_at_another_port(tmp_path: Path) -> None:
    trust(tmp_path, line("h.example"), Hop(alias="h", hostname="h.example", port=2222)).verify(ED)


@pytest.mark.parametrize("known", [OTHER, RSA], ids=["the same type", "another type"])
def test_a_port_with_a_key_of_its_own_takes_no_other(tmp_path: Path, known: Key) -> None:
    hop = Hop(alias="gw", hostname="gw", port=2201)
    at_port = trust(tmp_path, line("gw") + line("[gw]:2201", known), hop)

    at_port.verify(known)
    with pytest.raises(HostKeyError, match="has changed"):
        at_port.verify(ED)


def test_an_authority_for_all_leaves_a_key_known_without_its_port(tmp_path: Path) -> None:
    hop = Hop(alias="gw", hostname="gw", port=2201)

    trust(tmp_path, line("*", OTHER, "@cert-authority") + line("gw"), hop).verify(ED)


def test_a_key_revoked_without_its_port_is_revoked_at_each(tmp_path: Path) -> None:
    hop = Hop(alias="gw", hostname="gw", port=2201)

    for text in (line("gw", ED, "@revoked"), line("[gw]:2201", ED, "@revoked") + line("gw")):
        with pytest.raises(HostKeyError, match="is revoked"):
            trust(tmp_path, text + line("[gw]:2201"), hop).verify(ED)


def test_the_types_of_known_keys_are_asked_for_first(tmp_path: Path) -> None:
    known = trust(tmp_path, line("h.example", RSA))

    assert known.algorithms[:2] == ("rsa-sha2-512", "rsa-sha2-256")
    assert "ssh-ed25519" in known.algorithms


@pytest.mark.parametrize("content", [None, b"SSHKRL\n\0binary"], ids=["missing", "binary"])
def test_a_list_of_revoked_keys_that_cannot_be_read_refuses_all(
    tmp_path: Path, content: bytes | None
) -> None:
    revoked = tmp_path / "revoked"
    if content is not None:
        revoked.write_bytes(content)
    hop = Hop(alias="h", hostname="h.example", revoked_keys=str(revoked))

    with pytest.raises(HostKeyError, match="RevokedHostKeys"):
        trust(tmp_path, line("h.example"), hop)


def test_a_plain_list_of_revoked_keys_counts(tmp_path: Path) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text(f"{ED.type} {ED.base64} stolen\n")
    hop = Hop(alias="h", hostname="h.example", revoked_keys=str(revoked))

    with pytest.raises(HostKeyError, match="is revoked"):
        trust(tmp_path, line("h.example"), hop).verify(ED)
