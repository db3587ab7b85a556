"""All that is random, decided by the request's seed alone: the same in every run, anywhere."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmctl.domain.fleet import HostState


def tie_ranks(hosts: list[HostState], tie: str, seed: int | str) -> list[int]:
    """Who goes first among equals: the earliest of the fleet, or whom the seed puts first."""
    if tie == "order":
        return list(range(len(hosts)))
    return [
        int.from_bytes(blake2b(f"{seed}\0{host.name}".encode(), digest_size=8).digest()) << 32 | i
        for i, host in enumerate(hosts)
    ]


def pick(seed: int | str, index: int, size: int) -> int:
    """Which of the best `size` hosts the server with this index takes."""
    if size == 1:
        return 0
    digest = blake2b(f"{seed}\0{index}".encode(), digest_size=8, person=b"subset").digest()
    return int.from_bytes(digest) % size
