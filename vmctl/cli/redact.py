"""Secrets kept out of the debug log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MASK = "***"

_SECRET_OPTIONS = (
    "admin-pass",
    "passphrase",
    "password",
    "private-key",
    "secret",
    "token",
    "user-data",
)
_SWITCHES = ("no-", "root-")
# Every repetition is bounded: a log line may be a disk's worth of base64.
_TELLTALE = r"(?:passw(?:or)?d|passphrase|secret|token|adminpass|api[_-]?key)[\w-]{0,40}"
# An unquoted one goes on to the next blank: any other sign may be a part of it.
_VALUE = r"""("[^"]*"|'[^']*'|["']?[^\s"']+)"""
_KEY = r"[A-Z ]*PRIVATE KEY-----"
_PATTERNS = (
    (
        re.compile(rf"({_TELLTALE}[\"']?\s{{0,9}}[:=]\s{{0,9}}){_VALUE}", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(rf"-----BEGIN {_KEY}.*?(?:-----END {_KEY}|\Z)", re.DOTALL), MASK),
    # What follows the path of an address on the web may be a signature that lets anybody in.
    (re.compile(r"(\bhttps?://[^\s?\"']{1,500}\?)[^\s\"']+", re.IGNORECASE), rf"\1{MASK}"),
    # A password's hash, as crypt writes it.
    (re.compile(r"\$(?:1|2[abxy]?|5|6|7|y|argon2\w*)\$[^\s:'\"]+"), MASK),
)
# An authority with a password in it, as database URLs have; signs that ought to be escaped are not
# always, so all up to the word's last @ is taken for it.
_AUTHORITY = re.compile(r"(\b[a-z][a-z0-9+.-]{0,40}://[^\s:/]{0,200}):(\S*)", re.IGNORECASE)


class Redactor:
    """Masks what it was told is secret, and what looks like it."""

    def __init__(self, argv: Sequence[str] = ()) -> None:
        self._values: list[str] = []
        self.argv = self._read(argv)

    def hide(self, value: str) -> None:
        """Never let this value be written."""
        # A value this short would blot out half of every line, and guards nothing.
        if len(value) >= 4 and value not in self._values:
            self._values.append(value)
            self._values.sort(key=len, reverse=True)

    def clean(self, text: str) -> str:
        """Return the text without its secrets."""
        for value in self._values:
            text = text.replace(value, MASK)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        # Last: a value that is still named, as in ?password=a@b, would lose its name here.
        return _AUTHORITY.sub(_without_password, text)

    def _read(self, argv: Sequence[str]) -> str:
        """Return the line as it may be logged, and remember the secrets that stood on it."""
        words: list[str] = []
        masked = False
        for place, word in enumerate(argv):
            name, equals, value = word.partition("=")
            if word == "--":
                # What follows runs on a host; its own way of taking a password is unknown.
                words.append(f"-- ({len(argv) - place - 1} words)")
                break
            if masked:
                self.hide(word)
                words.append(MASK)
                masked = False
            elif name.startswith("--") and _is_secret(name[2:]):
                self.hide(value)
                words.append(f"{name}={MASK}" if equals else name)
                masked = not equals
            else:
                words.append(word)
        return self.clean(" ".join(words))


def _without_password(match: re.Match[str]) -> str:
    _, at, rest = match[2].rpartition("@")
    return f"{match[1]}:{MASK}@{rest}" if at else match[0]


def _is_secret(name: str) -> bool:
    """Judge an option by its name, which may be shortened: ``--passw``; switches take no value."""
    return (
        bool(name)
        and not name.startswith(_SWITCHES)
        and any(
            secret.startswith(name) or name.endswith(f"-{secret}") for secret in _SECRET_OPTIONS
        )
    )
