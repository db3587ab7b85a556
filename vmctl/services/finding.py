"""Which servers are meant: by what an operator knows of them, each test a plain function."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmctl.domain.server_line import is_stale, spec_text, status_of
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vmctl.domain.server_line import HostWord, ServerLine

    Test = Callable[[ServerLine], bool]

STATUSES = (
    "ACTIVE",
    "BUILD",
    "DELETED",
    "ERROR",
    "HARD_REBOOT",
    "MIGRATING",
    "PASSWORD",
    "PAUSED",
    "REBOOT",
    "REBUILD",
    "RESCUE",
    "RESIZE",
    "REVERT_RESIZE",
    "SHELVED",
    "SHELVED_OFFLOADED",
    "SHUTOFF",
    "SOFT_DELETED",
    "SUSPENDED",
    "UNKNOWN",
    "VERIFY_RESIZE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of servers; None and nothing mean that it does not matter.

    Names, instance names and addresses are regular expressions that need only be found somewhere.
    """

    name: str | None = None
    instance_name: str | None = None
    ip: str | None = None
    ip6: str | None = None
    status: str | None = None
    vm_state: str | None = None
    task_state: str | None = None
    power: str | None = None
    flavor: str | None = None
    image: str | None = None
    host: str | None = None
    zone: str | None = None
    key_name: str | None = None
    reservation: str | None = None
    user: str | None = None
    project: str | None = None
    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    deleted: bool = False
    changed_since: float | None = None
    changed_before: float | None = None
    locked: bool | None = None
    config_drive: bool | None = None
    stale: bool = False

    @property
    def of_specs(self) -> bool:
        """Whether more of a server's spec is asked than the names of flavor and image."""
        asked = (self.key_name, self.user, self.zone, self.config_drive)
        return bool(self.tags or self.not_tags or self.properties) or any(
            one is not None for one in asked
        )

    @property
    def of_the_deleted(self) -> bool:
        """Whether servers that were deleted may be among them."""
        return self.deleted or self.status == "DELETED" or self.changed_since is not None


def choose(
    lines: Iterable[ServerLine],
    wanted: Wanted,
    *,
    hosts: Mapping[str, HostWord],
    zones: Mapping[str, str],
    now: float,
) -> list[ServerLine]:
    """Give those lines that are all that is asked, in their order."""
    tests = [*_of_words(wanted, zones), *_of_states(wanted, hosts, now), *_of_spec(wanted)]
    return [line for line in lines if all(test(line) for test in tests)]


def _of_words(wanted: Wanted, zones: Mapping[str, str]) -> list[Test]:
    tests: list[Test] = []
    for pattern, option in ((wanted.name, "--name"), (wanted.instance_name, "--instance-name")):
        if pattern is not None:
            found = _pattern(pattern, option).search
            tests.append(lambda line, found=found: found(line.name) is not None)  # type: ignore[misc]  # a loop's value
    if wanted.ip is not None:
        tests.append(_of_address(_pattern(wanted.ip, "--ip"), v6=False))
    if wanted.ip6 is not None:
        tests.append(_of_address(_pattern(wanted.ip6, "--ip6"), v6=True))
    if wanted.host is not None:
        tests.append(lambda line: line.host == wanted.host)
    if wanted.zone is not None:
        tests.append(lambda line: zone_of(line, zones) == wanted.zone)
    if wanted.project is not None:
        tests.append(lambda line: line.project == wanted.project)
    if wanted.reservation is not None:
        tests.append(lambda line: line.reservation == wanted.reservation)
    return tests


def _of_address(pattern: re.Pattern[str], *, v6: bool) -> Test:
    def test(line: ServerLine) -> bool:
        every = (address for held in line.networks.values() for address in held)
        return any((":" in one) is v6 and pattern.search(one) for one in every)

    return test


def _of_states(wanted: Wanted, hosts: Mapping[str, HostWord], now: float) -> list[Test]:
    tests: list[Test] = []
    if wanted.deleted:
        tests.append(lambda line: line.deleted is not None)
    if wanted.status is not None:
        tests.append(lambda line: status_of(line, hosts) == wanted.status)
    if wanted.vm_state is not None:
        tests.append(lambda line: line.state == wanted.vm_state)
    if wanted.task_state is not None:
        tests.append(lambda line: line.task == wanted.task_state)
    if wanted.power is not None:
        tests.append(lambda line: line.power == wanted.power)
    if (since := wanted.changed_since) is not None:
        tests.append(lambda line: line.updated >= since)
    if (before := wanted.changed_before) is not None:
        tests.append(lambda line: line.updated <= before)
    if wanted.locked is not None:
        tests.append(lambda line: (line.locked is not None) is wanted.locked)
    if wanted.stale:
        tests.append(lambda line: is_stale(line, hosts, now))
    return tests


def _of_spec(wanted: Wanted) -> list[Test]:
    tests: list[Test] = []
    if wanted.flavor is not None:
        tests.append(lambda line: spec_text(line.spec, "flavor", "name") == wanted.flavor)
    if wanted.image is not None:
        tests.append(lambda line: wanted.image in image_of(line))
    if wanted.key_name is not None:
        tests.append(lambda line: spec_text(line.spec, "key_name") == wanted.key_name)
    if wanted.user is not None:
        tests.append(lambda line: spec_text(line.spec, "created_by") == wanted.user)
    if wanted.config_drive is not None:
        tests.append(lambda line: (line.spec.get("seed") is not None) is wanted.config_drive)
    if wanted.tags or wanted.not_tags:
        tests.append(lambda line: _tagged(line, wanted))
    if wanted.properties:
        tests.append(lambda line: wanted.properties.items() <= properties_of(line).items())
    return tests


def _tagged(line: ServerLine, wanted: Wanted) -> bool:
    tags = set(tags_of(line))
    return tags.issuperset(wanted.tags) and not (
        wanted.not_tags and tags.issuperset(wanted.not_tags)
    )


def image_of(line: ServerLine) -> tuple[str | None, str | None]:
    """Give the id and the name of the image that a server was made from."""
    return spec_text(line.spec, "image", "id"), spec_text(line.spec, "image", "name")


def tags_of(line: ServerLine) -> list[str]:
    """Give a server's tags."""
    tags = line.spec.get("tags")
    return [str(tag) for tag in tags] if isinstance(tags, list) else []


def properties_of(line: ServerLine) -> Mapping[str, object]:
    """Give a server's properties."""
    held = line.spec.get("properties")
    return held if isinstance(held, dict) else {}


def zone_of(line: ServerLine, zones: Mapping[str, str]) -> str | None:
    """Give the zone of a server's host; before it has one, or once that is gone, the asked one."""
    return zones.get(line.host or "") or spec_text(line.spec, "availability_zone")


def _pattern(text: str, option: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"{option}: {text!r} is no regular expression: {error}") from error
