"""Base images that hosts keep, and which of them have had their day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain.sample import BASE_IMAGE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection

OLD = 86400.0
"""Seconds for which a base image that nothing needs is kept, as Nova keeps them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """A base image in a pool, and whether anything on the host names it."""

    pool: str
    digest: str
    whole: bool
    used: bool
    since: float = 0.0  # when it was written, by the host's clock

    def is_spent(self, host: str, before: float, left: Collection[tuple[str, str]]) -> bool:
        """Whether nothing needs it, and nothing has since before that time.

        `left` are the hosts and base images that servers have gone from since then.
        """
        fresh = self.since >= before or (host, f"{BASE_IMAGE_PREFIX}{self.digest}") in left
        return not self.used and not fresh
