"""Which keys are offered, with which certificates, and in what order."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from paramiko.ssh_exception import AuthenticationException

from vmctl.adapters.ssh_config import Hop
from vmctl.adapters.ssh_errors import NoKey
from vmctl.adapters.ssh_login import KeyLogin

if TYPE_CHECKING:
    from paramiko import PKey, Transport

KINDS = ("ed25519", "ecdsa", "rsa")


def keygen(*words: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys of each type and, apart, their certificates."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("authority", *KINDS, "other"):
        kind = name if name in KINDS else "ed25519"
        keygen("-t", kind, "-N", "", "-f", str(folder / name))
    (folder / "certificates").mkdir()
    for name in (*KINDS, "other"):
        public = folder / f"{name}.pub"
        keygen("-s", str(folder / "authority"), "-I", "me", "-n", "me", str(public))
        (folder / f"{name}-cert.pub").rename(folder / "certificates" / name)
    (folder / "certificates" / "spoilt").write_text("ssh-ed25519-cert-v01@openssh.com AAAA%\n")
    return folder


class Refusing:
    """An sshd that takes no key, and notes what it was offered."""

    def __init__(self) -> None:
        self.offered: list[bytes] = []

    def auth_publickey(self, _user: str, key: PKey) -> list[str]:
        blob = key.public_blob
        self.offered.append(blob.key_blob if blob else key.asbytes())
        raise AuthenticationException

    def is_active(self) -> bool:
        return True


def offered(key: Path, *certificates: Path) -> list[str]:
    """Log in with a key, and tell the types that were offered."""
    sshd = Refusing()
    files = tuple(map(str, certificates))
    hop = Hop(alias="h", hostname="h", identity_files=(str(key),), certificate_files=files)
    with pytest.raises(AuthenticationException):
        KeyLogin(hop).authenticate(cast("Transport", sshd))
    return [blob[4 : 4 + blob[3]].decode() for blob in sshd.offered]


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_offered_with_its_own_certificate_and_then_plain(made: Path, kind: str) -> None:
    [plain] = offered(made / kind)
    every = sorted((made / "certificates").iterdir())

    assert offered(made / kind, *every, *every) == [f"{plain}-cert-v01@openssh.com", plain]


@pytest.mark.parametrize("name", ["rsa", "other", "spoilt", "missing"])
def test_another_keys_certificate_leaves_the_key_as_it_is(made: Path, name: str) -> None:
    assert offered(made / "ed25519", made / "certificates" / name) == ["ssh-ed25519"]


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ("ed25519", ["ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"]),
        ("other", ["ssh-ed25519"]),
        ("rsa", ["ssh-ed25519"]),
        ("spoilt", ["ssh-ed25519"]),
    ],
)
def test_a_certificate_beside_the_key_counts_if_it_is_its_own(
    made: Path, tmp_path: Path, beside: str, expected: list[str]
) -> None:
    (tmp_path / "key").write_bytes((made / "ed25519").read_bytes())
    (tmp_path / "key-cert.pub").write_bytes((made / "certificates" / beside).read_bytes())

    assert offered(tmp_path / "key") == expected


@pytest.mark.parametrize("body", ["", "AAAA", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ=="])
def test_a_file_that_is_no_key_is_passed_over(tmp_path: Path, body: str) -> None:
    frame = "-----{} OPENSSH PRIVATE KEY-----\n"
    (tmp_path / "key").write_text(frame.format("BEGIN") + body + "\n" + frame.format("END"))
    hop = Hop(alias="h", hostname="h", identity_files=(str(tmp_path / "key"),))

    with pytest.raises(NoKey):
        KeyLogin(hop).authenticate(cast("Transport", Refusing()))
