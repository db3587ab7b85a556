"""``vmctl image cache …``: the copies of images that hosts keep, once in each pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action, lister
from vmctl.cli.output import Table
from vmctl.errors import Conflict, Partial, VmctlError
from vmctl.services.fanout import Failed, Ok, fanout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from vmctl.cli.context import Context
    from vmctl.domain.host import Host

    R = TypeVar("R")

_AT_ONCE = 4


@lister
@click.option("--host", "hosts", metavar="HOST", multiple=True, help="only there; repeatable")
def image_cache_list(context: Context, *, hosts: tuple[str, ...]) -> Table:
    """List the base images on the hosts, and which of them anything there uses."""
    names = _names(context)
    found, code = _done(context, fanout(context.app.base_pruner.look, _chosen(context, hosts)))
    return Table(
        columns=("Host Name", "Pool", "Image", "Checksum", "Status", "In Use"),
        rows=[
            (
                host,
                one.pool,
                names.get(one.digest),
                one.digest,
                "ready" if one.whole else "incomplete",
                one.used,
            )
            for host, cached in found.items()
            for one in cached
        ],
        exit_code=code,
    )


@action
@click.argument("image", metavar="IMAGE")
@click.option("--host", "hosts", metavar="HOST", multiple=True, help="only there (all); repeatable")
def image_cache_push(context: Context, *, image: str, hosts: tuple[str, ...]) -> int:
    """Bring an image to hosts before a server needs it there; those that have it keep it."""
    app = context.app
    found = app.catalog.image(image)
    use = found.use
    if use is None:
        raise Conflict(
            f"the image {found.name} is a record without bytes",
            hint="create it anew with --file or --url",
        )
    chosen = _chosen(context, hosts)
    peers = tuple(app.holders(use.digest, among=chosen))

    def push(host: Host) -> str:
        pool = host.default_pool.name
        return app.base_images.ensure(host, pool, use, peers=peers, tell=_lines(context))

    _, code = _done(context, fanout(push, chosen, _AT_ONCE))
    return code


@action
@click.option("--host", "hosts", metavar="HOST", multiple=True, help="only there; repeatable")
@click.option("--dry-run", is_flag=True, help="only say what would go")
def image_cache_prune(context: Context, *, hosts: tuple[str, ...], dry_run: bool) -> int:
    """Take base images away that no server, no guest and no disk on their host needs."""
    pruner = context.app.base_pruner
    chosen = _chosen(context, hosts)
    if dry_run:
        looked = fanout(pruner.look, chosen)
        found, code = _done(context, looked)
        found = {host: tuple(c for c in each if not c.used) for host, each in found.items()}
    else:
        found, code = _done(context, fanout(pruner.prune, chosen))
    names = _names(context)
    context.write(
        "".join(
            f"{host}: {names.get(one.digest) or one.digest}\n"
            for host, each in found.items()
            for one in each
        )
    )
    return code


def _chosen(context: Context, hosts: tuple[str, ...]) -> list[Host]:
    inventory = context.app.inventory
    chosen = [inventory.host(name) for name in dict.fromkeys(hosts)]
    return chosen or list(inventory.hosts.values())


def _names(context: Context) -> dict[str, str]:
    return {one.checksum: one.name for one in context.app.catalog.images() if one.checksum}


def _lines(context: Context) -> Callable[[str], None]:
    def tell(text: str) -> None:
        # A line for each percent would bury the others.
        if not text.endswith(" %"):
            context.say(text)

    return tell


def _done(context: Context, ended: Mapping[str, Ok[R] | Failed]) -> tuple[dict[str, R], int]:
    """Part what succeeded from what failed, say the failures, and give the code to end with."""
    found: dict[str, R] = {}
    failed: list[VmctlError] = []
    for name, one in ended.items():
        if isinstance(one, Ok):
            found[name] = one.value
        elif isinstance(one.error, VmctlError):
            failed.append(one.error)
        else:
            raise one.error
    if failed and not found:
        if len(failed) > 1:
            for error in failed[:-1]:
                context.say(error.message)
        raise failed[-1]
    for error in failed:
        context.say(error.message)
    return found, Partial.exit_code if failed else 0
