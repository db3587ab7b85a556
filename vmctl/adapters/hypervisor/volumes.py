"""Volumes in a host's pools, made and read through libvirt; no pool is refreshed without need.

A refresh reads the whole pool. libvirt refuses one beside a volume that is being made, and does
one by itself after each upload.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from vmctl.adapters.hypervisor import elements, streams
from vmctl.adapters.hypervisor.link import ABSENT, REFUSED
from vmctl.domain.machine import FILE_POOLS, FoundVolume, PoolPlace
from vmctl.domain.sample import BASE_IMAGE_PREFIX
from vmctl.errors import RemoteFailed

if TYPE_CHECKING:
    import libvirt

    from vmctl.adapters.hypervisor.link import Link
    from vmctl.domain.build import Volume

_COMPARED = 64 * 1024 * 1024
"""Bytes up to which what is there is read and compared rather than written once more."""

_SECTOR = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A volume by its own XML; sizes are bytes, and `length` is the file's own."""

    path: str
    is_file: bool
    format: str
    capacity: int
    length: int
    allocation: int
    backing: str | None


class HostPool:
    """One pool of one host."""

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self.name = name
        self._host = link.host.name
        pool = link.find(f"looking for pool {name}", lambda on: on.storagePoolLookupByName(name))
        if pool is None:
            raise self._failed(
                f"there is no storage pool {name}",
                hint=f"on {self._host}: virsh pool-list --all tells which there are",
                reason="no-pool",
            )
        self._pool = pool

    def place(self) -> PoolPlace:
        """Say where it is; the bytes available are as libvirt last counted them."""
        doing = f"looking at pool {self.name}"
        if not self._link.ask(doing, lambda _: self._pool.isActive()):
            raise self._failed(
                f"storage pool {self.name} is stopped",
                hint=f"on {self._host}: virsh pool-start {self.name}",
                reason="pool-stopped",
            )
        found = elements.read(self._link.ask(doing, lambda _: self._pool.XMLDesc(0)))
        kind = found.get("type", "")
        return PoolPlace(
            name=self.name,
            type=kind,
            path=elements.text(found, "target/path"),
            available=elements.whole(found, "available"),
            formats=("raw", "qcow2") if kind in FILE_POOLS else ("raw",),
        )

    def names(self) -> tuple[str, ...]:
        """List the volumes by name."""
        doing = f"listing pool {self.name}"
        return tuple(self._link.ask(doing, lambda _: self._pool.listVolumes()))

    def find(self, name: str) -> FoundVolume | None:
        """Find a volume; one whose file is gone is not there, whatever libvirt remembers."""
        found = self._described(self._lookup(name), name)
        if found is None:
            return None
        return FoundVolume(
            name=name, path=found.path, size=found.capacity, allocation=found.allocation
        )

    def ensure(self, place: PoolPlace, volume: Volume) -> str:
        """Have such a volume and give its path; one of its name that is another goes.

        One that is to have no size grows by itself, and fits at any.
        """
        if volume.format not in place.formats:
            raise self._failed(
                f"pool {self.name} is of type {place.type}, which holds no {volume.format} disks",
                hint=f"name another pool; those of type {', '.join(FILE_POOLS)} do",
                reason="pool-format",
            )
        backing = self._backing(volume) if volume.backing is not None else None
        xml = _xml(place, volume, backing)
        made = self._make(xml, volume.name)
        if made is None:
            handle = self._lookup(volume.name)
            found = self._described(handle, volume.name)
            if found is not None and _fits(found, place, volume, backing):
                return found.path
            if handle is None:
                # Its file is there and libvirt does not know of it: only looking again helps.
                self.refresh()
                handle = self._lookup(volume.name)
            if handle is not None:
                self._delete(handle, volume.name)
            made = self._link.patiently(
                self._making(volume.name), lambda: self._pool.createXML(xml)
            )
        path: str = self._link.call(self._making(volume.name), made.path)
        return path

    def ensure_content(self, place: PoolPlace, volume: Volume, content: bytes) -> str:
        """Have a volume with exactly this content, and give its path.

        One that has it is left alone: a domain may be reading it.
        """
        wanted = replace(volume, size=len(content), format="raw", backing=None)
        handle = self._lookup(volume.name)
        found = self._described(handle, volume.name)
        if found is not None and (not found.is_file or found.length == len(content)):
            small = len(content) <= _COMPARED
            if small and self.read(volume.name, length=len(content)) == content:
                return found.path
        elif handle is not None:
            self._delete(handle, volume.name)
        path = self.ensure(place, wanted)
        if content:
            handle = self._existing(volume.name)
            streams.upload(self._link, handle, volume.name, content)
            self._judge_landed(handle, volume.name, content)
        return path

    def _judge_landed(self, handle: libvirt.virStorageVol, name: str, content: bytes) -> None:
        """See that all is there: libvirt may say of a full pool that all was written."""
        found = self._described(handle, name)
        if found is None or found.allocation >= len(content):
            return
        # Some filesystems need less room than they are given bytes: what is there tells.
        if self.read(name, length=len(content)) != content:
            raise self._failed(
                f"pool {self.name} is full: of the {len(content)} bytes of volume {name} it took"
                f" {found.allocation}",
                hint=f"vmctl image cache prune --host {self._host} makes room, if images lie there"
                " unused",
                reason="pool-full",
            )

    def read(self, name: str, *, offset: int = 0, length: int = 0) -> bytes:
        """Read a volume; length 0 is to its end."""
        return streams.download(
            self._link, self._existing(name), name, offset=offset, length=length
        )

    def remove(self, place: PoolPlace, name: str) -> None:
        """Take a volume away, and the older parts of a log before it, as it tells of them.

        The image cache's are left to libvirt's own knowledge: its markers mean something by
        being there at all, even for the moment in which a name is tried.
        """
        tried = place.type in FILE_POOLS and not name.startswith(BASE_IMAGE_PREFIX)
        handle = self._lookup(name)
        if handle is None and tried and self._learn(name):
            # libvirt forgets a volume whose making failed, even where the file is left.
            handle = self._lookup(name)
        if handle is None:
            return
        found = self._described(handle, name)
        if tried and found is not None and found.length and not found.backing:
            self._remove_parts(name)
        self._delete(handle, name)

    def _remove_parts(self, name: str) -> None:
        """Take away what virtlogd moved aside as NAME.0, NAME.1 and so on, however many."""
        first = f"{name}.0"
        if self._lookup(first) is None and not self._learn(first):
            return
        for number in count():
            part = f"{name}.{number}"
            handle = self._lookup(part)
            if handle is None:
                return
            self._delete(handle, part)

    def _learn(self, name: str) -> bool:
        """Have libvirt know of a file that others may have put there; False if there is none.

        A refresh only to see would cost a look at every volume. But libvirt makes no volume
        where a file is: so an empty one is tried.
        """
        tried = self._make(_EMPTY.format(name=elements.escape(name)), name)
        if tried is not None:
            self._delete(tried, name)
            return False
        self.refresh()
        return True

    def _make(self, xml: str, name: str) -> libvirt.virStorageVol | None:
        """Make a volume; None where there is one, or a file in its place."""
        try:
            return self._link.patiently(self._making(name), lambda: self._pool.createXML(xml))
        except RemoteFailed as error:
            if error.reason != REFUSED:
                raise
            return None

    def _making(self, name: str) -> str:
        return f"making volume {name} in pool {self.name}"

    def _lookup(self, name: str) -> libvirt.virStorageVol | None:
        return self._link.find(
            f"looking for volume {name} in pool {self.name}",
            lambda _: self._pool.storageVolLookupByName(name),
        )

    def _existing(self, name: str) -> libvirt.virStorageVol:
        handle = self._lookup(name)
        if handle is None:
            raise self._failed(f"pool {self.name} has no volume {name}", reason="no-volume")
        return handle

    def _backing(self, volume: Volume) -> str:
        handle = self._lookup(volume.backing or "")
        if handle is None:
            raise self._failed(
                f"pool {self.name} has no volume {volume.backing}, which {volume.name} is to be"
                " an overlay of",
                reason="no-base",
            )
        path: str = self._link.call(f"looking at volume {volume.backing}", handle.path)
        return path

    def _described(self, handle: libvirt.virStorageVol | None, name: str) -> Described | None:
        if handle is None:
            return None
        xml = self._link.find(f"looking at volume {name}", lambda _: handle.XMLDesc(0))
        return None if xml is None else _read(xml)

    def _delete(self, handle: libvirt.virStorageVol, name: str) -> None:
        doing = f"removing volume {name} from pool {self.name}"
        try:
            self._link.patiently(doing, lambda: handle.delete(0))
        except RemoteFailed as error:
            if error.reason != ABSENT:
                raise

    def refresh(self) -> None:
        """Have libvirt look at what is there; it refuses while it makes or reads a volume."""
        self._link.patiently(f"reading pool {self.name} anew", self._pool.refresh)

    def _failed(self, what: str, *, hint: str | None = None, reason: str) -> RemoteFailed:
        return RemoteFailed(self._host, f"{self._host}: {what}", hint=hint, reason=reason)


_EMPTY = (
    "<volume><name>{name}</name><capacity>0</capacity><target><format type='raw'/></target>"
    "</volume>"
)


def _xml(place: PoolPlace, volume: Volume, backing: str | None) -> str:
    parts = [
        f"<name>{elements.escape(volume.name)}</name>",
        f"<capacity unit='bytes'>{volume.size}</capacity>",
    ]
    if place.type in FILE_POOLS:
        # Elsewhere nothing is sparse: a logical volume without allocation would be a snapshot.
        parts.append("<allocation unit='bytes'>0</allocation>")
    compat = "<compat>1.1</compat>" if volume.format == "qcow2" else ""
    kind = elements.quoteattr(volume.format)
    parts.append(f"<target><format type={kind}/>{compat}</target>")
    if backing is not None:
        below = elements.quoteattr(volume.backing_format or "qcow2")
        path = elements.escape(backing)
        parts.append(f"<backingStore><path>{path}</path><format type={below}/></backingStore>")
    return f"<volume>{''.join(parts)}</volume>"


def _read(xml: str) -> Described:
    found = elements.read(xml)
    capacity = elements.whole(found, "capacity")
    form = found.find("target/format")
    return Described(
        path=elements.text(found, "target/path"),
        is_file=found.get("type") == "file",
        format="" if form is None else form.get("type", ""),
        capacity=capacity,
        length=elements.whole(found, "physical") or capacity,
        allocation=elements.whole(found, "allocation"),
        backing=elements.text(found, "backingStore/path") or None,
    )


def _fits(found: Described, place: PoolPlace, volume: Volume, backing: str | None) -> bool:
    if volume.format == "qcow2":
        size = -(-volume.size // _SECTOR) * _SECTOR
        return (found.format, found.capacity, found.backing) == ("qcow2", size, backing)
    if not volume.size:
        return True
    if place.type not in FILE_POOLS:
        return found.capacity >= volume.size
    # By its length alone: what a guest wrote into it may look like any format.
    return found.length == volume.size
