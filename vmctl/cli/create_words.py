"""What the options of a create say, made a wish: files read, words split, nothing resolved yet."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vmctl.cli.placement_request import hints_of
from vmctl.cli.properties import pairs
from vmctl.errors import UsageError
from vmctl.services.wish import Wish

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.cli.create_options import Words

_GIB = 1024


def wish_of(context: Context, name: str, words: Words) -> Wish:
    """Read what was said; UsageError where it contradicts itself or a file cannot be read."""
    if words["host"] and words["hypervisor"] and words["host"] != words["hypervisor"]:
        raise UsageError("--host and --hypervisor-hostname name two hosts")
    if words["image"] and words["image_properties"]:
        raise UsageError("--image and --image-property exclude each other")
    if words["security_groups"] and words["no_security_group"]:
        raise UsageError("--security-group and --no-security-group exclude each other")
    files = pairs(words["files"], "--file")
    if [words["user_data"], words["password"], *files.values()].count("-") > 1:
        raise UsageError("--user-data, --password and --file: only one can come from stdin")
    if words["no_start"] and words["wait_for"] != "active":
        raise UsageError(f"--wait-for {words['wait_for']} and --no-start exclude each other")
    waits = words["wait_for"] != "active" or words["if_not_exists"] or words["idempotency_key"]
    if words["timeout"] and not waits:
        raise UsageError("--timeout is for a wait: add --wait-for ip, ssh or cloud-init")
    at_least = words["at_least"] or 1
    return Wish(
        name=name,
        flavor=words["flavor"],
        image=words["image"],
        image_properties=pairs(words["image_properties"], "--image-property"),
        cards=_cards(words),
        key_name=words["key_name"],
        user_data=None
        if words["user_data"] is None
        else read_file(words["user_data"], "--user-data"),
        files={path: read_file(source, "--file") for path, source in files.items()},
        password=password_of(context, words["password"]),
        properties=pairs(words["properties"]),
        tags=words["tags"],
        description=words["description"],
        hostname=words["hostname"],
        zone=words["zone"],
        host=words["host"] or words["hypervisor"],
        group=words["group"],
        hints=hints_of(words["hints"]),
        security_groups=() if words["no_security_group"] else words["security_groups"] or None,
        allow_unenforced=words["allow_unenforced"],
        config_drive=_config_drive(words),
        swap=words["swap"] or 0,
        ephemerals=tuple(_ephemeral(one) for one in words["ephemerals"]),
        pool=words["pool"],
        autostart=words["autostart"],
        start=not words["no_start"],
        project=context.config.project or "",
        at_least=at_least,
        count=words["at_most"] or at_least,
        seed=words["seed"],
        by=context.app.actor.login,
    )


def _cards(words: Words) -> tuple[str, ...]:
    cards = list(words["cards"])
    if words["no_network"]:
        cards.append("--no-network")
    if words["auto_network"]:
        cards.append("--auto-network")
    return tuple(cards)


def _config_drive(words: Words) -> bool | None:
    said = words["config_drive"]
    if said is not None and said.casefold() not in ("true", "false"):
        raise UsageError(
            f"--config-drive: {said!r} would be a volume, and there are none yet",
            hint="--use-config-drive or --no-config-drive",
        )
    wanted = words["use_config_drive"] or (said is not None and said.casefold() == "true")
    refused = words["no_config_drive"] or (said is not None and said.casefold() == "false")
    if wanted and refused:
        raise UsageError("--use-config-drive and --no-config-drive exclude each other")
    return True if wanted else False if refused else None


def _ephemeral(words: str) -> int:
    """Read `size=GB`; of openstack's `format=` beside it only what the guest makes of it."""
    said = dict(part.partition("=")[::2] for part in words.split(","))
    size = said.pop("size", None)
    if said.pop("format", "ext4") != "ext4":
        raise UsageError(
            f"--ephemeral: {words!r} wants another file system than ext4, which the guest makes",
            hint="leave format= out; cloud-init's own fs_setup in --user-data makes others",
        )
    if size is None or said or not re.fullmatch("[1-9][0-9]{0,6}", size, re.ASCII):
        raise UsageError(f"--ephemeral: {words!r} is not size=GB")
    return int(size) * _GIB


def password_of(context: Context, said: str | None) -> str | None:
    """Read a password: the word itself, or a line of stdin."""
    if said is None:
        return None
    if said == "-":
        return sys.stdin.readline().rstrip("\n")
    context.say(
        "warning: a password on the command line is seen by everyone on this machine; --password -"
        " reads it from stdin"
    )
    return said


def read_file(path: str, option: str) -> bytes:
    """Read what an option's file holds."""
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{option}: {path} cannot be read: {error.strerror}") from error
