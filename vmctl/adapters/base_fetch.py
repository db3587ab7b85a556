"""One try to have one base image in one pool: a script on the host, and what is said to it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from vmctl.adapters.pipes import LIMIT
from vmctl.domain.image_format import detect
from vmctl.domain.url import told
from vmctl.errors import HostUnreachable, RemoteFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.domain.host import Host
    from vmctl.domain.spec import ImageUse
    from vmctl.ports import Shell, Stream

LOCK = "/run/libvirt"
"""Where libvirt's sockets are: there on every host, one for each, and opened by anyone."""

PEEK = 4096
ANSWER = 30.0
"""Seconds for what libvirt there does at once, unless much else is asked of it."""
_ALIVE = 60.0
"""Seconds in which a host that is at work says so many times."""
_NOT_FOUND = "22"
_TOLD = 200


class SourceFailed(Exception):
    """What the bytes were to come from did not give them; another source may."""


class Fetch:
    """The script on the host; the volume is ours until it is published or dropped."""

    def __init__(self, host: Host, pool: str, name: str, image: ImageUse) -> None:
        self.host = host
        self.pool = pool
        self.name = name
        self.image = image
        self.path = ""
        self._stream: Stream | None = None

    def begin(self, shell: Shell, patience: float = ANSWER) -> str | None:
        """Make the volume and return nothing; or its path if it is ready; raises Taken.

        Who has lost patience may come again, and hears what the same script says then.
        """
        if self._stream is None:
            script = _script(self.pool, self.name, self.image.size)
            self._stream = shell.open(script, timeout=LIMIT)
        word, rest = self._hear(patience)
        match word:
            case "ready":
                return rest
            case "begin":
                self.path = rest
                return None
            case "busy":
                raise Taken
        raise self._failed(rest)

    def close(self) -> None:
        """End the script; a volume that was not published goes with it."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def beat(self) -> None:
        """Let the script know that there is someone: without a word it gives up."""
        self._say("beat")

    def by_url(self, url: str, tick: Callable[[int], None]) -> None:
        """Have the host itself fetch the bytes; raises SourceFailed."""
        quoted = url.replace("\\", "\\\\").replace('"', '\\"')
        self._say(f"url {quoted}")
        notes, codes = [], {}
        while True:
            word, rest = self._hear(_ALIVE, tick)
            if word == "fetched":
                break
            first, _, value = rest.partition(" ")
            if first in ("curl", "upload") and value.isdecimal():
                codes[first] = value
            else:
                notes.append(rest)
        # A curl that nobody reads any more fails as well, and is not to blame.
        if codes.get("upload") != "0" and not any("requested URL" in note for note in notes):
            self.judge_upload("; ".join(notes), of=told(url))
        if codes.get("curl") != "0":
            why = next((note for note in notes if note.startswith("curl:")), "") or (
                "there is no curl" if codes.get("curl") == "127" else f"curl {codes.get('curl')}"
            )
            raise SourceFailed(f"{told(url)}: {why[:_TOLD]}")

    def judge_upload(self, said: str, *, of: str) -> None:
        """Say why the pool did not take the bytes: it is full, or they are too many, or neither."""
        if "No space left" not in said:
            raise self._failed(said)
        free, _ = self._room()
        if free is not None and free > self.image.size // 10:
            raise SourceFailed(f"{of}: it has more bytes than the image, {self.image.size}")
        raise pool_full(self.host.name, self.pool, self.image, free)

    def verify(self, source: str) -> None:
        """Have the host read what landed there, and compare; raises SourceFailed."""
        self._say("verify")
        _, found = self._hear(_ALIVE)
        _, head = self._hear(ANSWER)
        if found != self.image.digest:
            self._judge_room()
            raise WrongBytes(
                f"the checksum is wrong: wanted sha256 {self.image.digest}, found {found} on"
                f" {self.host.name} (from {source})"
            )
        try:
            seen = detect(bytes.fromhex(head), self.image.size, f"the image {self.image.name}")
        except UsageError as error:
            raise RemoteFailed(
                self.host.name,
                f"{self.host.name}: {error.message}",
                hint=error.hint,
                reason="image",
            ) from None
        if (seen.format, seen.virtual_size) != (self.image.format, self.image.virtual_size):
            raise RemoteFailed(
                self.host.name,
                f"{self.host.name}: the image {self.image.name} is {seen.format} of"
                f" {seen.virtual_size} bytes there, and on record it is {self.image.format} of"
                f" {self.image.virtual_size}",
                hint="delete the image and create it anew",
                reason="image",
            )

    def publish(self) -> str:
        """Make the marker, and return the path of the base image."""
        self._say("publish")
        word, rest = self._hear(ANSWER)
        if word != "ready":
            raise self._failed(rest)
        return rest

    def drop(self) -> None:
        """Take the volume away, and wait until it is."""
        self._say("drop")
        self._hear(ANSWER)

    def _judge_room(self) -> None:
        """See that there was room: libvirt may say of a full pool that all was written."""
        free, held = self._room()
        if free is not None and held is not None and held < self.image.size - free:
            raise pool_full(self.host.name, self.pool, self.image, free)

    def _room(self) -> tuple[int | None, int | None]:
        """Ask for the bytes that are free where the volume lies, and those that it takes there."""
        self._say("room")
        _, said = self._hear(ANSWER)
        free, _, held = said.partition(" ")
        return (int(free) if free.isdecimal() else None, int(held) if held.isdecimal() else None)

    def _say(self, line: str) -> None:
        assert self._stream is not None  # noqa: S101 - begin comes first
        self._stream.write(line.encode() + b"\n")

    def _hear(self, seconds: float, tick: Callable[[int], None] | None = None) -> tuple[str, str]:
        assert self._stream is not None  # noqa: S101 - likewise
        while True:
            line = self._stream.read_line(seconds)
            if line is None:
                raise HostUnreachable(
                    self.host.name,
                    f"{self.host.name}: fetching {self.image.name} ended there without a word",
                    hint=f"see whether {LOCK} can be read there, and try again",
                    reason="lost",
                )
            word, _, rest = line.decode(errors="replace").partition(" ")
            if word != "beat":
                return word, rest
            if tick is not None and rest.isdecimal():
                tick(int(rest))

    def _failed(self, said: str) -> RemoteFailed:
        name = self.host.name
        if "No space left" in said:
            return pool_full(name, self.pool, self.image, None)
        return RemoteFailed(
            name,
            f"{name}: the image {self.image.name} cannot be put into the pool {self.pool}:"
            f" {said.removeprefix('error: ')[:_TOLD] or 'no reason was given'}",
            hint=f"vmctl host check {name}",
            reason="pool",
        )


class Taken(Exception):
    """Someone else has made the volume, and lives as far as is known."""


class WrongBytes(SourceFailed):
    """What came is not what was wanted."""


def pool_full(host: str, pool: str, image: ImageUse, free: int | None) -> RemoteFailed:
    """Return the error for a pool that has no room for an image."""
    left = "" if free is None else f", and {free // 1024**2} MiB are left"
    return RemoteFailed(
        host,
        f"{host}: the pool {pool} is full: the image {image.name} has"
        f" {-(-image.size // 1024**2)} MiB{left}",
        hint=f"vmctl image cache prune --host {host} makes room, if images lie there unused",
        reason="pool-full",
    )


def upload_script(pool: str, name: str, size: int, path: str) -> str:
    """Return a script that puts its stdin into a volume, of which it is at most so many bytes.

    Whoever may write the file that libvirt has made writes it: that is half the work.
    """
    words = (f"--pool={pool}", f"--vol={name}", "--file=/dev/stdin", f"--length={size}")
    up = f"virsh -q -c qemu:///system vol-upload {shlex.join(words)} >/dev/null"
    file = shlex.quote(path)
    return (
        f"if [ -f {file} ] && [ -w {file} ]; then exec dd of={file} bs=64k"
        f" conv=nocreat,notrunc iflag=fullblock,count_bytes count={size} status=none; fi\n"
        # A socket cannot be opened by its name, and some sshd give one.
        f"if [ -S /dev/stdin ]; then cat | {up}; else {up}; fi\n"
    )


def download_script(pool: str, name: str) -> str:
    """Return a script that writes a volume on its stdout."""
    words = (f"--pool={pool}", f"--vol={name}", "--file=/dev/stdout")
    down = f"virsh -q -c qemu:///system vol-download {shlex.join(words)}"
    return f"if [ -S /dev/stdout ]; then {down} | cat; else {down}; fi\n"


def _script(pool: str, name: str, size: int) -> str:
    set_before = {
        "pool": pool,
        "name": name,
        "size": str(size),
        "peek": str(min(size, PEEK)),
        "lock": LOCK,
    }
    head = "".join(f"{key}={shlex.quote(value)}\n" for key, value in set_before.items())
    return head + Path(__file__).with_name("base_image.sh").read_text(encoding="utf-8")
