"""Addresses on the web as they may be told to anybody."""

from __future__ import annotations

import re

_KEYED = re.compile("[?#]")


def told(url: str) -> str:
    """Give a URL without what follows its path: that may be a token or a signature."""
    bare = _KEYED.split(url, maxsplit=1)[0]
    return url if bare == url else f"{bare}?…"
