"""All that servers are made from and kept within, on record."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, select, update

from vmctl.adapters.host_rows import as_json
from vmctl.adapters.schema import (
    claims,
    flavors,
    group_members,
    images,
    quotas,
    server_groups,
    servers,
)
from vmctl.adapters.store import access
from vmctl.adapters.store.servers import rows
from vmctl.adapters.store.upsert import upsert
from vmctl.domain.catalog import QUOTAS, UNLIMITED, Flavor, Image, Quota, ServerGroup, find_one
from vmctl.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Table

    from vmctl.adapters.store import SqlStore
    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.catalog import Keypair, SecurityGroup, SecurityRule


class Catalog:
    """What servers are made from, in the store's database; each method is one transaction."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    # Flavors

    def flavors(self) -> tuple[Flavor, ...]:
        """List the flavors, the smallest first."""
        with self._store.reading() as tx:
            return _flavors(tx)

    def flavor(self, word: str) -> Flavor:
        """Find a flavor by id or name."""
        return find_one("Flavor", word, self.flavors())

    def add_flavor(self, flavor: Flavor) -> None:
        """Put a flavor on record; Conflict where its name or id is taken."""
        with self._store.writing() as tx:
            tx.connection.execute(flavors.insert().values(_row(flavor)))

    def change_flavor(self, word: str, change: Callable[[Flavor], Flavor]) -> None:
        """Change a flavor; servers that are there keep what they were made with."""
        with self._store.writing() as tx:
            _replace(tx, flavors, _row(change(find_one("Flavor", word, _flavors(tx)))))

    def delete_flavor(self, word: str) -> Flavor:
        """Forget a flavor; servers made from it keep what they have."""
        with self._store.writing() as tx:
            found = find_one("Flavor", word, _flavors(tx))
            tx.connection.execute(delete(flavors).where(flavors.c.id == found.id))
            return found

    # Images

    def images(self) -> tuple[Image, ...]:
        """List the images by name."""
        with self._store.reading() as tx:
            return _images(tx)

    def image(self, word: str) -> Image:
        """Find an image by id or name."""
        return find_one("Image", word, self.images())

    def add_image(self, image: Image) -> Image:
        """Put an image on record at the transaction's time, and give it as it stands there."""
        with self._store.writing() as tx:
            row = _row(image) | {"created": tx.now, "updated": tx.now}
            tx.connection.execute(images.insert().values(row))
            return _image(row)

    def change_image(self, word: str, change: Callable[[Image], Image]) -> None:
        """Change an image's record."""
        with self._store.writing() as tx:
            changed = _row(change(find_one("Image", word, _images(tx))))
            _replace(tx, images, changed | {"updated": tx.now})

    def delete_image(self, word: str) -> Image:
        """Forget an image."""
        with self._store.writing() as tx:
            found = find_one("Image", word, _images(tx))
            tx.connection.execute(delete(images).where(images.c.id == found.id))
            return found

    # Server groups

    def groups(self) -> tuple[ServerGroup, ...]:
        """List the server groups by name, each with its live members."""
        with self._store.reading() as tx:
            return groups_at(tx)

    def group(self, word: str) -> ServerGroup:
        """Find a server group by id or name."""
        return find_one("ServerGroup", word, self.groups())

    def add_group(self, group: ServerGroup) -> None:
        """Put a server group on record; NameTaken where its name is."""
        row = {name: getattr(group, name) for name in _GROUP}
        with self._store.writing() as tx:
            tx.connection.execute(server_groups.insert().values(created=tx.now, **row))

    def delete_group(self, word: str) -> ServerGroup:
        """Forget a server group; its members live on without one."""
        with self._store.writing() as tx:
            found = find_one("ServerGroup", word, groups_at(tx))
            here = group_members.c.server_group == found.id
            tx.connection.execute(delete(group_members).where(here))
            tx.connection.execute(delete(server_groups).where(server_groups.c.id == found.id))
            return found

    def join_group(self, server: str, group: str) -> None:
        """Make a server on record a member of a group, by their ids."""
        with self._store.writing() as tx:
            tx.connection.execute(group_members.insert().values(server=server, server_group=group))

    # Keypairs and security groups: to delete one changes no server that was made with it

    def keypairs(self) -> tuple[Keypair, ...]:
        """List the keypairs by name."""
        with self._store.reading() as tx:
            return access.list_keypairs(tx)

    def keypair(self, name: str) -> Keypair:
        """Find a keypair."""
        return find_one("Keypair", name, self.keypairs())

    def add_keypair(self, keypair: Keypair) -> Keypair:
        """Put a keypair on record and give it as it stands there; NameTaken where its name is."""
        with self._store.writing() as tx:
            return access.add_keypair(tx, keypair)

    def delete_keypair(self, name: str) -> Keypair:
        """Forget a keypair."""
        with self._store.writing() as tx:
            return access.delete_keypair(tx, name)

    def security_groups(self) -> tuple[SecurityGroup, ...]:
        """List the security groups by name, each with its rules."""
        with self._store.reading() as tx:
            return access.list_groups(tx)

    def security_group(self, word: str) -> SecurityGroup:
        """Find a security group by id or name."""
        return find_one("SecurityGroup", word, self.security_groups())

    def add_security_group(self, group: SecurityGroup) -> None:
        """Put a security group on record with its rules; NameTaken where its name is."""
        with self._store.writing() as tx:
            access.add_group(tx, group)

    def change_security_group(
        self, word: str, change: Callable[[SecurityGroup], SecurityGroup]
    ) -> SecurityGroup:
        """Change what a security group is called and said to be, not its rules."""
        with self._store.writing() as tx:
            return access.change_group(tx, word, change)

    def delete_security_group(self, word: str) -> SecurityGroup:
        """Forget a security group; Conflict for the one that is there from the first use."""
        with self._store.writing() as tx:
            return access.delete_group(tx, word)

    def add_rule(self, word: str, rule: SecurityRule) -> SecurityGroup:
        """Add a rule to a security group and give the group; Conflict if it is there already."""
        with self._store.writing() as tx:
            return access.add_rule(tx, word, rule)

    def delete_rule(self, identity: str) -> SecurityRule:
        """Take a rule out of its security group."""
        with self._store.writing() as tx:
            return access.delete_rule(tx, identity)

    # Quotas

    def quota(self, project: str) -> Quota:
        """Say what a project may take, and what its servers take."""
        with self._store.reading() as tx:
            return quota_at(tx, project)

    def set_quota(self, project: str, limits: Mapping[str, int], *, force: bool = False) -> None:
        """Limit what a project may take; below what it takes already only by force."""
        with self._store.writing() as tx:
            used = _used(tx, project)
            for name, most in limits.items():
                if not force and most != UNLIMITED and most < used[name]:
                    raise Conflict(
                        f"Quota limit {most} for {name} must be greater than or equal to already "
                        f"used {used[name]}",
                        hint="--force sets it all the same: nothing more fits then",
                    )
                _limit(tx, project, name, most)


_GROUP = ("id", "name", "project", "policy", "max_server_per_host")


def _flavors(tx: Tx) -> tuple[Flavor, ...]:
    found = (
        Flavor(
            **{**row, "public": bool(row["public"]), "properties": json.loads(row["properties"])}
        )
        for row in rows(tx, select(flavors))
    )
    return tuple(sorted(found, key=lambda one: (one.memory, one.vcpus, one.disk, one.name)))


def _images(tx: Tx) -> tuple[Image, ...]:
    return tuple(sorted(map(_image, rows(tx, select(images))), key=lambda one: one.name))


def _image(row: Mapping[str, Any]) -> Image:
    values = {"protected": bool(row["protected"]), "properties": json.loads(row["properties"])}
    return Image(**{**row, **values})


def groups_at(tx: Tx) -> tuple[ServerGroup, ...]:
    """List the server groups by name, each with its live members."""
    members: dict[str, list[str]] = {}
    live = group_members.join(servers, servers.c.id == group_members.c.server)
    query = select(group_members).select_from(live).where(servers.c.deleted.is_(None))
    for row in rows(tx, query):
        members.setdefault(row["server_group"], []).append(row["server"])
    found = (
        ServerGroup(
            **{name: row[name] for name in _GROUP},
            members=tuple(sorted(members.get(row["id"], ()))),
        )
        for row in rows(tx, select(server_groups))
    )
    return tuple(sorted(found, key=lambda one: one.name))


def quota_at(tx: Tx, project: str) -> Quota:
    """Say what a project may take, and what its servers take."""
    set_ones = rows(tx, select(quotas).where(quotas.c.project == project))
    limits = {row["resource"]: row["most"] for row in set_ones}
    return Quota(
        project=project,
        limits={name: limits.get(name, UNLIMITED) for name in QUOTAS},
        used=_used(tx, project),
    )


def _limit(tx: Tx, project: str, name: str, most: int) -> None:
    new = upsert(tx, quotas).values(project=project, resource=name, most=most)
    # Never deleted and made anew: whoever waits to admit a server waits for this very row.
    tx.connection.execute(
        new.on_conflict_do_update(index_elements=["project", "resource"], set_={"most": most})
    )


def _used(tx: Tx, project: str) -> dict[str, int]:
    """What a project's live servers take: each counts, and so does the claim of its last attempt.

    Room that an earlier attempt still holds until its cleanup is paid is not the project's doing.
    """
    live = and_(servers.c.project == project, servers.c.deleted.is_(None))
    current = and_(claims.c.server == servers.c.id, claims.c.number == servers.c.attempt)
    count = select(func.count()).select_from(servers).where(live)
    sums = (
        select(func.sum(claims.c.vcpus), func.sum(claims.c.memory))
        .select_from(servers.join(claims, current))
        .where(live)
    )
    cores, ram = tx.connection.execute(sums).one()
    return {
        "instances": int(tx.connection.execute(count).scalar_one()),
        # PostgreSQL sums whole numbers as decimals.
        "cores": int(cores or 0),
        "ram": int(ram or 0),
    }


def _row(thing: Flavor | Image) -> dict[str, Any]:
    row = {each.name: getattr(thing, each.name) for each in fields(thing)}
    return row | {"properties": as_json(thing.properties)}


def _replace(tx: Tx, table: Table, row: Mapping[str, Any]) -> None:
    tx.connection.execute(update(table).where(table.c.id == row["id"]).values(**row))
