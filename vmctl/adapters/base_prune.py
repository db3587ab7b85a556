"""Taking base images away that nothing on a host needs, whoever made what is there."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from vmctl.adapters.base_fetch import LOCK
from vmctl.adapters.libvirt_errors import libvirt_errors
from vmctl.domain.build import READY_SUFFIX
from vmctl.domain.cached import Cached
from vmctl.domain.sample import BASE_IMAGE_PREFIX
from vmctl.errors import Conflict, NotFound, RemoteFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import libvirt

    from vmctl.adapters.libvirtd import LibvirtConnections
    from vmctl.domain.host import Host
    from vmctl.ports import HostLeases, Shell, Shells

_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_SOURCE = re.compile(r"<source [^>]*\bfile='([^']+)'")
_MTIME = re.compile(r"<mtime>([0-9.]+)</mtime>")
_INACTIVE = 2  # VIR_DOMAIN_XML_INACTIVE
_NEED = 15.0
_LIMIT = 60.0
_TRIES = 5


class BasePruner:
    """Looks through a host and takes away what nothing there needs."""

    def __init__(self, shells: Shells, libvirts: LibvirtConnections, leases: HostLeases) -> None:
        self._shells = shells
        self._libvirts = libvirts
        self._leases = leases

    def look(self, host: Host) -> tuple[Cached, ...]:
        """List the base images in a host's pools."""
        connection = self._libvirts.connection(host)
        with libvirt_errors(host.name, "looking for base images"):
            pools = _active(connection)
            used = self._used(host, connection, pools)
            return tuple(
                one
                for pool in pools
                if pool.name() in {mine.name for mine in host.pools}
                for one in _cached(pool, used)
            )

    def prune(
        self, host: Host, *, spare: Callable[[Cached], bool] = lambda _: False
    ) -> tuple[Cached, ...]:
        """Take away what is not used nor to be spared, and give what that was.

        Under the host's lease: whoever makes a server there defines its domain under it, with a
        record that names the image, before it asks for the image.
        """
        gone: list[Cached] = []
        with self._leases.hold(host) as lease:
            self._refresh(host)
            idle = [one for one in self.look(host) if not one.used and not spare(one)]
            for pool in dict.fromkeys(one.pool for one in idle):
                mine = [one for one in idle if one.pool == pool]
                lease.check(need=_NEED)
                done = self._shells.shell(host).run(_script(pool, mine), timeout=_LIMIT)
                names = {line.removeprefix("gone ") for line in done.text.splitlines()}
                gone += [one for one in mine if BASE_IMAGE_PREFIX + one.digest in names]
                if done.complaint:
                    done.require(host.name, f"pruning the pool {pool}")
                    raise RemoteFailed(
                        host.name, f"{host.name}: pruning the pool {pool}: {done.complaint}"
                    )
        return tuple(gone)

    def _refresh(self, host: Host) -> None:
        """Have libvirt look at its pools anew, for what came past it; not while one is at work."""
        connection = self._libvirts.connection(host)
        for pool in _active(connection):
            for left in reversed(range(_TRIES)):
                try:
                    with libvirt_errors(host.name, f"refreshing the pool {pool.name()}"):
                        pool.refresh()
                    break
                except Conflict:
                    if not left:
                        raise
                    time.sleep(1)

    def _used(
        self, host: Host, connection: libvirt.virConnect, pools: list[libvirt.virStoragePool]
    ) -> set[str]:
        """Gather the digests that any domain, record, disk or overlay names."""
        texts, known, used = [], set(), set()
        for domain in connection.listAllDomains():
            try:
                with libvirt_errors(host.name, "reading a domain"):
                    texts += [domain.XMLDesc(), domain.XMLDesc(_INACTIVE)]
            except (NotFound, Conflict):
                continue
        for pool in pools:
            for volume in pool.listAllVolumes():
                try:
                    with libvirt_errors(host.name, "reading a volume"):
                        known.add(volume.path())
                        if not volume.name().startswith(BASE_IMAGE_PREFIX):
                            texts.append(volume.XMLDesc())
                except NotFound:
                    continue
        for text in texts:
            used.update(_DIGEST.findall(text))
        disks = {_plain(path) for text in texts for path in _SOURCE.findall(text)}
        for path in sorted(disks - known):
            said = self._chain(self._shells.shell(host), host.name, path)
            used.update(_DIGEST.findall(said))
        return used

    def _chain(self, shell: Shell, host: str, path: str) -> str:
        """Say what a disk outside of every pool lies upon; one that is not there lies upon none."""
        done = shell.run(
            f"qemu-img info -U --backing-chain -- {shlex.quote(path)}\n", timeout=_LIMIT
        )
        if done.exit_code and "No such file" not in done.complaint:
            raise RemoteFailed(
                host,
                f"{host}: what the disk {path} lies upon cannot be told: {done.complaint}",
                hint="nothing was taken away; make it readable to the login, or say `become: sudo`",
                reason="disk",
            )
        return done.text


def _active(connection: libvirt.virConnect) -> list[libvirt.virStoragePool]:
    return [pool for pool in connection.listAllStoragePools() if pool.isActive()]


def _cached(pool: libvirt.virStoragePool, used: set[str]) -> Iterator[Cached]:
    names = set(pool.listVolumes())
    bases = {one.removesuffix(READY_SUFFIX) for one in names if one.startswith(BASE_IMAGE_PREFIX)}
    for name in sorted(bases):
        digest = name.removeprefix(BASE_IMAGE_PREFIX)
        whole = name in names and name + READY_SUFFIX in names
        if re.fullmatch("[0-9a-f]{64}", digest):
            yield Cached(
                pool=pool.name(),
                digest=digest,
                whole=whole,
                used=digest in used,
                since=_written(pool, name if name in names else name + READY_SUFFIX),
            )


def _written(pool: libvirt.virStoragePool, name: str) -> float:
    """Say when a volume was written last; one that has just gone was never."""
    try:
        with libvirt_errors("", "reading a volume"):
            found = _MTIME.search(pool.storageVolLookupByName(name).XMLDesc())
    except NotFound:
        return 0.0
    return float(found[1]) if found else 0.0


def _plain(path: str) -> str:
    """Undo what XML did to a path."""
    for escaped, sign in (("&lt;", "<"), ("&gt;", ">"), ("&apos;", "'"), ("&quot;", '"')):
        path = path.replace(escaped, sign)
    return path.replace("&amp;", "&")


def _script(pool: str, idle: list[Cached]) -> str:
    whole = "\n".join(BASE_IMAGE_PREFIX + one.digest for one in idle if one.whole)
    half = "\n".join(BASE_IMAGE_PREFIX + one.digest for one in idle if not one.whole)
    words = {"pool": pool, "lock": LOCK, "whole": whole, "half": half}
    head = "".join(f"{key}={shlex.quote(value)}\n" for key, value in words.items())
    return head + Path(__file__).with_name("base_prune.sh").read_text(encoding="utf-8")
