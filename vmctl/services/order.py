"""A create made ready: names resolved, ids minted, and every error said in one go."""

from __future__ import annotations

import base64
import math
import secrets
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from vmctl.domain import names
from vmctl.domain.guest_words import as_part
from vmctl.domain.hardware import hardware_of
from vmctl.domain.request import FlavorSpec, RequestSpec
from vmctl.domain.spec import GroupUse, ImageUse, Secrets, ServerSpec
from vmctl.errors import NotFound, UsageError, VmctlError
from vmctl.services.order_networks import resolve_cards
from vmctl.services.password import hash_password

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.domain.catalog import Flavor, Image
    from vmctl.domain.inventory import Inventory
    from vmctl.domain.spec import CardWish
    from vmctl.ports import Catalog
    from vmctl.services.wish import Wish

T = TypeVar("T")
_MIB = 1024 * 1024
_USER_DATA_LIMIT = 65535
_NEW_FILES = (5, 10240, 255)  # how many, how large, how long a path: as Nova's quotas are


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """So many servers of one kind, ready to be placed."""

    specs: tuple[ServerSpec, ...]
    at_least: int
    request: RequestSpec
    secrets: Secrets
    groups: Mapping[str, GroupUse] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def order_of(wish: Wish, known: Catalog, inventory: Inventory) -> Order:
    """Resolve a wish; UsageError lists everything that is wrong with it."""
    problems = Problems()
    check_words(wish, problems)
    flavor = problems.catch(lambda: known.flavor(wish.flavor))
    image, warnings = image_of(wish, known, problems)
    key = problems.catch(lambda: known.keypair(wish.key_name or "")) if wish.key_name else None
    group_word = wish.group or _text(wish.hints.get("group"))
    group = problems.catch(lambda: known.group(group_word)) if group_word else None
    zone, forced = _zone(wish, inventory, problems)
    if wish.host:
        problems.catch(lambda: inventory.host(wish.host or ""))
    cards = resolve_cards(wish, inventory, problems.add)
    groups = _groups(wish, cards, known, inventory, problems)
    use = use_of(image, problems) if image else None
    size = None
    if flavor is not None and image is not None:
        if misfit := image.misfit(flavor):
            problems.add(misfit)
        size = _size(wish, flavor, image, problems)
        problems.catch(lambda: _judge_machine(image, size))
    problems.end()
    if flavor is None or image is None or use is None or size is None:
        raise AssertionError("what is missing was a problem")
    request_id = uuid.uuid4()
    spec = ServerSpec(
        id="",
        name=wish.name,
        project=wish.project,
        flavor=size,
        image=use,
        cards=cards,
        security_groups=wish.security_groups,
        allow_unenforced=wish.allow_unenforced,
        key_name=key.name if key else None,
        public_key=key.public_key if key else None,
        properties=dict(wish.properties),
        tags=tuple(dict.fromkeys(wish.tags)),
        description=wish.description,
        availability_zone=zone,
        host=wish.host,
        force_host=forced,
        group=group.id if group else None,
        hints={k: v for k, v in wish.hints.items() if k != "group"},
        seed=_seed(wish, image),
        pool=wish.pool,
        ephemerals=wish.ephemerals or ((flavor.ephemeral,) if flavor.ephemeral else ()),
        autostart=wish.autostart,
        start=wish.start,
        reservation=f"r-{secrets.token_hex(4)}",
        has_user_data=wish.user_data is not None,
        created_by=wish.by,
    )
    all_names = names.numbered(wish.name, wish.count)
    hosts = names.numbered(wish.hostname, wish.count) if wish.hostname else None
    specs = tuple(
        replace(
            spec,
            id=str(uuid.uuid4()),
            name=name,
            hostname=hosts[index] if hosts else names.hostname_of(name),
            index=index,
        )
        for index, name in enumerate(all_names)
    )
    request = RequestSpec(
        flavor=size,
        count=wish.count,
        min_count=wish.at_least,
        image=replace(image, checksum=use.digest).spec,
        availability_zone=zone,
        host=wish.host,
        force_host=forced,
        group=group.name if group else None,
        hints=spec.hints,
        networks=tuple(dict.fromkeys(card.network for card in cards)),
        pool=wish.pool,
        names=all_names,
        project=wish.project or None,
        seed=str(request_id) if wish.seed is None else wish.seed,
    )
    return Order(
        specs=specs,
        at_least=wish.at_least,
        request=request,
        secrets=secrets_of(wish),
        groups=groups,
        warnings=tuple(warnings),
    )


class Problems:
    """All that is wrong with a wish, collected before any of it is said."""

    def __init__(self) -> None:
        self.found: list[VmctlError] = []

    def add(self, problem: str | None) -> None:
        """Keep one, if it is one."""
        if problem is not None:
            self.found.append(UsageError(problem))

    def catch(self, find: Callable[[], T]) -> T | None:
        """Give what is found, or keep what is raised."""
        try:
            return find()
        except VmctlError as error:
            self.found.append(error)
            return None

    def end(self) -> None:
        """Raise what was found: one thing as itself, several in one go."""
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            lines = "\n".join(error.message for error in self.found)
            hints = [error.hint for error in self.found if error.hint]
            kind = NotFound if all(isinstance(e, NotFound) for e in self.found) else UsageError
            raise kind(lines, hint="\n".join(dict.fromkeys(hints)) or None)


def check_words(wish: Wish, problems: Problems) -> None:
    """Say what is wrong with the words themselves."""
    problems.add(names.name_problem(_longest(wish)))
    if wish.hostname is not None:
        problems.add(names.hostname_problem(wish.hostname))
    if wish.at_least > wish.count:
        problems.add("min instances should be <= max instances")
    for key, value in wish.properties.items():
        problems.add(names.key_problem("--property", key))
        problems.add(names.text_problem(f"--property {key}", value))
    if len(wish.properties) > names.PROPERTIES:
        problems.add(f"--property: {len(wish.properties)}, and {names.PROPERTIES} are allowed")
    for tag in wish.tags:
        problems.add(names.tag_problem(tag))
    if len(set(wish.tags)) > names.TAGS:
        problems.add(f"--tag: {len(wish.tags)}, and {names.TAGS} are allowed")
    if wish.description is not None:
        problems.add(names.text_problem("--description", wish.description))
    if wish.password is not None and (not wish.password or "\n" in wish.password):
        problems.add("--password: it is empty or has a line break")
    if wish.user_data is not None and len(wish.user_data) > _USER_DATA_LIMIT:
        problems.add(f"--user-data: {len(wish.user_data)} bytes, at most {_USER_DATA_LIMIT}")
    elif wish.user_data is not None:
        problems.catch(lambda: as_part(wish.user_data or b""))
    most, largest, longest = _NEW_FILES
    if len(wish.files) > most:
        problems.add(f"--file: {len(wish.files)} files, and {most} are allowed")
    for path, content in wish.files.items():
        if not path.startswith("/") or "\0" in path or len(path) > longest:
            problems.add(f"--file: {path!r} is no absolute path of at most {longest} characters")
        if len(content) > largest:
            problems.add(f"--file {path}: {len(content)} bytes, at most {largest}")
    if wish.config_drive is False:
        carried = {
            "--key-name": wish.key_name,
            "--user-data": wish.user_data,
            "--password": wish.password,
            "--file": wish.files,
        }
        lost = [option for option, value in carried.items() if value]
        if lost:
            problems.add(
                f"{', '.join(lost)}: with --no-config-drive nothing would carry it to the guest"
            )


def _longest(wish: Wish) -> str:
    """Give the longest of the names that the servers will bear."""
    return names.numbered(wish.name, wish.count)[-1]


def image_of(wish: Wish, known: Catalog, problems: Problems) -> tuple[Image | None, list[str]]:
    """Find the image that is meant, and what is to be said about it."""
    warnings: list[str] = []
    if wish.image is not None:
        image = problems.catch(lambda: known.image(wish.image or ""))
    elif wish.image_properties:
        asked = dict(wish.image_properties)
        found = [one for one in known.images() if asked.items() <= dict(one.properties).items()]
        if not found:
            problems.add(f"--image-property: no image has {_said(asked)}")
            return None, warnings
        image = found[0]
        if len(found) > 1:
            warnings.append(f"{len(found)} images have {_said(asked)}: {image.name} is taken")
    else:
        problems.add(
            "An image (--image, --image-property) is required: there are no bootable volumes yet"
        )
        return None, warnings
    if image is not None and image.status != "active":
        problems.add(
            f"the image {image.name} has no bytes yet: vmctl image create --file or --url gives"
            " an image its bytes"
        )
    return image, warnings


def _said(asked: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in asked.items())


def use_of(image: Image, problems: Problems) -> ImageUse | None:
    """Give an image as a server carries it; None where it has no bytes."""
    if image.status != "active":
        return None
    if image.checksum is None or image.format is None or image.virtual_size is None:
        problems.add(f"the image {image.name} is not complete: vmctl image show {image.name}")
        return None
    return ImageUse(
        id=image.id,
        name=image.name,
        digest=image.checksum,
        format=image.format,
        size=image.size or 0,
        virtual_size=image.virtual_size,
        url=image.url,
        properties=dict(image.properties),
    )


def _size(wish: Wish, flavor: Flavor, image: Image, problems: Problems) -> FlavorSpec:
    """Give the flavor by value, with the disks that were asked for beside its own."""
    least = math.ceil((image.virtual_size or 0) / _MIB)
    if flavor.disk and least > flavor.disk:
        problems.add(
            f"the image {image.name} is a disk of {least} MiB, and the flavor {flavor.name} has"
            f" {flavor.disk}"
        )
    return replace(
        flavor.spec,
        disk=flavor.disk or least,
        swap=wish.swap or flavor.swap,
        ephemeral=sum(wish.ephemerals) or flavor.ephemeral,
    )


def _judge_machine(image: Image, size: FlavorSpec) -> None:
    """Refuse what no host could make of the wishes of an image and a flavor."""
    wished = hardware_of(image.properties, size.extra_specs)
    wished.topology(size.vcpus)
    wished.nodes(size.vcpus, size.memory)


def _zone(wish: Wish, inventory: Inventory, problems: Problems) -> tuple[str | None, str | None]:
    if wish.zone is None:
        return None, None
    zone, _, rest = wish.zone.partition(":")
    forced = next((part for part in rest.split(":") if part), None)
    if zone and zone not in inventory.zones:
        known = ", ".join(inventory.zones)
        problems.add(
            f"The requested availability zone is not available: {zone} (there are {known})"
        )
    if forced is not None:
        host = problems.catch(lambda: inventory.host(forced))
        if host is not None and zone and host.zone != zone:
            problems.add(f"the host {forced} is in the zone {host.zone}, not in {zone}")
        if wish.host:
            problems.add("--host and a host in --availability-zone exclude each other")
    return zone or None, forced


def _groups(
    wish: Wish,
    cards: tuple[CardWish, ...],
    known: Catalog,
    inventory: Inventory,
    problems: Problems,
) -> dict[str, GroupUse]:
    """Give every security group that a card will need, by name and value."""
    wanted: list[str] = []
    for card in cards:
        network = inventory.networks.get(card.network)
        if wish.security_groups is not None:
            wanted += wish.security_groups
        elif network is not None and network.security_group is not None:
            wanted.append(network.security_group)
    found = {}
    for name in dict.fromkeys(wanted):
        group = problems.catch(lambda name=name: known.security_group(name))  # type: ignore[misc]  # bound at once
        if group is not None:
            found[name] = GroupUse(name=group.name, rules=tuple(one.rule for one in group.rules))
    return found


def _seed(wish: Wish, image: Image) -> str | None:
    mandatory = image.properties.get("img_config_drive") == "mandatory"
    if wish.config_drive is False:
        return None
    return "config-2" if wish.config_drive or mandatory else "nocloud"


def secrets_of(wish: Wish) -> Secrets:
    """Give what the guest is told and nobody may read afterwards."""
    return Secrets(
        user_data=None if wish.user_data is None else base64.b64encode(wish.user_data).decode(),
        password_hash=None if wish.password is None else hash_password(wish.password),
        files={path: base64.b64encode(content).decode() for path, content in wish.files.items()},
        console_password=secrets.token_urlsafe(6),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
