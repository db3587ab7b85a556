from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.stores import a_wanted, admit
from vmctl.adapters.store import SqlStore
from vmctl.adapters.store.catalog import Catalog
from vmctl.domain.catalog import Flavor, Image, Quota, ServerGroup, find_one
from vmctl.domain.operation import OperationState
from vmctl.domain.record import Change, ServerState
from vmctl.domain.request import FlavorSpec
from vmctl.errors import Conflict, NameTaken, NotFound
from vmctl.ports import Leases


@pytest.fixture
def catalog(store: SqlStore) -> Catalog:
    return Catalog(store)


def test_a_flavor_comes_back_as_it_was_written(catalog: Catalog) -> None:
    flavor = Flavor(
        id="f1", name="wide", vcpus=9, memory=7, disk=5, ephemeral=3, swap=1, public=False,
        description="hä", properties={"a:b": "<in> c"},
    )  # fmt: skip
    catalog.add_flavor(flavor)

    assert catalog.flavor("f1") == catalog.flavor("wide") == flavor
    assert flavor.spec.claim.disk == 9
    catalog.change_flavor("wide", lambda held: replace(held, properties={}))
    assert catalog.flavor("f1") == replace(flavor, properties={})
    assert catalog.delete_flavor("f1").name == "wide"
    with pytest.raises(NotFound):
        catalog.flavor("wide")


@pytest.mark.parametrize(
    ("taken", "error"),
    [(Flavor(id="x", name="m1.tiny"), NameTaken), (Flavor(id="1", name="x"), Conflict)],
    ids=["name", "id"],
)
def test_a_flavors_name_and_id_are_its_own(
    catalog: Catalog, taken: Flavor, error: type[Exception]
) -> None:
    with pytest.raises(error, match="is there already"):
        catalog.add_flavor(taken)


def test_an_image_keeps_its_times(catalog: Catalog) -> None:
    made = catalog.add_image(
        Image(
            id="i", name="tiny", min_disk=1024, properties={"a": "b"}, url="https://h/\u00e4",
            format="qcow2", size=1 << 33, virtual_size=1 << 43, protected=True,
        )
    )  # fmt: skip

    assert catalog.image("tiny") == made
    assert made.created == made.updated > 0
    assert (made.size, made.virtual_size, made.protected) == (1 << 33, 1 << 43, True)
    with pytest.raises(NameTaken):
        catalog.add_image(Image(id="j", name="tiny"))


def test_an_id_goes_before_a_name() -> None:
    one, other = Flavor(id="a", name="b"), Flavor(id="b", name="a")

    assert find_one("Flavor", "a", [one, other]) is one


def test_a_group_knows_its_living_members(
    store: SqlStore, catalog: Catalog, leases: Leases
) -> None:
    group = ServerGroup(id="g", name="web", project="p", policy="affinity")
    catalog.add_group(group)
    tokens = [admit(store, leases, name) for name in ("one", "two")]
    ids = [server.id for server in store.servers()]
    for identity in ids:
        catalog.join_group(identity, "g")

    assert catalog.group("web") == replace(group, members=tuple(sorted(ids)))

    gone = store.operation(tokens[0].operation).server
    change = Change(state=ServerState.DELETED, deleted=True)
    store.finish(tokens[0], OperationState.DONE, change=change, release=[1])
    assert gone not in catalog.group("g").members
    assert len(catalog.group("g").members) == 1

    catalog.delete_group("g")
    assert catalog.groups() == ()


def test_a_quota_counts_what_the_projects_servers_claim(
    store: SqlStore, catalog: Catalog, leases: Leases
) -> None:
    nothing = {"instances": 0, "cores": 0, "ram": 0}
    assert catalog.quota("").used == nothing

    token = admit(store, leases, "web", a_wanted(memory=768))
    admit(store, leases, "db", a_wanted(memory=256))

    assert catalog.quota("").used == {"instances": 2, "cores": 2, "ram": 1024}
    assert catalog.quota("other").used == nothing
    with pytest.raises(Conflict, match="Quota limit 1000 for ram"):
        catalog.set_quota("", {"ram": 1000})
    catalog.set_quota("", {"ram": 1000}, force=True)
    assert catalog.quota("").limits == {"instances": -1, "cores": -1, "ram": 1000}

    deleted = Change(state=ServerState.DELETED, deleted=True)
    store.finish(token, OperationState.DONE, change=deleted, release=[1])
    assert catalog.quota("").used == {"instances": 1, "cores": 1, "ram": 256}


def test_room_that_a_retry_left_behind_is_not_counted_twice(
    store: SqlStore, catalog: Catalog, leases: Leases
) -> None:
    token = admit(store, leases, "web", a_wanted("kvm1", 512))
    store.readmit(token, a_wanted("kvm2", 512), lambda _host, _claims: None)

    assert len(store.claims()) == 2
    assert catalog.quota("").used == {"instances": 1, "cores": 1, "ram": 512}


@pytest.mark.parametrize(
    ("limits", "count", "exceeded"),
    [
        ({"instances": 2, "cores": -1, "ram": -1}, 1, None),
        ({"instances": 2, "cores": -1, "ram": -1}, 2, "instances: Requested 2, but already used 1"),
        ({"instances": -1, "cores": 5, "ram": -1}, 2, None),
        ({"instances": -1, "cores": 4, "ram": -1}, 2, "cores: Requested 4, but already used 1"),
        (
            {"instances": -1, "cores": -1, "ram": 1023},
            1,
            "ram: Requested 512, but already used 512",
        ),
    ],
)
def test_a_quota_says_which_limit_is_broken(
    limits: dict[str, int], count: int, exceeded: str | None
) -> None:
    used = {"instances": 1, "cores": 1, "ram": 512}
    said = Quota(project="p", limits=limits, used=used).excess(
        FlavorSpec(vcpus=2, memory=512), count
    )

    assert said == exceeded or (exceeded is not None and exceeded in str(said))


def test_an_image_says_which_flavor_is_too_small() -> None:
    image = Image(id="i", name="big", min_disk=2048, min_memory=512)

    assert image.misfit(Flavor(id="f", name="f", memory=512, disk=2048)) is None
    assert image.misfit(Flavor(id="f", name="f", memory=512, disk=0)) is None
    assert "2048 MiB of disk" in str(image.misfit(Flavor(id="f", name="f", memory=512, disk=1024)))
    assert "512 MiB of memory" in str(image.misfit(Flavor(id="f", name="f", memory=511)))
