"""The base images in the hosts' pools: each once, whole, verified where it lies, or not there."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING

from vmctl.adapters.base_fetch import (
    Fetch,
    SourceFailed,
    Taken,
    WrongBytes,
    download_script,
    upload_script,
)
from vmctl.adapters.libvirt_errors import libvirt_errors
from vmctl.adapters.pipes import pump
from vmctl.domain.build import READY_SUFFIX, base_name
from vmctl.domain.sample import BASE_IMAGE_PREFIX
from vmctl.domain.url import told
from vmctl.errors import (
    HostError,
    HostUnreachable,
    NotFound,
    RemoteFailed,
    RemoteTimedOut,
    VmctlError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import libvirt

    from vmctl.adapters.kept_images import KeptImages
    from vmctl.adapters.libvirtd import LibvirtConnections
    from vmctl.adapters.pipes import HostPipes, Pipe
    from vmctl.adapters.shells import HostShells
    from vmctl.adapters.turns import Turns
    from vmctl.domain.host import Host
    from vmctl.domain.spec import ImageUse

_LOOK = 0.25
_TRY = 2.0
"""Seconds between two looks for the marker, and between two tries to take over from a dead one."""
_AT_ONCE = 5.0
"""Seconds without a word from a host, after which it is asked whether its libvirt hangs."""
_ASK_PEERS = 8.0
_BROKEN = "the connection broke"


def tell_nobody(_text: str) -> None:
    """Tell nobody."""


class HostBaseImages:
    """Brings base images to where they are needed, from wherever their bytes are."""

    def __init__(
        self,
        shells: HostShells,
        libvirts: LibvirtConnections,
        pipes: HostPipes,
        kept: KeptImages,
        turns: Turns,
    ) -> None:
        self._shells = shells
        self._libvirts = libvirts
        self._pipes = pipes
        self._kept = kept
        self._turns = turns
        self._mutex = threading.Lock()
        self._alone: dict[tuple[str, str, str], threading.Lock] = {}
        self._hoping: set[tuple[str, str]] = set()
        """The hosts that fetch something, as long as its URL has not failed there."""

    def ready(self, host: Host, pool: str) -> tuple[str, ...]:
        """List the digests of the base images that are whole and verified there."""
        with libvirt_errors(host.name, f"listing the pool {pool}"):
            names = set(self._pool(host, pool).listVolumes())
        bases = sorted(one for one in names if one.startswith(BASE_IMAGE_PREFIX))
        return tuple(
            one.removeprefix(BASE_IMAGE_PREFIX) for one in bases if one + READY_SUFFIX in names
        )

    def ensure(
        self,
        host: Host,
        pool: str,
        image: ImageUse,
        *,
        peers: tuple[Host, ...] = (),
        tell: Callable[[str], None] = tell_nobody,
        check: Callable[[], None] = lambda: None,
    ) -> str:
        """Have the base image in the pool, and give its path."""
        key = (host.name, pool, image.digest)
        with self._mutex:
            first = key not in self._alone
            alone = self._alone.setdefault(key, threading.Lock())
        # A connection costs more than the script there, and pays where more than one will ask.
        if not first:
            found = self._published(host, pool, base_name(image))
            if found is not None:
                return found
        # One of this process's threads is enough; the others find what it has brought.
        with alone:
            check()
            return self._have(host, pool, image, peers, tell=tell, check=check)

    def download(
        self, digest: str, hosts: tuple[Host, ...], sink: int, progress: Callable[[int], None]
    ) -> Host | None:
        """Write a base image that one of these hosts has into a file; None if none has it."""
        name = BASE_IMAGE_PREFIX + digest
        holder = self._holder(list(hosts), name)
        if holder is None:
            return None
        host, pool = holder
        with self._pipes.open(host, download_script(pool, name)) as pipe:
            try:
                pump(pipe.stdout.fileno(), sink, progress)
            except TimeoutError:
                raise RemoteTimedOut(
                    host.name, f"{host.name}: no byte has come for a minute", reason="timeout"
                ) from None
            code, said = pipe.end()
        if code != 0:
            raise RemoteFailed(host.name, f"{host.name}: reading {name}: {said or _BROKEN}")
        return host

    def _have(
        self,
        host: Host,
        pool: str,
        image: ImageUse,
        peers: tuple[Host, ...],
        *,
        tell: Callable[[str], None],
        check: Callable[[], None],
    ) -> str:
        name = base_name(image)
        waits = False
        while True:
            check()
            found: str | None = None
            if self._libvirts.connected(host):
                found = self._published(host, pool, name)
                if found is not None:
                    return found
            fetch = Fetch(host, pool, name, image)
            try:
                found = self._begin(fetch)
                return found or self._fill(fetch, peers, tell, check)
            except Taken:
                if not waits:
                    tell(f"{host.name}: waiting for {image.name}, which someone else fetches")
                waits = True
            finally:
                self._hoping.discard((host.name, image.digest))
                fetch.close()
            again = time.monotonic() + _TRY
            while found is None and time.monotonic() < again:
                check()
                time.sleep(_LOOK)
                found = self._published(host, pool, name)

    def _begin(self, fetch: Fetch) -> str | None:
        shell = self._shells.shell(fetch.host)
        try:
            return fetch.begin(shell, _AT_ONCE)
        except HostError as error:
            if isinstance(error, HostUnreachable) and error.reason != "lost":
                raise
            # What is amiss with libvirt or its pool is told better by our own connection.
            found = self._published(fetch.host, fetch.pool, fetch.name)
            if found is not None:
                return found
            if not isinstance(error, RemoteTimedOut):
                raise
        # It lives, and is slow.
        return fetch.begin(shell)

    def _fill(
        self,
        fetch: Fetch,
        peers: tuple[Host, ...],
        tell: Callable[[str], None],
        check: Callable[[], None],
    ) -> str:
        failed: list[SourceFailed] = []
        try:
            for bring, source in self._sources(fetch, peers, tell, check):
                tell(f"{fetch.host.name}: {fetch.image.name} comes from {source}")
                try:
                    bring()
                    tell(f"{fetch.host.name}: {fetch.image.name} is being verified")
                    fetch.verify(source)
                except SourceFailed as error:
                    failed.append(error)
                    continue
                return fetch.publish()
        except BaseException:
            with contextlib.suppress(HostError):
                fetch.drop()
            raise
        fetch.drop()
        raise _no_source(fetch, failed)

    def _sources(
        self,
        fetch: Fetch,
        peers: tuple[Host, ...],
        tell: Callable[[str], None],
        check: Callable[[], None],
    ) -> Iterator[tuple[Callable[[], None], str]]:
        """Offer each way to the bytes: once over our own line, twice, or not at all.

        What comes by URL is the last: a host that has it spares the server, which may be far away
        and other people's.
        """
        image, host = fetch.image, fetch.host
        tick = _percent(fetch, tell)
        if self._kept.has(image.digest):
            yield lambda: self._from_file(fetch, tick), "here"
        tried: set[str] = set()
        asked = False
        self._hoping.add((host.name, image.digest))
        while True:
            # Before the look: it then finds what those who had a turn until now have brought.
            others = [one for one in peers if one.name not in tried and one.name != host.name]
            coming = self._coming(image.digest, others)
            holder = self._holder(others, base_name(image))
            if holder is not None:
                peer, pool = holder
                tried.add(peer.name)
                yield lambda p=peer, q=pool: self._from_peer(fetch, p, q, tick), peer.name  # type: ignore[misc]  # defaults bind the loop's values
                continue
            if image.url is None:
                return
            if not asked:
                url = image.url
                with self._turns.attempt(image.digest) as mine:
                    if mine:
                        asked = True
                        yield lambda u=url: fetch.by_url(u, tick), told(url)  # type: ignore[misc]  # likewise
                if mine:
                    self._hoping.discard((host.name, image.digest))
                    continue
            elif not coming:
                return
            # Others fetch it just now, and the first that has it is a source for us.
            check()
            fetch.beat()
            time.sleep(_LOOK if others else _TRY)

    def _coming(self, digest: str, others: list[Host]) -> bool:
        """Say whether one of them may yet have it, by the work of this process or of another."""
        hoping = self._hoping.copy()
        hoped = any((one.name, digest) in hoping for one in others)
        return hoped or (bool(others) and self._turns.held(digest))

    def _from_file(self, fetch: Fetch, tick: Callable[[int], None]) -> None:
        with self._kept.path(fetch.image.digest).open("rb") as file:
            source, of = file.fileno(), "the bytes that are kept here"
            # On this machine the script would have the file itself, and outlive us with it.
            if fetch.host.connection == "local":
                self._upload(fetch, lambda sink: pump(source, sink.stdin.fileno(), tick), of)
            else:
                self._upload(fetch, lambda sink: sink.watch(source, tick), of, source)

    def _from_peer(self, fetch: Fetch, peer: Host, pool: str, tick: Callable[[int], None]) -> None:
        with self._pipes.open(peer, download_script(pool, fetch.name)) as pipe:
            source = pipe.stdout.fileno()
            self._upload(fetch, lambda sink: pump(source, sink.stdin.fileno(), tick), peer.name)
            code, said = pipe.end()
        if code != 0:
            raise SourceFailed(f"{peer.name}: {said or _BROKEN}")

    def _upload(
        self, fetch: Fetch, carry: Callable[[Pipe], object], of: str, file: int | None = None
    ) -> None:
        script = upload_script(fetch.pool, fetch.name, fetch.image.size, fetch.path)
        with self._pipes.open(fetch.host, script, file) as pipe:
            try:
                carry(pipe)
            except BrokenPipeError:
                pass  # how it ended over there says why
            except TimeoutError:
                raise SourceFailed(f"{of}: no byte has moved for a minute") from None
            code, said = pipe.end()
        if code != 0:
            fetch.judge_upload(said or _BROKEN, of=of)

    def _holder(self, peers: list[Host], name: str) -> tuple[Host, str] | None:
        """Find a host that has it; those that do not answer soon have not."""
        found: queue.SimpleQueue[tuple[Host, str] | None] = queue.SimpleQueue()

        def look(peer: Host) -> None:
            where = None
            with contextlib.suppress(VmctlError):
                for pool in peer.pools:
                    if where is None and self._published(peer, pool.name, name) is not None:
                        where = (peer, pool.name)
            found.put(where)

        for peer in peers:
            threading.Thread(target=look, args=(peer,), daemon=True).start()
        until = time.monotonic() + _ASK_PEERS
        for _ in peers:
            try:
                one = found.get(timeout=max(until - time.monotonic(), 0))
            except queue.Empty:
                return None
            if one is not None:
                return one
        return None

    def _published(self, host: Host, pool: str, name: str) -> str | None:
        """Give the path of a base image that is there with its marker."""
        here = self._pool(host, pool)
        try:
            with libvirt_errors(host.name, f"looking for {name}"):
                here.storageVolLookupByName(name + READY_SUFFIX)
                return str(here.storageVolLookupByName(name).path())
        except NotFound:
            return None

    def _pool(self, host: Host, pool: str) -> libvirt.virStoragePool:
        connection = self._libvirts.connection(host)
        try:
            with libvirt_errors(host.name, f"looking for the pool {pool}"):
                return connection.storagePoolLookupByName(pool)
        except NotFound as error:
            raise RemoteFailed(
                host.name,
                f"{host.name}: there is no pool {pool}",
                hint=f"vmctl host check {host.name}",
                reason="pool",
            ) from error


def _percent(fetch: Fetch, tell: Callable[[str], None]) -> Callable[[int], None]:
    """Return what is told how far the bytes are, and keeps the other side patient."""

    def tick(done: int) -> None:
        fetch.beat()
        part = min(100 * done // fetch.image.size, 100)
        tell(f"{fetch.host.name}: {fetch.image.name} {part} %")

    return tick


def _no_source(fetch: Fetch, failed: list[SourceFailed]) -> RemoteFailed:
    host, image = fetch.host.name, fetch.image
    if not failed:
        return RemoteFailed(
            host,
            f"{host}: nobody has the bytes of the image {image.name}: they are not kept here, no"
            " host that was asked has them, and it has no URL",
            hint=f"create the image anew with --file, or run vmctl image cache push {image.name}"
            " where its bytes are kept",
            reason="no-bytes",
        )
    wrong = any(isinstance(one, WrongBytes) for one in failed)
    return RemoteFailed(
        host,
        f"{host}: the image {image.name}: " + "; ".join(str(one) for one in failed),
        hint="its bytes are not those that were put on record: has what is behind the URL changed?"
        if wrong
        else f"vmctl image show {image.name}",
        reason="checksum" if wrong else "image",
    )
