from __future__ import annotations

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.scheduling import a_fleet, a_host, a_request
from vmctl.errors import UsageError
from vmctl.plugins import filters_for, weighers_for
from vmctl.scheduler.engine import place
from vmctl.scheduler.filters import FILTERS
from vmctl.scheduler.policy import Policy
from vmctl.scheduler.weighers import WEIGHERS

DOCS = Path(__file__).parents[2] / "docs" / "scheduler.md"


def a_point(name: str, value: str, group: str = "vmctl.filters") -> EntryPoint:
    return EntryPoint(name=name, value=value, group=group)


@pytest.fixture
def documented(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The plug-in that docs/scheduler.md shows, as a module that can be imported."""
    text = DOCS.read_text()
    (source,) = re.findall(r"```python\n# quiet_hours\.py\n(.*?)```", text, re.DOTALL)
    module = ModuleType("quiet_hours")
    exec(source, module.__dict__)  # noqa: S102 -- the example is to be run
    monkeypatch.setitem(sys.modules, "quiet_hours", module)
    return module


def test_the_documented_plug_in_works(documented: ModuleType) -> None:
    assert documented
    points = [a_point("NotNoisy", "quiet_hours:not_noisy")]
    weighing = [a_point("Quiet", "quiet_hours:quiet", "vmctl.weighers")]
    policy = Policy(filters=("Ram", "NotNoisy"), weighers={"Quiet": 2.0})
    fleet = a_fleet(
        a_host("kvm1", labels={"noise": "high"}),
        a_host("kvm2", labels={"noise": "40"}),
        a_host("kvm3", labels={"noise": "30"}),
    )

    placement = place(
        a_request(),
        fleet,
        policy,
        filters=filters_for(policy, points),
        weighers=weighers_for(policy, weighing),
    )

    assert [choice.host for choice in placement.choices] == ["kvm3"]
    assert placement.verdicts[0].filter == "NotNoisy"


def test_only_what_the_policy_names_is_loaded() -> None:
    points = [a_point("Boom", "no_such_module:at_all")]

    assert filters_for(Policy(), points) == FILTERS
    assert weighers_for(Policy(), points) == WEIGHERS


def test_a_filter_that_cannot_be_loaded_refuses_every_host() -> None:
    policy = Policy(filters=("Boom",))

    placement = place(
        a_request(),
        a_fleet(a_host("kvm1")),
        policy,
        filters=filters_for(policy, [a_point("Boom", "no_such_module:at_all")]),
    )

    (verdict,) = placement.verdicts
    assert verdict.filter == "Boom"
    assert verdict.refusal is not None
    assert verdict.refusal.reason == (
        "the plug-in cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"
    )


def test_a_weigher_that_cannot_be_loaded_refuses_every_host() -> None:
    policy = Policy(weighers={"Boom": 1.0})

    placement = place(
        a_request(),
        a_fleet(a_host("kvm1"), a_host("kvm2")),
        policy,
        weighers=weighers_for(policy, [a_point("Boom", "no_such_module:at_all")]),
    )

    assert placement.failed is not None
    assert [verdict.filter for verdict in placement.verdicts] == ["Boom", "Boom"]


def test_a_plug_in_may_not_take_a_built_in_name() -> None:
    points = [a_point("Ram", "json:loads")]

    with pytest.raises(UsageError, match="calls itself Ram, which is built in"):
        filters_for(Policy(), points)


def test_two_plug_ins_may_not_share_a_name() -> None:
    points = [a_point("Mine", "json:loads"), a_point("Mine", "json:dumps")]

    with pytest.raises(UsageError, match="two plug-ins call themselves Mine"):
        filters_for(Policy(filters=("Mine",)), points)


def test_a_name_that_no_plug_in_bears_is_an_error() -> None:
    policy = Policy(filters=("Mine",))

    with pytest.raises(UsageError, match="there is no filter named Mine"):
        place(a_request(), a_fleet(), policy, filters=filters_for(policy))
