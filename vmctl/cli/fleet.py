"""``vmctl fleet save``, and where the commands of placement get their fleet from."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action
from vmctl.errors import Conflict, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmctl.cli.context import Context
    from vmctl.domain.fleet import Fleet
    from vmctl.scheduler.policy import Policy


@action
@click.argument("file", metavar="FILE")
@click.option("--replace", "over", is_flag=True, help="write over a file that is there already")
@click.option("--refresh", is_flag=True, help="ask every host now")
def fleet_save(context: Context, *, file: str, over: bool, refresh: bool) -> str | None:
    """Write the fleet as it is now into a file for `placement simulate`; - is stdout.

    A name that ends in .json makes it JSON, any other YAML.
    """
    from vmctl.scheduler.fleet_data import fleet_data

    if file != "-" and not over and os.path.lexists(file):
        raise _there(file)
    fleet, policy = live_fleet(context, refresh=refresh)
    text = _as_text(fleet_data(fleet, policy), json=file.endswith(".json"))
    if file == "-":
        return text
    _write(file, text, over=over)
    context.say(f"wrote {file}: {len(fleet.hosts)} hosts")
    return None


def live_fleet(context: Context, *, refresh: bool = False) -> tuple[Fleet, Policy]:
    """See the fleet as it is: hosts not heard of within the policy's limit are asked first."""
    from vmctl.services.fleet import fleet_of, to_ask
    from vmctl.services.hosts import look
    from vmctl.services.policy import policy_of

    app = context.app
    inventory = app.inventory
    policy = policy_of(inventory)
    record = app.fleet_record()
    asked = (
        list(inventory.hosts.values())
        if refresh
        else to_ask(inventory, record.hosts, time.time(), policy.options.max_sample_age)
    )
    if asked:
        look(asked, app.prober, record.hosts, lambda: app.store, time.time)
        record = app.fleet_record()
    return fleet_of(inventory, record, time.time()), policy


def what_if(fleet: Fleet, removed: Sequence[str], added: Sequence[str]) -> Fleet:
    """See the fleet with hosts taken away, and with others added."""
    from vmctl.scheduler.what_if import host_from, with_host, without_host

    for name in removed:
        fleet = without_host(fleet, name)
    for words in added:
        fleet = with_host(fleet, host_from(words))
    return fleet


def in_zone(fleet: Fleet, zone: str, policy: Policy) -> Fleet:
    """See the hosts of one zone alone."""
    usual = policy.options.default_availability_zone
    hosts = tuple(host for host in fleet.hosts if (host.zone or usual) == zone)
    if not hosts:
        raise NotFound(f"no host is in zone {zone}", hint="vmctl availability zone list")
    return replace(fleet, hosts=hosts)


def _as_text(data: dict[str, object], *, json: bool) -> str:
    if json:
        from json import dumps

        return dumps(data, indent=1, ensure_ascii=False) + "\n"
    from vmctl.cli.yamltext import dump

    return dump(data)


def _write(file: str, text: str, *, over: bool) -> None:
    """Write a whole file or none, for its owner alone: it tells what the hosts are called."""
    beside = f"{file}.{os.getpid()}.new" if over else file
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                out.write(text)
            if over:
                os.replace(beside, file)  # noqa: PTH105 - pathlib would be a module more
        except BaseException:
            os.unlink(beside)  # noqa: PTH108 - likewise
            raise
    except FileExistsError as error:
        raise _there(beside) from error
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error


def _there(file: str) -> Conflict:
    return Conflict(f"{file} is there already", hint="--replace writes over it")
