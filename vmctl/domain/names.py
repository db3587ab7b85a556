"""What servers may be called, and what else an operator gives them to bear."""

from __future__ import annotations

import re

PROPERTIES, TAGS = 128, 50
"""How many of each a server may have."""

SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_HOSTNAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*",
    re.ASCII,
)
_KEY = re.compile(r"[A-Za-z0-9\-_:. ]{1,255}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def name_problem(name: str) -> str | None:
    """Say why a server cannot be called so; it becomes the name of a domain and of files."""
    if SERVER_NAME.fullmatch(name):
        return None
    return (
        f"{name!r} is no server name: 1 to 100 letters, digits, dots, underscores and dashes,"
        " the first a letter or digit"
    )


def numbered(name: str, count: int) -> tuple[str, ...]:
    """Name the servers of one request: `web` alone, or `web-1` to `web-9`."""
    return (name,) if count == 1 else tuple(f"{name}-{index}" for index in range(1, count + 1))


def hostname_problem(name: str) -> str | None:
    """Say why a guest cannot have this hostname."""
    if _HOSTNAME.fullmatch(name):
        return None
    return f"--hostname: {name!r} is no hostname"


def hostname_of(name: str) -> str:
    """Make a hostname of a server's name, as openstack does: what may not be in one is left out."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", name)
    labels = [label.strip("-")[:63].rstrip("-") for label in plain.split(".")]
    return ".".join(label for label in labels if label)[:253] or "server"


def text_problem(option: str, text: str, longest: int = 255) -> str | None:
    """Say why a text cannot be kept: too long, or with characters that no XML can hold."""
    if len(text) > longest:
        return f"{option}: {len(text)} characters, and {longest} are allowed"
    if _CONTROL.search(text):
        return f"{option}: {text!r} has control characters"
    return None


def key_problem(option: str, key: str) -> str | None:
    """Say why a property cannot be called so."""
    if _KEY.fullmatch(key):
        return None
    return f"{option}: {key!r} is no key: 1 to 255 of letters, digits, spaces and -_:."


def tag_problem(tag: str) -> str | None:
    """Say why a server cannot be tagged so."""
    if not 0 < len(tag) <= 60 or "/" in tag or "," in tag or _CONTROL.search(tag):
        return f"--tag: {tag!r} is no tag: 1 to 60 characters without / and ,"
    return None
