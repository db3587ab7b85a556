"""Public keys of ssh, as text: what they are, told by their bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib

from vmctl.errors import UsageError

_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


def read_public_key(text: str, what: str) -> tuple[str, str]:
    """Give a public key's line and its fingerprint; UsageError, which names it, for anything else.

    The line is written anew from its parts: nothing else of the file gets into a guest.
    """
    if "PRIVATE KEY" in text:
        raise UsageError(
            f"{what} is a private key, which no server may have",
            hint="give the file that ends in .pub",
        )
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1:
        raise UsageError(f"{what} holds {len(lines)} public keys, and one is wanted")
    kind, _, rest = lines[0].strip().partition(" ")
    encoded, _, comment = rest.strip().partition(" ")
    blob = _decoded(encoded)
    named = blob[4 : 4 + int.from_bytes(blob[:4])]
    if kind not in _TYPES or named != kind.encode() or len(blob) < 4 + len(named) + 32:
        raise UsageError(
            f"{what} is no public key of ssh",
            hint="its line begins with one of " + ", ".join(_TYPES[:3]),
        )
    shown = "".join(sign for sign in comment.strip() if sign.isprintable())
    return f"{kind} {encoded} {shown}".strip(), fingerprint(blob)


def fingerprint(blob: bytes) -> str:
    """Give a key's fingerprint as openstack shows it."""
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""
