from __future__ import annotations

import json

import pytest

from vmctl.domain.build import Build, Card, Volume
from vmctl.domain.plain import from_plain, to_plain
from vmctl.domain.request import FlavorSpec
from vmctl.domain.spec import CardWish, ImageUse, ServerSpec

SPEC = ServerSpec(
    id="6c9e",
    name="web-1",
    flavor=FlavorSpec(name="m1.tiny", memory=512, extra_specs={"hw:cpu_policy": "shared"}),
    image=ImageUse(id="1", name="mini", digest="ab", format="qcow2", size=1, virtual_size=2),
    cards=(CardWish(network="lan", fixed=("10.0.0.4",)), CardWish(network="nat")),
    security_groups=("web",),
    hints={"different_host": ["a", "b"]},
)
BUILD = Build(
    server="6c9e",
    name="web-1",
    number=2,
    host="kvm1",
    pool="default",
    volumes=(Volume(name="6c9e-root", role="root", backing="vmctl-base-ab"),),
    cards=(Card(network="lan", kind="bridge", source="br-lan", scope="lan", mac="52:54:00:0:0:1"),),
)


def test_what_is_written_as_plain_data_reads_back_as_it_was() -> None:
    assert from_plain(ServerSpec, json.loads(json.dumps(to_plain(SPEC)))) == SPEC
    assert from_plain(Build, json.loads(json.dumps(to_plain(BUILD)))) == BUILD


def test_what_another_version_wrote_reads_as_far_as_it_goes() -> None:
    plain = to_plain(SPEC) | {"invented_later": 1}
    del plain["tags"]

    assert from_plain(ServerSpec, plain) == SPEC


def test_what_misses_its_name_is_not_read() -> None:
    plain = to_plain(SPEC)
    del plain["name"]

    with pytest.raises(TypeError):
        from_plain(ServerSpec, plain)
