"""What may be said otherwise of a server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.servers import SPEC
from vmctl.domain.edits import Edits, differences, needs_host, too_many

HELD = replace(
    SPEC, tags=("blue", "old"), properties={"role": "web", "tier": "1"}, description="the shop"
)


def test_what_is_set_joins_what_is_there() -> None:
    new = Edits(tags=("new", "blue"), properties={"tier": "2", "x": ""}).on(HELD)

    assert new == replace(
        HELD, tags=("blue", "old", "new"), properties={"role": "web", "tier": "2", "x": ""}
    )


def test_what_is_dropped_need_not_be_there() -> None:
    new = Edits(drop_tags=("old", "none"), drop_properties=("role", "none")).on(HELD)

    assert (new.tags, new.properties) == (("blue",), {"tier": "1"})


def test_all_may_be_dropped_at_once() -> None:
    held = replace(HELD, availability_zone="az1")
    new = Edits(all_tags=True, all_properties=True, drop_description=True, drop_zone=True).on(held)

    assert (new.tags, new.properties, new.description) == ((), {}, None)
    assert new.availability_zone is None


def test_nothing_changes_nothing() -> None:
    assert Edits().on(HELD) == HELD
    assert differences(HELD, HELD) == {}
    assert Edits(tags=("blue",), properties={"role": "web"}, name=HELD.name).on(HELD) == HELD


def test_an_empty_text_is_a_text_and_off_is_said() -> None:
    new = Edits(description="", autostart=False).on(replace(HELD, autostart=True))

    assert (new.description, new.autostart) == ("", False)
    assert differences(replace(HELD, autostart=True), new) == {
        "description": ("the shop", ""),
        "autostart": (True, False),
    }


@pytest.mark.parametrize(
    ("edits", "needed"),
    [
        (Edits(name="other", tags=("t",), description="d", properties={"a": "b"}), ()),
        (Edits(hostname="other"), ("hostname",)),
        (Edits(autostart=True, hostname="other"), ("hostname", "autostart")),
    ],
)
def test_a_host_is_needed_for_what_it_does(edits: Edits, needed: tuple[str, ...]) -> None:
    assert needs_host(HELD, edits.on(HELD)) == needed


@pytest.mark.parametrize(
    ("edits", "word"),
    [
        (Edits(name="no/name"), "no server name"),
        (Edits(hostname="-x-"), "no hostname"),
        (Edits(tags=("a,b",)), "no tag"),
        (Edits(properties={"a=b": "c"}), "no key"),
        (Edits(properties={"a": "x" * 256}), "256 characters"),
        (Edits(description="\x1b[31m"), "control characters"),
    ],
)
def test_what_cannot_be_said_is_told(edits: Edits, word: str) -> None:
    (problem,) = edits.problems()

    assert word in problem


def test_there_is_an_end_to_tags_and_properties() -> None:
    tags = tuple(f"t{number}" for number in range(51))
    properties = {f"k{number}": "" for number in range(129)}

    assert (
        too_many(replace(HELD, tags=tags[:50], properties=dict(list(properties.items())[:128])))
        is None
    )
    assert "50 are allowed" in (too_many(Edits(tags=tags).on(HELD)) or "")
    assert "128 are allowed" in (too_many(Edits(properties=properties).on(HELD)) or "")
