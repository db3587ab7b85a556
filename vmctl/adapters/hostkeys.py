"""Is this the host's key? Pinned fingerprints, or known_hosts read as OpenSSH reads it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vmctl.errors import HostKeyError

if TYPE_CHECKING:
    from vmctl.adapters.ssh_config import Hop

ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""The signature algorithms in which a key of each type can prove itself, the best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A host's public key, as known_hosts writes it."""

    type: str
    base64: str

    @property
    def fingerprint(self) -> str:
        """The SHA256 fingerprint, as `ssh-keygen -lf` prints it."""
        return fingerprint(base64.b64decode(self.base64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a known_hosts file; `marker` is empty, `@revoked` or `@cert-authority`."""

    number: int
    marker: str
    names: str
    key: Key

    def covers(self, name: str) -> bool:
        """Whether the line speaks of a host by this name."""
        return _covers(self.names, name)

    @property
    def hashed(self) -> bool:
        """Whether its names are written as digests."""
        return self.names.startswith("|1|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What is known of one sshd's key before it is met."""

    host: str
    """The inventory's name of the host that is on its way to be reached."""
    hop: Hop
    jump: bool = False
    keys: tuple[Key, ...] = ()
    revoked: frozenset[Key] = frozenset()
    authority: bool = False
    """Whether a certificate authority vouches for it: that is ssh's to check, not ours."""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Every algorithm, with those first in which a known key can prove itself."""
        types = dict.fromkeys([*(key.type for key in self.keys), *ALGORITHMS])
        return tuple(name for kind in types for name in ALGORITHMS.get(kind, ()))

    def verify(self, key: Key) -> None:
        """Return if the key is trusted; else raise, with its fingerprint and the way to mend it."""
        if key in self.revoked:
            raise self._refusal(key, "revoked", "is revoked", hint="do not connect to it")
        if self.hop.host_key:
            if key.fingerprint in self.hop.host_key:
                return
            raise self._refusal(key, "changed", "is none of those that its `host_key:` pins")
        if key in self.keys:
            return
        if self.keys:
            known = ", ".join(sorted({known.fingerprint for known in self.keys}))
            raise self._refusal(key, "changed", f"has changed: {known} is known")
        if self.authority:
            raise self._refusal(
                key, "authority", "is vouched for by a certificate authority, which is not enough"
            )
        raise self._refusal(key, "unknown", "is not known")

    def _refusal(self, key: Key, reason: str, what: str, hint: str | None = None) -> HostKeyError:
        seen = key.fingerprint
        whose = f"its jump host {self.hop.alias}'s key" if self.jump else "the host key"
        mend = f"compare it with the host's own, then: vmctl host trust {self.host}"
        if reason == "changed":
            mend += f" --fingerprint {seen}"
        return HostKeyError(
            self.host,
            f"{self.host}: {whose} {what}; it shows {key.type} {seen}",
            hint=hint or mend,
            reason=reason,
            fingerprint=seen,
            key_type=key.type,
        )


def fingerprint(blob: bytes) -> str:
    """Return the SHA256 fingerprint of a public key's bytes."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return "SHA256:" + digest.rstrip("=")


def trust_in(hop: Hop, host: str, *, jump: bool = False) -> Trust:
    """Gather what the files say of a hop on the way to a host."""
    lines = [line for file in hop.known_hosts for line in read_known_hosts(file)]
    mine = [line for line in lines if line.covers(hop.key_name)]
    # What is revoked of the machine is revoked at each of its ports.
    plain = mine if hop.host_key_alias else [line for line in lines if line.covers(hop.hostname)]
    revoked = {line.key for line in (*mine, *plain) if line.marker == "@revoked"}
    if all(line.marker for line in mine):
        # As OpenSSH does: a key known without a port counts at a port that no key is known of.
        mine = [*mine, *plain]
    if hop.revoked_keys:
        revoked |= _revoked(hop.revoked_keys, host)
    return Trust(
        host=host,
        hop=hop,
        jump=jump,
        keys=tuple(line.key for line in mine if not line.marker and line.key not in revoked),
        revoked=frozenset(revoked),
        authority=any(line.marker == "@cert-authority" for line in mine),
    )


def read_known_hosts(file: str) -> tuple[Line, ...]:
    """Read a known_hosts file; one that is not there holds nothing, as ssh has it."""
    try:
        stat = Path(file).stat()
    except OSError:
        return ()
    return _read(file, stat.st_mtime_ns, stat.st_size)


def parse_known_hosts(text: str) -> tuple[Line, ...]:
    """Return the lines of a known_hosts file; comments and what is no key are left out."""
    lines = []
    for number, row in enumerate(text.splitlines(), 1):
        words = row.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or not _is_key(words[1], words[2]):
            continue
        key = Key(type=words[1], base64=words[2])
        lines.append(Line(number=number, marker=marker, names=words[0], key=key))
    return tuple(lines)


def hashed_name(name: str, salt: bytes) -> str:
    """Return a host's name as a known_hosts file with hashed names writes it."""
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@lru_cache(maxsize=64)
def _read(file: str, _changed: int, _size: int) -> tuple[Line, ...]:
    try:
        return parse_known_hosts(Path(file).read_text(errors="replace"))
    except OSError:
        return ()


def _is_key(kind: str, text: str) -> bool:
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    # The bytes name their own type: a line that lies about it is no key.
    return blob[4 : 4 + len(kind)] == kind.encode()


def _covers(names: str, name: str) -> bool:
    if names.startswith("|1|"):
        try:
            _, _, salt, digest = names.split("|")
            wanted = base64.b64decode(digest)
            return hmac.compare_digest(
                hmac.digest(base64.b64decode(salt), name.encode(), "sha1"), wanted
            )
        except ValueError:
            return False
    found = False
    for pattern in names.lower().split(","):
        if _pattern(pattern.removeprefix("!")).fullmatch(name.lower()):
            if pattern.startswith("!"):
                return False
            found = True
    return found


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    # Brackets are plain in known_hosts ([host]:port) and a set in fnmatch.
    return re.compile(translate(pattern.replace("[", "[[]")))


def _revoked(file: str, host: str) -> set[Key]:
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        content, why = b"", error.strerror or "unreadable"
    else:
        why = "a binary list, which is not read" if content.startswith(b"SSHKRL") else ""
    if why:
        # As ssh does: where the list cannot be read, every key is held to be revoked.
        raise HostKeyError(
            host,
            f"{host}: RevokedHostKeys {file}: {why}",
            hint="give the keys as plain lines, or take RevokedHostKeys out of the configuration",
            reason="revoked",
        )
    rows = content.decode(errors="replace").splitlines()
    pairs = [row.split()[:2] for row in rows if len(row.split()) > 1]
    return {Key(type=kind, base64=text) for kind, text in pairs}
