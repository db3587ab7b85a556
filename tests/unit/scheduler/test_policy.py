from __future__ import annotations

import pytest

from vmctl.errors import UsageError
from vmctl.scheduler.filters import FILTERS
from vmctl.scheduler.policy import DEFAULT_FILTERS, DEFAULT_WEIGHERS, Options, Policy, policy_from


def test_no_settings_are_the_defaults() -> None:
    assert policy_from({}) == Policy()
    assert policy_from({}).filters == DEFAULT_FILTERS
    assert policy_from({}).weighers == DEFAULT_WEIGHERS
    assert set(DEFAULT_FILTERS) <= set(FILTERS)


def test_lists_replace_the_defaults_and_suffixes_may_be_given() -> None:
    policy = policy_from(
        {
            "filters": ["RamFilter", "Core"],
            "weighers": {"RAMWeigher": 2, "CPU": -0.5},
            "host_subset_size": 3,
            "max_attempts": 1,
            "tie": "order",
            "options": {"max_io_ops_per_host": 4, "isolated_hosts": ["kvm1"], "max_load": 3},
        }
    )

    assert policy == Policy(
        filters=("Ram", "Core"),
        weighers={"RAM": 2.0, "CPU": -0.5},
        host_subset_size=3,
        max_attempts=1,
        tie="order",
        options=Options(max_io_ops_per_host=4, isolated_hosts=("kvm1",), max_load=3),
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"filter": []}, "scheduler.filter: no such key"),
        ({"filters": "Ram"}, "scheduler.filters: must be a list of names, not 'Ram'"),
        ({"filters": [1]}, "scheduler.filters: must be a list of names, not [1]"),
        ({"filters": ["Ram", "RamFilter"]}, "scheduler.filters: Ram is named twice"),
        ({"weighers": ["RAM"]}, "scheduler.weighers: must map names to multipliers, not ['RAM']"),
        ({"weighers": {"RAM": "1"}}, "scheduler.weighers.RAM: must be a number, not '1'"),
        ({"weighers": {"RAM": True}}, "scheduler.weighers.RAM: must be a number, not True"),
        (
            {"weighers": {"RAM": float("inf")}},
            "scheduler.weighers.RAM: must be a number, not inf",
        ),
        (
            {"weighers": {"RAM": 1, "RAMWeigher": 1}},
            "scheduler.weighers: RAM is named twice",
        ),
        (
            {"host_subset_size": 0},
            "scheduler.host_subset_size: must be a whole number from 1 on, not 0",
        ),
        (
            {"max_attempts": True},
            "scheduler.max_attempts: must be a whole number from 1 on, not True",
        ),
        ({"tie": "random"}, "scheduler.tie: must be order or hash, not 'random'"),
        ({"options": []}, "scheduler.options: must map names to values, not []"),
        ({"options": {"ram": 1}}, "scheduler.options.ram: no such key"),
        (
            {"options": {"max_io_ops_per_host": 1.5}},
            "scheduler.options.max_io_ops_per_host: must be a whole number from 0 on, not 1.5",
        ),
        (
            {"options": {"max_sample_age": "60"}},
            "scheduler.options.max_sample_age: must be a number from 0 on, not '60'",
        ),
        (
            {"options": {"isolated_images": "a"}},
            "scheduler.options.isolated_images: must be a list of names, not 'a'",
        ),
        (
            {"options": {"restrict_isolated_hosts_to_isolated_images": 1}},
            (
                "scheduler.options.restrict_isolated_hosts_to_isolated_images: "
                "must be true or false, not 1"
            ),
        ),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        policy_from(settings, where="scheduler")

    assert caught.value.message == message


def test_all_errors_are_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        policy_from({"tie": 1, "max_attempts": 0, "filters": 3})

    assert len(caught.value.message.splitlines()) == 3
