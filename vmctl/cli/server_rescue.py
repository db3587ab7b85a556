"""``vmctl server rescue``, ``unrescue`` and ``rebuild``: another system in a server's place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict

import click

from vmctl.cli.acting import DOING, UNDOING, act_on, on_each, tell_chosen, with_options
from vmctl.cli.command import action, shower
from vmctl.cli.output import Record, Table, render
from vmctl.errors import Conflict, UsageError

if TYPE_CHECKING:
    from typing import Unpack

    from vmctl.cli.context import Context
    from vmctl.domain.record import Server
    from vmctl.domain.spec import ImageUse
    from vmctl.services.makeover import Changes

_OBEYS = 60.0
"""Seconds that a guest is given to obey its power button."""

_PATIENCE = click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(min=0),
    default=_OBEYS,
    help="give each guest so many seconds to shut down by itself (60); 0: power off at once",
)


@action
@with_options(DOING)
@click.option("--image", metavar="IMAGE", help="what boots (the server's own image)")
@click.option(
    "--password",
    metavar="PASSWORD",
    help="of the first user of what boots; - reads it from stdin",
)
@_PATIENCE
def server_rescue(
    context: Context, *, image: str | None, password: str | None, timeout: float, **said: object
) -> str | None:
    """Have another system boot, with the servers' own disks beside its own.

    It is let into with the server's key, or with --password. Its disk is an overlay, gone with
    unrescue; the server's root disk is /dev/disk/by-id/virtio-vmctl-root there.
    """
    from vmctl.cli.create_words import password_of
    from vmctl.domain.deed import RESCUE as DEED
    from vmctl.sagas.exchange import RESCUE
    from vmctl.services.acting import Errand
    from vmctl.services.exchanging import to_rescue
    from vmctl.services.password import hash_password

    used = None if image is None else _use(context, image)
    word = password_of(context, password)
    if word is not None and (not word or "\n" in word):
        raise UsageError("--password: it is empty or has a line break")
    told = None if word is None else hash_password(word)
    ready = to_rescue(context.app.inventory, used, told)
    errand = Errand(deed=DEED, saga=RESCUE, params={"patience": timeout}, ready=ready)

    def errand_for(server: Server) -> Errand:
        if told is None and not server.spec.get("public_key"):
            context.say(
                f"warning: {server.name} has no key, and there is no --password: what boots lets"
                " in only whom its image does"
            )
        return errand

    ended = on_each(context, said, DEED, errand_for, answer=UNDOING, steps=True)
    if said["dry_run"]:
        tell_chosen(context, ended.servers)
    if ended.fault is not None:
        raise ended.fault
    return None


@action
@with_options(DOING)
@_PATIENCE
def server_unrescue(context: Context, *, timeout: float, **said: object) -> str | None:
    """Have rescued servers boot their own disks again."""
    from vmctl.domain.deed import UNRESCUE as DEED
    from vmctl.sagas.exchange import UNRESCUE
    from vmctl.services.acting import Errand
    from vmctl.services.exchanging import to_unrescue

    ready = to_unrescue(context.app.inventory)
    errand = Errand(deed=DEED, saga=UNRESCUE, params={"patience": timeout}, ready=ready)
    return act_on(context, said, DEED, lambda _server: errand, answer=UNDOING)


_CHANGES = (
    click.option("--image", metavar="IMAGE", help="made of this one (the same image)"),
    click.option("--name", metavar="NAME", help="what it is called from then on"),
    click.option("--password", metavar="PASSWORD",
                 help="of the guest's first user; - reads it from stdin"),
    click.option("--property", "properties", metavar="KEY=VALUE", multiple=True,
                 help="its metadata instead of all that it had; repeatable"),
    click.option("--description", metavar="TEXT", help="what it is for"),
    click.option("--preserve-ephemeral/--no-preserve-ephemeral", "preserve",
                 help="keep its ephemeral disks (they are made anew)"),
    click.option("--key-name", metavar="KEY", help="another keypair that lets you in"),
    click.option("--no-key-name", is_flag=True, help="no keypair any more"),
    click.option("--user-data", metavar="FILE", help="instead of what it had; - is stdin"),
    click.option("--no-user-data", is_flag=True, help="no user data any more"),
    click.option("--hostname", metavar="NAME", help="what the guest calls itself from then on"),
    click.option("--reimage-boot-volume/--no-reimage-boot-volume", "reimage", hidden=True),
    click.option("--trusted-image-cert", "certs", metavar="ID", multiple=True, hidden=True),
    _PATIENCE,
)  # fmt: skip


class Words(TypedDict):
    """What was said by the options of a rebuild, and by those of every deed."""

    servers: tuple[str, ...]
    tags: tuple[str, ...]
    hosts: tuple[str, ...]
    all_projects: bool
    wait: bool
    dry_run: bool
    reason: str | None
    image: str | None
    name: str | None
    password: str | None
    properties: tuple[str, ...]
    description: str | None
    preserve: bool
    key_name: str | None
    no_key_name: bool
    user_data: str | None
    no_user_data: bool
    hostname: str | None
    reimage: bool
    certs: tuple[str, ...]
    timeout: float


@shower
@with_options((*DOING, *_CHANGES))
def server_rebuild(context: Context, **words: Unpack[Words]) -> Record | Table:
    """Make servers anew where they stand: id, addresses, cards and host stay, the disks do not.

    The new disks are made first and the old ones go last: whatever fails or is stopped before
    that leaves the server as it was. Its user data is told to it again.
    """
    from vmctl.domain.deed import REBUILD as DEED
    from vmctl.sagas.exchange import REBUILD
    from vmctl.services.acting import Errand
    from vmctl.services.exchanging import Rebuilder
    from vmctl.services.makeover import makeover_of

    app = context.app
    changes = _changes(context, words)
    rebuilder = Rebuilder(
        world=app.world,
        inventory=app.inventory,
        judge=app.claims.judge,
        makeover=makeover_of(changes, app.catalog),
    )
    errand = Errand(
        deed=DEED,
        saga=REBUILD,
        params={"patience": words["timeout"]},
        ready=rebuilder.ready,
    )
    ended = on_each(context, words, DEED, lambda _server: errand, answer=UNDOING, steps=True)
    if ended.fault is not None:
        if ended.servers:
            table = _table(ended.servers, dry=words["dry_run"])
            context.write(render(table, context.output, context.screen))
        raise ended.fault
    if words["dry_run"] or len(ended.servers) != 1:
        return _table(ended.servers, dry=words["dry_run"])
    return _record(context, ended.servers[0], changes.wish.password)


def _changes(context: Context, words: Words) -> Changes:
    """Read what is to be changed; UsageError where it contradicts itself."""
    from vmctl.cli.create_words import password_of, read_file
    from vmctl.cli.properties import pairs
    from vmctl.services.makeover import Changes
    from vmctl.services.wish import Wish

    for option, other in (("key_name", "no_key_name"), ("user_data", "no_user_data")):
        if words[option] is not None and words[other]:  # type: ignore[literal-required]  # both are there
            said = option.replace("_", "-")
            raise UsageError(f"--{said} and --no-{said} exclude each other")
    if words["certs"]:
        raise UsageError(
            "--trusted-image-cert is not there yet",
            hint="images are known by digest: vmctl image create --checksum sha256:…",
        )
    if [words["user_data"], words["password"]].count("-") > 1:
        raise UsageError("--user-data and --password cannot both come from stdin")
    one = len(words["servers"]) == 1 and words["servers"] != ("-",)
    one = one and not words["tags"] and not words["hosts"]
    for option in ("name", "hostname"):
        if words[option] is not None and not one:  # type: ignore[literal-required]  # both are there
            raise UsageError(f"--{option}: it can be only one server's")
    file = words["user_data"]
    wish = Wish(
        name=words["name"] or "server",
        flavor="",
        image=words["image"],
        key_name=words["key_name"],
        user_data=None if file is None else read_file(file, "--user-data"),
        password=password_of(context, words["password"]),
        properties=pairs(words["properties"]),
        description=words["description"],
        hostname=words["hostname"],
    )
    return Changes(
        wish=wish,
        rename=words["name"] is not None,
        replace_properties=bool(words["properties"]),
        drop_key=words["no_key_name"],
        drop_user_data=words["no_user_data"],
        preserve_ephemeral=words["preserve"],
    )


def _table(servers: list[Server], *, dry: bool) -> Table:
    """Show several: where they would be made anew, or what there is now."""
    if dry:
        return Table(
            columns=("ID", "Name", "Host"), rows=[(one.id, one.name, one.host) for one in servers]
        )
    from vmctl.cli.create_result import COLUMNS, row_of

    return Table(columns=COLUMNS, rows=[row_of(one, None) for one in servers])


def _record(context: Context, server: Server, password: str | None) -> Record:
    """Show what there is now, the password once, and to nobody but who gave it."""
    from vmctl.cli.create_result import record_of

    record = record_of(context, server)
    if password is None:
        return record
    return replace(record, fields={**record.fields, "adminPass": password})


def _use(context: Context, word: str) -> ImageUse:
    """Find the image that is to boot."""
    image = context.app.catalog.image(word)
    if image.use is None or image.status != "active":
        raise Conflict(
            f"the image {image.name} has no bytes yet",
            hint="vmctl image create --file or --url gives an image its bytes",
        )
    return image.use
