"""What an inventory means: layers, ranges, networks, lookups."""

from __future__ import annotations

import pytest

from tests.support.inventories import NAME, a_folder, an_inventory
from vmctl.domain.host import Host, Limits, Pool, Ratios
from vmctl.domain.network import AddressRange
from vmctl.domain.resources import Resources
from vmctl.errors import NotFound


def test_a_host_of_which_nothing_is_said_has_the_defaults_of_the_domain() -> None:
    inventory = an_inventory("hosts: [kvm1]\n")

    assert inventory.host("kvm1") == Host(name="kvm1", address="kvm1")


def test_an_empty_file_is_an_inventory_without_hosts() -> None:
    assert an_inventory("# nothing yet\n").hosts == {}
    assert an_inventory("hosts:\n").hosts == {}


def test_a_host_is_stronger_than_its_groups_and_they_than_the_defaults() -> None:
    inventory = an_inventory(
        """
        defaults: {user: d, port: 1, zone: d, virt_type: qemu, become: sudo}
        groups:
          listing: {hosts: kvm1, port: 2, zone: g}
          later: {hosts: kvm1, virt_type: kvm}
          named: {zone: g, become: none}
          first: {become: sudo}
        hosts:
          kvm1: {zone: h, groups: [first, named]}
        """
    )

    host = inventory.host("kvm1")

    assert host.groups == ("listing", "later", "first", "named")
    assert (host.user, host.port, host.zone) == ("d", 2, "h")
    assert (host.virt_type, host.become) == ("kvm", "none")


@pytest.mark.parametrize(
    ("said", "cpus"),
    [
        ("2-4,10", (2, 3, 4, 10)),
        ("3", (3,)),
        ("[10, 2-4]", (2, 3, 4, 10)),
        ("'0,2'", (0, 2)),
        ("[]", ()),
    ],
)
def test_dedicated_cpus_are_numbers_and_ranges(said: str, cpus: tuple[int, ...]) -> None:
    inventory = an_inventory(f"""
        defaults: {{dedicated_cpus: 1}}
        hosts:
          kvm1: {{}}
          kvm2:
            dedicated_cpus: {said}
        """)

    assert inventory.host("kvm1").dedicated_cpus == (1,)
    assert inventory.host("kvm2").dedicated_cpus == cpus


def test_a_group_that_a_host_lists_is_stronger_than_one_that_lists_the_host() -> None:
    inventory = an_inventory(
        """
        groups:
          a: {user: from-a}
          b: {user: from-b, hosts: "kvm[1:2]"}
        hosts:
          kvm1: {groups: a}
          kvm2: {groups: [b, a]}
          kvm3: {groups: [a, b]}
        """
    )

    assert inventory.host("kvm1").groups == ("b", "a")
    assert inventory.host("kvm1").user == "from-a"
    assert inventory.host("kvm2").user == "from-a"
    assert inventory.host("kvm3").user == "from-b"


def test_mappings_are_combined_and_lists_are_replaced() -> None:
    inventory = an_inventory(
        """
        defaults:
          labels: {rack: r0, cpu: epyc}
          reserved: {vcpus: 2}
          capacity: {memory: 64GiB}
          allocation_ratios: {ram: 1.5}
          pools: [a, b]
        hosts:
          kvm1:
            labels: {rack: r1}
            reserved: {disk: 10G}
            capacity: {vcpus: 8}
            allocation_ratios: {cpu: 2}
            pools: [{name: c, shared: filer}]
        """
    )

    host = inventory.host("kvm1")

    assert host.labels == {"rack": "r1", "cpu": "epyc"}
    assert host.reserved == Resources(vcpus=2, memory=512, disk=10240)
    assert host.capacity == Limits(vcpus=8, memory=65536, disk=None)
    assert host.allocation_ratios == Ratios(cpu=2.0, ram=1.5, disk=1.0)
    assert host.pools == (Pool(name="c", default=True, shared="filer"),)


def test_nothing_leaks_from_one_host_into_another() -> None:
    inventory = an_inventory(
        """
        hosts:
          kvm1: {port: 23, labels: {a: "1"}, count_stopped: false}
          kvm2:
        """
    )

    assert inventory.host("kvm2") == Host(name="kvm2", address="kvm2")
    assert inventory.host("kvm1").count_stopped is False


def test_ranges_keep_their_zeros_and_give_their_numbers() -> None:
    inventory = an_inventory(
        """
        defaults: {address: "{name}.example.net"}
        hosts:
          kvm[08:11]:
          r[1:2]n[01:02]: {address: "10.{n1}.0.{n2+10}"}
          x[5:5]: {address: "10.9.9.{n-4}"}
        """
    )

    assert {one.name: one.address for one in inventory.hosts.values()} == {
        "kvm08": "kvm08.example.net",
        "kvm09": "kvm09.example.net",
        "kvm10": "kvm10.example.net",
        "kvm11": "kvm11.example.net",
        "r1n01": "10.1.0.11",
        "r1n02": "10.1.0.12",
        "r2n01": "10.2.0.11",
        "r2n02": "10.2.0.12",
        "x5": "10.9.9.1",
    }


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("010", "010"), ("1_000", "1_000"), ("'no'", "no"), ("2024-01-01", "2024-01-01")],
)
def test_a_word_is_what_stands_there_whatever_yaml_makes_of_it(zone: str, expected: str) -> None:
    inventory = an_inventory(f"hosts: {{kvm1: {{zone: {zone}}}}}\n")

    assert inventory.host("kvm1").zone == expected


def test_paths_start_at_the_file_and_homes_are_homes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ops")

    inventory = a_folder(
        {
            "/srv/team/inv/a.yaml": "defaults: {known_hosts: keys/known, ssh_config: /etc/s}\n",
            "/srv/team/inv/b.yaml": "hosts: {kvm1: {identity_file: ~/.ssh/id}}\n",
        }
    )

    host = inventory.host("kvm1")
    assert host.known_hosts == "/srv/team/inv/keys/known"
    assert host.ssh_config == "/etc/s"
    assert host.identity_file == "/home/ops/.ssh/id"


def test_the_same_address_behind_two_ssh_configurations_is_two_machines() -> None:
    inventory = an_inventory(
        """
        hosts:
          a: {address: 10.0.0.1, ssh_config: site-a}
          b: {address: 10.0.0.1, ssh_config: site-b}
          c: {address: 10.0.0.1, ssh_config: site-b, port: 23}
        """
    )

    assert len(inventory.hosts) == 3


def test_a_zone_comes_from_the_host_else_the_aggregate_else_is_novas() -> None:
    inventory = an_inventory(
        """
        groups:
          a: {zone: z1, hosts: kvm1}
          b: {zone: z2, hosts: kvm1}
        hosts: {kvm1: {zone: z3}, kvm2: {}, kvm3: {}}
        aggregates:
          one: {hosts: kvm2, metadata: {availability_zone: z4, ssd: true}}
          two: {hosts: [kvm2], metadata: {availability_zone: z4}}
        """
    )

    assert [one.zone for one in inventory.hosts.values()] == ["z3", "z4", "nova"]
    assert inventory.zones == ("nova", "z3", "z4")
    assert inventory.aggregates["one"].metadata == {"availability_zone": "z4", "ssd": "true"}
    assert [one.name for one in inventory.aggregates_of("kvm2")] == ["one", "two"]


NETWORKS = """
    groups: {r1: {hosts: "kvm[1:2]"}, r2: {hosts: kvm2}}
    hosts: {kvm1: {}, kvm2: {}, kvm3: {}, kvm4: {networks: [nat]}, a5: {networks: []}}
    networks:
      rack: {source: {bridge: {groups: {r1: br1, r2: br2}, hosts: {kvm3: br3}}}}
      nat: {source: {network: default}, default: true, arbiter: kvm4}
"""


def test_the_source_of_a_network_may_have_another_name_on_each_host() -> None:
    inventory = an_inventory(NETWORKS)
    source = inventory.network("rack").source

    names = [source.on(one) for one in inventory.hosts.values()]

    assert names == ["br1", "br2", "br3", None, None]


def test_a_host_carries_what_it_lists_or_all_that_has_a_source_on_it() -> None:
    inventory = an_inventory(NETWORKS)

    assert inventory.host("kvm1").networks == ("rack", "nat")
    assert inventory.host("kvm4").networks == ("nat",)
    assert inventory.host("a5").networks == ()
    assert [one.name for one in inventory.carriers(inventory.network("rack"))] == [
        "kvm1",
        "kvm2",
        "kvm3",
    ]


def test_the_arbiter_is_the_named_host_else_the_first_by_name_that_carries_it() -> None:
    inventory = an_inventory(NETWORKS)
    named = inventory.arbiter(inventory.network("nat"))
    found = inventory.arbiter(inventory.network("rack"))

    assert named is inventory.host("kvm4")
    assert found is inventory.host("kvm1")
    lonely = an_inventory("networks: {x: {source: {bridge: br0}}}")
    assert lonely.arbiter(lonely.network("x")) is None


def test_the_default_network_is_the_marked_or_the_only_one() -> None:
    marked = an_inventory(NETWORKS)
    only = an_inventory("networks: {x: {source: {bridge: br0}}}")
    denied = an_inventory("networks: {x: {source: {bridge: br0}, default: false}}")

    assert marked.default_network is marked.network("nat")
    assert only.default_network is only.network("x")
    assert denied.default_network is None


def test_a_network_is_static_where_it_has_cidrs_and_spelled_shortly() -> None:
    inventory = an_inventory(
        """
        networks:
          lan:
            source: {bridge: br0}
            cidrs: [10.0.0.0/24, "FD00:0::/64"]
            gateway: "fd00:0:0::0001"
            allocation_pool: [10.0.0.16/28, "fd00::10-fd00::ff"]
            exclude: 10.0.0.20
            security_group: none
        """
    )

    network = inventory.network("lan")

    assert network.addressing == "static"
    assert network.cidrs == ("10.0.0.0/24", "fd00::/64")
    assert network.gateway == ("fd00::1",)
    assert network.allocation_pool == (
        AddressRange(first="10.0.0.16", last="10.0.0.31"),
        AddressRange(first="fd00::10", last="fd00::ff"),
    )
    assert network.exclude == (AddressRange(first="10.0.0.20", last="10.0.0.20"),)
    assert network.security_group is None


def test_networks_on_different_wires_may_share_addresses() -> None:
    inventory = an_inventory(
        """
        hosts: {kvm1: {}, kvm2: {}}
        networks:
          a: {source: {bridge: {hosts: {kvm1: br0}}}, cidrs: 10.0.0.0/24}
          b: {source: {bridge: {hosts: {kvm2: br0}}}, cidrs: 10.0.0.0/24}
          c: {source: {network: br0}, cidrs: 10.0.0.0/24}
        """
    )

    assert len(inventory.networks) == 3


def test_networks_of_one_wire_may_share_addresses_where_no_host_carries_both() -> None:
    inventory = an_inventory(
        """
        hosts: {kvm1: {networks: a}}
        networks:
          a: {source: {bridge: {hosts: {kvm1: br0}}}, cidrs: 10.0.0.0/24}
          b: {source: {bridge: {hosts: {kvm1: br0}}}, cidrs: 10.0.0.0/24}
        """
    )

    assert inventory.host("kvm1").networks == ("a",)


def test_the_scheduler_section_is_kept_as_it_stands() -> None:
    inventory = an_inventory(
        """
        scheduler:
          filters: [RamFilter, my_plugin]
          weighers: {RAMWeigher: -1.5}
          host_subset_size: 3
          max_attempts: 2
          tie: order
          options:
            max_load: 1.5
            max_io_ops_per_host: 4
            isolated_hosts: [kvm1]
            restrict_isolated_hosts_to_isolated_images: no
            image_properties_default_architecture: null
            spread_label: "010"
        """
    )

    assert inventory.scheduler == {
        "filters": ["RamFilter", "my_plugin"],
        "weighers": {"RAMWeigher": -1.5},
        "host_subset_size": 3,
        "max_attempts": 2,
        "tie": "order",
        "options": {
            "max_load": 1.5,
            "max_io_ops_per_host": 4,
            "isolated_hosts": ["kvm1"],
            "restrict_isolated_hosts_to_isolated_images": False,
            "image_properties_default_architecture": None,
            "spread_label": "010",
        },
    }


def test_a_name_that_is_not_there_brings_the_nearest_ones() -> None:
    inventory = an_inventory("hosts: {kvm1: {}, web: {}}\n")

    with pytest.raises(NotFound, match="No Host found for kvm7") as caught:
        inventory.host("kvm7")
    assert caught.value.hint == "Did you mean 'kvm1'?"
    with pytest.raises(NotFound, match="No Network found for lan") as unlike:
        inventory.network("lan")
    assert unlike.value.hint == f"{NAME} is the inventory that was read"
