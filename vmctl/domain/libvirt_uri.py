"""Which ways to a libvirt an inventory may name: those that prove who is at the other end."""

from __future__ import annotations

import re

_HOST = (
    r"(?:[^\s@:/?#%-][^\s@:/?#%]*@)?(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"
)
_NONE: frozenset[str] = frozenset()

_WAYS: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    (re.compile(r"qemu:///(?:system|session)"), _NONE),
    (re.compile(r"test:///[^\s?#]+"), _NONE),
    (
        re.compile(rf"qemu\+ssh://{_HOST}/(?:system|session)"),
        frozenset({"command", "keyfile", "netcat", "no_tty", "socket"}),
    ),
    (re.compile(rf"qemu\+tls://{_HOST}/(?:system|session)"), frozenset({"pkipath"})),
)
"""Each form of a URI with the parameters that it may have.

Both are closed: libvirt has several parameters that turn verification off, and reads their names
in any case and with escapes; its transports through libssh and plain TCP have more of them.
"""


def check_libvirt_uri(uri: str) -> str:
    """Return the URI if it is a way that verifies the other end; else a ValueError says why not."""
    way, _, query = uri.partition("?")
    allowed = next((names for form, names in _WAYS if form.fullmatch(way)), None)
    if allowed is None:
        raise ValueError(
            "this is no way that proves whose libvirt answers; allowed are qemu:///system,"
            " qemu:///session, test:///…, qemu+ssh://HOST/system and qemu+tls://HOST/system"
        )
    # libvirt takes either sign between parameters.
    for parameter in re.split("[&;]", query) if query else ():
        name = parameter.partition("=")[0]
        if name not in allowed:
            wanted = f"allowed are {', '.join(sorted(allowed))}" if allowed else "none is allowed"
            raise ValueError(f"the parameter {name!r} might turn off verification; {wanted}")
    return uri
