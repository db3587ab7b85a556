"""What holds of network filters and promised addresses on every hypervisor."""

from __future__ import annotations

import re

import pytest

from tests.contract.ground import Ground, filter_xml
from vmctl.errors import AddressTaken, RemoteFailed

OTHER = "52:54:00:99:99:99"


def uuid_of(xml: str | None) -> str:
    found = re.search("<uuid>(.*)</uuid>", xml or "")
    assert found, xml
    return found[1]


def test_a_filter_defined_again_is_the_same_with_new_rules(ground: Ground, server: str) -> None:
    on = ground.hypervisor
    on.ensure_filter(server, filter_xml(server, 22))
    first = ground.filter(server)

    on.ensure_filter(server, filter_xml(server, 22))
    again = ground.filter(server)
    on.ensure_filter(server, filter_xml(server, 443))
    changed = ground.filter(server)

    assert first == again
    assert uuid_of(changed) == uuid_of(first)
    assert "443" in (changed or "")


def test_a_filter_is_removed_however_often_it_is_asked(ground: Ground, server: str) -> None:
    ground.hypervisor.ensure_filter(server, filter_xml(server, 22))

    ground.hypervisor.remove_filter(server)
    ground.hypervisor.remove_filter(server)

    assert ground.filter(server) is None


def reserve(ground: Ground, mac: str, *addresses: str, network: str = "", name: str = "") -> None:
    ground.hypervisor.ensure_reservation(
        network or ground.network, mac=mac, addresses=addresses, name=name or "contract-server"
    )


def promised(ground: Ground, mac: str, network: str = "") -> list[str]:
    there = ground.promises(network or ground.network)
    return sorted(ip for ip, whose in there.items() if whose.lower().endswith(mac))


def test_addresses_of_both_kinds_are_promised_however_often_it_is_asked(
    ground: Ground, mac: str
) -> None:
    reserve(ground, mac, "192.168.77.20", "fd77::120")
    reserve(ground, mac.upper(), "192.168.77.20", "fd77::120")

    assert promised(ground, mac) == ["192.168.77.20", "fd77::120"]


def test_another_address_takes_the_place_of_the_first(ground: Ground, mac: str) -> None:
    reserve(ground, mac, "192.168.77.20", "fd77::120")

    reserve(ground, mac, "192.168.77.21", "fd77::121")
    both = promised(ground, mac)
    reserve(ground, mac, "192.168.77.21")

    assert both == ["192.168.77.21", "fd77::121"]
    assert promised(ground, mac) == ["192.168.77.21"]


def test_a_promise_is_forgotten_and_no_other_with_it(ground: Ground, mac: str) -> None:
    ground.promise(ground.network, OTHER, "192.168.77.99")
    reserve(ground, mac, "192.168.77.20", "fd77::120")

    ground.hypervisor.remove_reservation(ground.network, mac)
    ground.hypervisor.remove_reservation(ground.network, mac)
    left = ground.promises(ground.network)
    ground.hypervisor.remove_reservation(ground.network, OTHER)

    assert left == {"192.168.77.99": OTHER}


def test_an_address_promised_to_another_card_is_refused_and_nothing_is_changed(
    ground: Ground, mac: str
) -> None:
    ground.promise(ground.network, OTHER, "192.168.77.99")
    reserve(ground, mac, "192.168.77.20")

    with pytest.raises(AddressTaken, match=rf"{ground.name}.*192\.168\.77\.99.*{OTHER}"):
        reserve(ground, mac, "192.168.77.99")

    kept = promised(ground, mac)
    ground.hypervisor.remove_reservation(ground.network, OTHER)
    assert kept == ["192.168.77.20"]


def test_two_servers_of_one_host_name_are_both_promised_their_addresses(
    ground: Ground, mac: str
) -> None:
    reserve(ground, OTHER, "192.168.77.99", name="twin")

    reserve(ground, mac, "192.168.77.20", name="twin")
    kept = promised(ground, mac)
    ground.hypervisor.remove_reservation(ground.network, OTHER)

    assert kept == ["192.168.77.20"]


@pytest.mark.parametrize("name", ["7up", 'it\'s <me> & "you"', "a b", ""])
def test_a_name_that_no_dhcp_takes_is_left_out(ground: Ground, mac: str, name: str) -> None:
    reserve(ground, mac, "192.168.77.20", name=name)

    assert promised(ground, mac) == ["192.168.77.20"]


def test_where_no_dhcp_would_give_an_address_it_is_not_promised(ground: Ground, mac: str) -> None:
    reserve(ground, mac, "192.168.77.20", network=ground.bare_network)
    reserve(ground, mac, "10.1.2.3")

    assert promised(ground, mac, ground.bare_network) == []
    assert promised(ground, mac) == []


def test_a_network_that_is_not_there_can_forget_but_not_promise(ground: Ground, mac: str) -> None:
    ground.hypervisor.remove_reservation("no-such-net", mac)

    with pytest.raises(RemoteFailed, match="no-such-net") as told:
        reserve(ground, mac, "192.168.77.20", network="no-such-net")

    assert told.value.host == ground.name
    assert told.value.hint


def test_an_address_is_spoken_for_by_whomever_it_is_promised_to(ground: Ground, mac: str) -> None:
    ground.promise(ground.network, OTHER, "192.168.77.99")
    reserve(ground, mac, "192.168.77.20", "fd77::120")

    found = ground.hypervisor.spoken_for(ground.network)
    ground.hypervisor.remove_reservation(ground.network, OTHER)

    assert found == {"192.168.77.99": OTHER, "192.168.77.20": mac, "fd77::120": mac}
    assert ground.hypervisor.spoken_for("no-such-net") == {}
