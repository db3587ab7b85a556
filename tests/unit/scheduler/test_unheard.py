from __future__ import annotations

from tests.support.scheduling import a_flavor, a_request
from vmctl.scheduler.policy import DEFAULT_FILTERS, Policy
from vmctl.scheduler.unheard import unheard

EVERYTHING = a_request(
    a_flavor(
        extra_specs={
            "capabilities:tier": "gold",
            "label:rack": "r1",
            "hw:cpu_policy": "dedicated",
            "aggregate_instance_extra_specs:ssd": "true",
        }
    ),
    availability_zone="a",
    networks=("lan",),
    pool="fast",
    hints={"same_host": "s1", "different_host": [], "query": "[]", "group": "g"},
)


def test_what_no_filter_listens_to_is_said() -> None:
    assert unheard(EVERYTHING, Policy()) == (
        "the hint same_host is not judged: the policy does not name the filter SameHost",
        "the hint query is not judged: the policy does not name the filter Json",
        "the extra spec label:rack is not judged: the policy does not name the filter Label",
        (
            "the extra spec aggregate_instance_extra_specs:ssd is not judged: "
            "the policy does not name the filter AggregateInstanceExtraSpecs"
        ),
        "the hint group is not known",
    )


def test_what_a_filter_listens_to_is_not_said() -> None:
    more = (*DEFAULT_FILTERS, "SameHost", "Json", "Label", "AggregateInstanceExtraSpecs")

    assert unheard(EVERYTHING, Policy(filters=more)) == ("the hint group is not known",)
    assert unheard(a_request(), Policy(filters=())) == ()


def test_a_forced_host_skips_the_filters_on_purpose() -> None:
    assert unheard(a_request(pool="fast", force_host="kvm1"), Policy(filters=())) == ()


def test_labels_zones_pools_and_networks_may_go_unheard_too() -> None:
    request = a_request(
        availability_zone="a", networks=("lan",), pool="fast", labels={"rack": "r1"}
    )

    said = [words.partition(" is not")[0] for words in unheard(request, Policy(filters=()))]

    assert said == ["the availability zone", "the network", "the pool", "the label"]
