"""``vmctl keypair …``: the public keys that servers are given."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action, lister
from vmctl.cli.output import Record, Table, render
from vmctl.cli.properties import for_each
from vmctl.cli.sheet import Options
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.catalog import Keypair

_FORMATS = ("table", "json", "shell", "value", "yaml")


@action
@click.argument("name", metavar="NAME")
@click.option("--public-key", metavar="FILE", help="the key to put on record")
@click.option("--private-key", metavar="FILE", help="where to write a fresh key's private half")
@click.option("--type", "kind", type=click.Choice(("ssh",)), default="ssh", hidden=True)
@click.option("-f", "--format", "form", type=click.Choice(_FORMATS), default="table",
              help="output format (table)")  # fmt: skip
@click.option("-c", "--column", "columns", metavar="COLUMN", multiple=True,
              help="show only this column; repeatable")  # fmt: skip
def keypair_create(
    context: Context,
    *,
    name: str,
    public_key: str | None,
    private_key: str | None,
    form: str,
    columns: tuple[str, ...],
    **_others: object,
) -> str:
    """Put a public key on record, or make a fresh ed25519 key.

    Of a fresh one the private half is printed, and nothing else; or written into a file.
    """
    from vmctl.adapters.new_key import new_key, read_text, write_private
    from vmctl.domain.catalog import Keypair
    from vmctl.domain.ssh_key import read_public_key

    if public_key and private_key:
        raise UsageError("--public-key and --private-key exclude each other")
    if not name.isprintable() or not name.strip() or len(name) > 255:
        raise UsageError("a keypair's name has 1 to 255 printable signs")
    private = ""
    if public_key:
        line, mark = read_public_key(read_text(public_key), public_key)
    else:
        private, public = new_key()
        line, mark = read_public_key(public, "the fresh key")
    if private_key:
        write_private(private_key, private)
    try:
        made = context.app.catalog.add_keypair(
            Keypair(name=name, public_key=line, fingerprint=mark)
        )
    except BaseException:
        if private_key:
            # It was not there before, and belongs to nothing.
            Path(private_key).unlink(missing_ok=True)
        raise
    if private and not private_key:
        return private
    fields = {key: value for key, value in _fields(made).items() if key != "public_key"}
    return render(Record(fields=fields), Options(format=form, columns=columns), context.screen)


@lister
def keypair_list(context: Context) -> Table:
    """List the keypairs."""
    return Table(
        columns=("Name", "Fingerprint", "Type"),
        rows=[(one.name, one.fingerprint, one.type) for one in context.app.catalog.keypairs()],
    )


@action
@click.argument("keypair", metavar="KEYPAIR")
@click.option("--public-key", "bare", is_flag=True, help="the public key and nothing else")
@click.option("-f", "--format", "form", type=click.Choice(_FORMATS), default="table",
              help="output format (table)")  # fmt: skip
@click.option("-c", "--column", "columns", metavar="COLUMN", multiple=True,
              help="show only this column; repeatable")  # fmt: skip
def keypair_show(
    context: Context, *, keypair: str, bare: bool, form: str, columns: tuple[str, ...]
) -> str:
    """Show one keypair."""
    found = context.app.catalog.keypair(keypair)
    if bare:
        return f"{found.public_key}\n"
    return render(
        Record(fields=_fields(found)), Options(format=form, columns=columns), context.screen
    )


@action
@click.argument("keypairs", metavar="KEYPAIR…", nargs=-1, required=True)
def keypair_delete(context: Context, *, keypairs: tuple[str, ...]) -> None:
    """Delete keypairs; servers that have them keep them."""
    for_each(context, "key", keypairs, context.app.catalog.delete_keypair)


def _fields(keypair: Keypair) -> dict[str, object]:
    return {
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(keypair.created)),
        "fingerprint": keypair.fingerprint,
        "id": keypair.id,
        "is_deleted": False,
        "name": keypair.name,
        "private_key": None,
        "public_key": keypair.public_key,
        "type": keypair.type,
        "user_id": "",
    }
