"""Looking at a host's key before it is trusted, and writing down that it is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vmctl.adapters.hostkeys import Key, Line, hashed_name, parse_known_hosts, trust_in
from vmctl.errors import HostKeyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmctl.adapters.shells import HostShells
    from vmctl.adapters.ssh_config import Hop
    from vmctl.domain.host import Host


_GONE = "\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The keys that one sshd on the way to a host shows, and what is known of them."""

    host: str
    hop: Hop
    keys: tuple[Key, ...]
    jump: bool
    file: str
    """Where a key would be pinned; empty where none of the files could take one."""
    refusal: HostKeyError | None = None
    """Why none of them is trusted yet, or one of them is refused."""

    @property
    def trusted(self) -> bool:
        """Whether one of them is trusted already, and none is refused."""
        return self.refusal is None

    @property
    def name(self) -> str:
        """What the keys are pinned under."""
        return self.hop.key_name


def look(shells: HostShells, host: Host) -> Seen:
    """Look at the keys of a host without a login; of a jump host first, if its key is not trusted.

    What leads to the host is verified like everything else, so each jump is pinned in its turn.
    """
    from vmctl.adapters.ssh import Jumps
    from vmctl.adapters.ssh_connect import Entry, keys_shown

    route = shells.route(host)
    jumps = Jumps()
    limit = shells.connect_limit
    try:
        for number, hop in enumerate(route.hops):
            jump = number < len(route.jumps)
            deadline = time.monotonic() + limit
            through = jumps.transport(route.hops[:number], host.name, limit, deadline)
            entry = Entry(
                hop=hop, host=host.name, limit=limit, deadline=deadline, through=through, jump=jump
            )
            keys = keys_shown(entry)
            seen = seen_at(host.name, hop, keys, jump=jump)
            if not jump or not seen.trusted:
                return seen
    finally:
        jumps.close()
    raise AssertionError(route)  # The last hop is no jump, and was returned.


def seen_at(host: str, hop: Hop, keys: tuple[Key, ...], *, jump: bool) -> Seen:
    """Return the keys with what is known of them, and where they would be pinned."""
    # The shared file of a team's inventory comes first among a hop's files.
    file = next(filter(_takes_keys, hop.known_hosts), "")
    seen = Seen(host=host, hop=hop, keys=keys, jump=jump, file=file)
    try:
        _verify_any(seen, list(keys))
    except HostKeyError as refusal:
        return replace(seen, refusal=refusal)
    return seen


def pin(seen: Seen, *, fingerprint: str | None = None) -> tuple[Key, ...]:
    """Trust the keys that were seen, or the one with this fingerprint; return what was written.

    A key that another one is known in place of is replaced only where its fingerprint is given:
    seeing it is no proof. Raises HostKeyError or UsageError, and then nothing was written.
    """
    if seen.hop.host_key:
        raise UsageError(
            f"{seen.host}: its keys are pinned in the inventory itself, by `host_key:`",
            hint="add to it there: " + ", ".join(key.fingerprint for key in seen.keys),
        )
    wanted = [key for key in seen.keys if fingerprint in (None, key.fingerprint)]
    if not wanted:
        shown = ", ".join(key.fingerprint for key in seen.keys)
        raise HostKeyError(
            seen.host,
            f"{seen.host}: no key with the fingerprint {fingerprint}; it shows {shown}",
            hint="do not connect: this may not be the host that it says it is",
            reason="changed",
            fingerprint=shown,
        )
    trust = trust_in(seen.hop, seen.host, jump=seen.jump)
    for key in wanted:
        if key in trust.revoked or (trust.keys and fingerprint is None):
            _verify_any(seen, wanted)
    if not seen.file or not _takes_keys(seen.file):
        raise UsageError(
            f"{seen.host}: there is no file to pin the keys of {seen.name} in: "
            + (", ".join(seen.hop.known_hosts) or "the ssh configuration names none"),
            hint="name a file by `known_hosts:` in the inventory",
        )
    try:
        _write(seen, tuple(wanted), replace=fingerprint is not None)
    except OSError as error:
        raise UsageError(
            f"{seen.host}: {seen.file} cannot be written: {error.strerror or error}",
            hint="let this account write it, or name another by `known_hosts:` in the inventory",
        ) from error
    return tuple(wanted)


def pinned(text: str, seen: Seen, keys: tuple[Key, ...], *, replace: bool = False) -> str:
    """Return a known_hosts file's text with these keys in it, in the place of older ones.

    An older key of the same type is replaced in its line, under all the names that the line has:
    whoever wrote it said that they are one machine. `replace` says that the host is another one
    now, so that its former keys of other types go.
    """
    rows = text.splitlines()
    lines = parse_known_hosts(text)
    hashed = any(line.hashed for line in lines) if lines else seen.hop.hash_known_hosts
    missing = list(keys)
    for line in lines:
        if line.marker or not line.covers(seen.name):
            continue
        new = next((key for key in keys if key.type == line.key.type), None)
        if new is None:
            if replace and line.key not in seen.keys and not _is_pattern(line):
                # A key of the machine that was there before: it would be asked for first.
                rows[line.number - 1] = _GONE
            continue
        if new in missing:
            missing.remove(new)
        if new != line.key:
            _refuse_pattern(seen, line)
            rows[line.number - 1] = f"{line.names} {new.type} {new.base64}"
    name = hashed_name(seen.name, secrets.token_bytes(20)) if hashed else seen.name
    rows += [f"{name} {key.type} {key.base64}" for key in missing]
    return "".join(f"{row}\n" for row in rows if row != _GONE)


def _verify_any(seen: Seen, keys: list[Key]) -> None:
    """Return if one of the keys is trusted; else raise what the first refusal says."""
    trust = trust_in(seen.hop, seen.host, jump=seen.jump)
    refusals = []
    for key in keys:
        try:
            trust.verify(key)
        except HostKeyError as refused:
            refusals.append(refused)
    # A key of a type that nothing is known of is no change, if another one is as it was.
    grave = [
        refused
        for refused in refusals
        if refused.reason == "revoked" or _known(trust.keys, refused)
    ]
    if grave or len(refusals) == len(keys):
        raise (grave or refusals)[0]


def _known(keys: tuple[Key, ...], refused: HostKeyError) -> bool:
    return refused.reason == "changed" and any(key.type == refused.key_type for key in keys)


def _refuse_pattern(seen: Seen, line: Line) -> None:
    if _is_pattern(line):
        raise UsageError(
            f"{seen.file}:{line.number}: the line that knows {seen.name} is a pattern",
            hint="change that line by hand: it speaks of other hosts too",
        )


def _is_pattern(line: Line) -> bool:
    return not line.hashed and any(sign in line.names for sign in "*?!")


def _takes_keys(file: str) -> bool:
    """Whether keys can be kept there: a device would be replaced, and a folder cannot be."""
    try:
        return stat.S_ISREG(os.stat(file).st_mode)  # noqa: PTH116 - a Path would take "" for "."
    except FileNotFoundError:
        return file != ""
    except OSError:
        # It is named and may be there; writing it will tell what stands in the way.
        return True


def _write(seen: Seen, keys: tuple[Key, ...], *, replace: bool) -> None:
    target = Path(seen.file).resolve()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(target):
        text = target.read_text(errors="surrogateescape") if target.exists() else ""
        _replace(target, pinned(text, seen, keys, replace=replace))


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    # The folder carries the lock: the file itself is replaced.
    handle = os.open(target.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(target: Path, text: str) -> None:
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=".known_hosts-")
    try:
        with os.fdopen(handle, "w", errors="surrogateescape") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        Path(draft).replace(target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
