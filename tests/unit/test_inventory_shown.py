"""The example that documents every key, and an inventory shown in its own words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from vmctl.adapters import inventory_keys as keys
from vmctl.adapters.inventory import check_inventory
from vmctl.services.inventory import describe_host, describe_inventory, size_text

EXAMPLE = Path(__file__).parents[2] / "inventory.example.yaml"


def test_what_is_shown_reads_as_an_inventory_that_means_the_same(tmp_path: Path) -> None:
    original = check_inventory(str(EXAMPLE))
    copy = tmp_path / "shown.yaml"

    copy.write_text(yaml.safe_dump(describe_inventory(original)), encoding="utf-8")

    again = check_inventory(str(copy))
    assert again.hosts == original.hosts
    assert again.networks == original.networks
    assert again.aggregates == original.aggregates
    assert again.scheduler == original.scheduler


def test_a_host_is_shown_after_defaults_and_without_what_nobody_said() -> None:
    shown = describe_host(check_inventory(str(EXAMPLE)).host("big1"))

    assert shown["zone"] == "az2"
    assert shown["reserved"] == {"vcpus": 1, "memory": "2GiB", "disk": "10GiB"}
    assert shown["allocation_ratios"] == {"cpu": 4.0, "ram": 1.5, "disk": 1.0}
    assert "ssh_config" not in shown


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0MiB"), (512, "512MiB"), (1536, "1536MiB"), (4096, "4GiB")]
)
def test_a_size_is_said_without_loss(size: int, text: str) -> None:
    assert size_text(size) == text


def test_the_example_says_every_key_that_there_is() -> None:
    example = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    hosts = [example["defaults"], *example["groups"].values(), *example["hosts"].values()]
    networks = list(example["networks"].values())
    sources = [one["source"] for one in networks]
    carriers = [one for source in sources for one in source.values() if isinstance(one, dict)]
    pools = [pool for host in hosts for pool in host.get("pools", ())]

    def said(mappings: list[dict[str, object]]) -> set[str]:
        return {key for one in mappings for key in one}

    assert set(example) == set(keys.SECTIONS)
    assert said(hosts) == set(keys.HOST) | set(keys.GROUP)
    assert said(pools) == set(keys.POOL)
    for amounts in ("reserved", "capacity"):
        assert said([host[amounts] for host in hosts if amounts in host]) == set(keys.AMOUNTS)
    assert said([example["defaults"]["allocation_ratios"]]) == set(keys.RATIOS)
    assert said(networks) == set(keys.NETWORK)
    assert said(sources) == set(keys.SOURCE)
    assert said(carriers) == {"default", "groups", "hosts"}
    assert said(list(example["aggregates"].values())) == set(keys.AGGREGATE)
    assert set(example["scheduler"]) == set(keys.SCHEDULER)
