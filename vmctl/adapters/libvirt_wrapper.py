"""The `ssh` that libvirt runs for a host: a small script with all that a URI cannot carry.

It takes from libvirt's words only the last, which is what runs on the host. All else (where it is,
whose key it has, how it is verified) comes from the route that our own connections take, so both
stacks go the same way and trust the same keys.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.adapters.hostkeys import Key
    from vmctl.adapters.ssh_config import Hop, Route

_VERIFIED = (
    "StrictHostKeyChecking=yes",
    "VerifyHostKeyDNS=no",
    "UpdateHostKeys=no",
    "NoHostAuthenticationForLocalhost=no",
    # A master that someone else opened was verified by who knows what.
    "ControlMaster=no",
    "ControlPath=none",
    "ConnectionAttempts=1",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "LogLevel=ERROR",
)
_FIXED = (
    *_VERIFIED,
    "BatchMode=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
)

# A terminal sends ^C to everyone. It is ours to answer, and what undoes things needs its way to the
# host; these end with whoever started them.
_HEAD = "#!/bin/sh\n# Written by vmctl; it is written anew when needed.\ntrap '' INT QUIT HUP\n"


def scripts(
    route: Route, folder: str, *, become: bool, limit: float, pinned: Key | None
) -> tuple[str, Mapping[str, tuple[str, int]]]:
    """Return the wrapper's path, and every file that it needs with text and mode.

    A file's name is the digest of its text: two runs that need one wrapper write the same file,
    and two that need different ones never the same. `pinned` is the key that was found right by
    its fingerprint, since OpenSSH takes keys and not fingerprints.
    """
    files: dict[str, tuple[str, int]] = {}
    own, through = _way(route, folder, limit, pinned, files)
    words = shlex.join(_words(_FIXED, route.target, limit, through, own))
    prefix = "sudo -n " if become else ""
    # The for leaves libvirt's last word in $last. SHELL runs ProxyCommand: sh quotes as we do.
    text = (
        f"{_HEAD}export SHELL=/bin/sh\nfor last do :; done\n"
        f'exec {words} -T -e none -- {shlex.quote(route.target.alias)} "{prefix}$last"\n'
    )
    return _add(files, folder, text, 0o700), files


def entry(
    route: Route, folder: str, command: tuple[str, ...], *, limit: float, pinned: Key | None
) -> tuple[list[str], Mapping[str, tuple[str, int]]]:
    """Return the words that enter a host as a person does, and the files that they need.

    One word of a command is a script for the login's shell; several are taken as they are.
    """
    files: dict[str, tuple[str, int]] = {}
    own, through = _way(route, folder, limit, pinned, files)
    words = [*_words(_VERIFIED, route.target, limit, through, own), "--", route.target.alias]
    if command:
        words.append(command[0] if len(command) == 1 else shlex.join(command))
    return words, files


def piped(
    route: Route,
    folder: str,
    line: str,
    *,
    limit: float,
    pinned: Key | None,
    quick: tuple[str, ...],
) -> tuple[list[str], Mapping[str, tuple[str, int]]]:
    """Return the words that run a line on a host with nothing between its pipes and ours.

    Of the ciphers that ssh would offer anyhow, the `quick` ones are offered first.
    """
    files: dict[str, tuple[str, int]] = {}
    own, through = _way(route, folder, limit, pinned, files)
    words = _words(_FIXED, route.target, limit, through, own)
    first = [one for one in quick if one in route.target.ciphers]
    if first:
        rest = [one for one in route.target.ciphers if one not in first]
        words += ["-o", f"Ciphers={','.join([*first, *rest])}"]
    return [*words, "-T", "-e", "none", "--", route.target.alias, line], files


def passage(
    route: Route, folder: str, *, limit: float, pinned: Key | None
) -> tuple[str, Mapping[str, tuple[str, int]]]:
    """Return a script that leads through a host to an address as the host reaches it.

    It is an ssh's ProxyCommand: its only word is `[address]:port`.
    """
    files: dict[str, tuple[str, int]] = {}
    own, through = _way(route, folder, limit, pinned, files)
    words = shlex.join(_words(_FIXED, route.target, limit, through, own))
    text = (
        f'{_HEAD}export SHELL=/bin/sh\nexec {words} -W "$1" -- {shlex.quote(route.target.alias)}\n'
    )
    return _add(files, folder, text, 0o700), files


def _way(
    route: Route,
    folder: str,
    limit: float,
    pinned: Key | None,
    files: dict[str, tuple[str, int]],
) -> tuple[str | None, str | None]:
    """Add what leads to the last hop: a file with its pinned key, a script for each jump."""
    own: str | None = None
    if pinned is not None:
        own = _add(files, folder, f"{route.target.key_name} {pinned.type} {pinned.base64}\n", 0o600)
    through: str | None = None
    for jump in route.jumps:
        words = shlex.join(_words(_FIXED, jump, limit, through, None))
        text = f'{_HEAD}export SHELL=/bin/sh\nexec {words} -W "$1" -- {shlex.quote(jump.alias)}\n'
        through = _add(files, folder, text, 0o700)
    return own, through


def write(files: Mapping[str, tuple[str, int]]) -> None:
    """Write the files that are not there yet; each appears whole or not at all."""
    for path, (text, mode) in files.items():
        target = Path(path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            if target.read_text() == text and target.stat().st_mode & 0o777 == mode:
                continue
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=".draft-")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                os.fchmod(file.fileno(), mode)
            Path(draft).replace(target)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise


def uri(name: str, wrapper: str) -> str:
    """Return the URI under which libvirt runs the wrapper; its host is only a label."""
    return f"qemu+ssh://{quote(name, safe='')}/system?no_tty=1&command={quote(wrapper, safe='/')}"


def _words(
    fixed: tuple[str, ...], hop: Hop, limit: float, through: str | None, own: str | None
) -> list[str]:
    options = [*fixed, f"ConnectTimeout={max(round(limit), 1)}", f"HostName={hop.hostname}"]
    words = ["ssh"]
    if hop.config:
        words += ["-F", hop.config]
    words += ["-l", hop.user, "-p", str(hop.port)]
    if through is not None:
        # ssh expands %, and sh splits: both must leave the path as it is.
        proxy = shlex.quote(through).replace("%", "%%")
        options.append(f"ProxyCommand={proxy} [%h]:%p")
    if hop.identities_only:
        options.append("IdentitiesOnly=yes")
    there = [path for path in hop.identity_files if os.access(path, os.R_OK)]
    options += [f"IdentityFile={_path(path)}" for path in there]
    known = (own,) if own is not None else dict.fromkeys(hop.known_hosts)
    options.append("UserKnownHostsFile=" + (" ".join(map(_path, known)) or "none"))
    # All files are named above; a second list would only let more in.
    options.append("GlobalKnownHostsFile=none")
    if own is not None:
        options.append(f"HostKeyAlias={hop.key_name}")
    elif hop.host_key_alias:
        options.append(f"HostKeyAlias={hop.host_key_alias}")
    return [*words, *(w for o in options for w in ("-o", o))]


def _path(path: str) -> str:
    """Quote a path as ssh's options want it."""
    doubled = path.replace("%", "%%")
    return f'"{doubled}"' if " " in doubled else doubled


def _add(files: dict[str, tuple[str, int]], folder: str, text: str, mode: int) -> str:
    path = f"{folder}/{hashlib.sha256(text.encode()).hexdigest()[:20]}"
    files[path] = (text, mode)
    return path
