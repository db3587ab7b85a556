"""What is told of a server's NUMA nodes and of the CPUs that are its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.servers import SPEC, with_extra
from vmctl.domain.topology import topology_of


def test_one_that_asks_for_none_of_it_has_no_nodes() -> None:
    assert topology_of(SPEC, ()) == {"nodes": [], "pagesize_kb": None}


def test_its_vcpus_and_memory_are_shared_among_its_nodes() -> None:
    spec = with_extra({"hw:numa_nodes": "2"}, vcpus=4, memory=1024)

    told = topology_of(spec, ())

    assert told["nodes"] == [
        {
            "vcpu_set": held,
            "memory_mb": 512,
            "host_node": None,
            "cpu_pinning": None,
            "siblings": [],
        }
        for held in ([0, 1], [2, 3])
    ]


def test_each_vcpu_that_is_pinned_is_told_with_its_cpu() -> None:
    spec = with_extra({"hw:cpu_policy": "dedicated", "hw:cpu_threads": "2"}, vcpus=4)

    told = topology_of(spec, (8, 9, 24, 25))

    assert told["nodes"] == [
        {
            "vcpu_set": [0, 1, 2, 3],
            "memory_mb": 512,
            "host_node": None,
            "cpu_pinning": {"0": 8, "1": 9, "2": 24, "3": 25},
            "siblings": [[0, 1], [2, 3]],
        }
    ]


@pytest.mark.parametrize(
    ("wish", "size"), [("small", 4), ("any", 4), ("large", None), ("2MB", 2048)]
)
def test_pages_are_told_in_kib_where_their_size_is_known(wish: str, size: int | None) -> None:
    told = topology_of(with_extra({"hw:mem_page_size": wish}), ())

    assert told["pagesize_kb"] == size
    assert told["nodes"]


def test_an_image_may_ask_for_nodes_too() -> None:
    image = replace(SPEC.image, properties={"hw_numa_nodes": "2"})

    nodes = topology_of(replace(SPEC, image=image), ())["nodes"]

    assert isinstance(nodes, list)
    assert len(nodes) == 2
