"""Volumes of a server exchanged for others: what there is of it before, meanwhile and after.

At every moment the plan on record names all that may be on the host, whichever of it boots.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read back by its hints
from dataclasses import dataclass, field, replace

from vmctl.domain.build import Build, Volume  # noqa: TC001 - read back by its hints
from vmctl.domain.plain import from_plain, to_plain
from vmctl.domain.spec import ImageUse, ServerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What is exchanged, by value, both ways; `becomes` and `was` are fields of the spec."""

    old: Build
    new: Build
    seen: str = ""  # the record that it was made of: see `as_seen`
    image: ImageUse | None = None  # what the new boot disk is an overlay of
    was: Mapping[str, object] = field(default_factory=dict)
    becomes: Mapping[str, object] = field(default_factory=dict)
    keeps_user_data: bool = False  # what the old seed tells the guest the new one tells, too

    @property
    def made(self) -> tuple[Volume, ...]:
        """The volumes that are made for it."""
        there = {one.name for one in self.old.held}
        return tuple(one for one in self.new.volumes if one.name not in there)

    @property
    def doomed(self) -> tuple[Volume, ...]:
        """The volumes that are removed in the end."""
        kept = {one.name for one in self.new.volumes}
        return tuple(one for one in self.old.held if one.name not in kept)

    def announced(self, build: Build) -> Build:
        """Plan what there is while the new volumes are made."""
        return self._as(build, self.old, (*self.old.spare, *self.made))

    def withdrawn(self, build: Build) -> Build:
        """Plan what there is when all was undone."""
        return self._as(build, self.old, self.old.spare)

    def turned(self, build: Build) -> Build:
        """Plan what there is from when the new volumes are the server's."""
        return self._as(build, self.new, self.doomed)

    def ended(self, build: Build) -> Build:
        """Plan what there is in the end."""
        return self._as(build, self.new, ())

    def _as(self, build: Build, like: Build, spare: tuple[Volume, ...]) -> Build:
        # What else was replaced meanwhile, an address that turned out to be taken, stays.
        return replace(
            build,
            name=like.name,
            base=like.base,
            volumes=like.volumes,
            spare=spare,
            generation=self.new.generation,
        )


def as_seen(spec: Mapping[str, object], plan: Mapping[str, object]) -> str:
    """Tell the record of a server apart from any other that it has before or after."""
    import hashlib
    import json

    text = json.dumps([spec, plan], sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()


def supersedes(told: Build, build: Build) -> bool:
    """Whether what a domain tells is of another system than the plan's, and of a later one."""
    if told.generation == build.generation:
        return told.rescued != build.rescued
    return told.generation > build.generation


def changed(spec: ServerSpec, fields: Mapping[str, object]) -> ServerSpec:
    """Give a spec with some fields, in their plain form, changed."""
    return from_plain(ServerSpec, {**to_plain(spec), **fields}) if fields else spec
