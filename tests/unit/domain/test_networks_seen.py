"""Which addresses a server is said to have, when what was seen is not what was planned."""

from __future__ import annotations

import pytest

from vmctl.domain.server_line import networks_of, sources_of

MAC, OTHER = "52:54:00:00:00:01", "52:54:00:00:00:02"


def seen(*said: str) -> list[tuple[str, str, str]]:
    """What was seen of the card, as `ADDRESS SOURCE`."""
    found = []
    for one in said:
        address, source = one.split()
        found.append((MAC, address, source))
    return found


@pytest.mark.parametrize(
    ("held", "observed", "said"),
    [
        # Nobody has looked, or nobody has seen anything: it is what was planned.
        (["10.0.0.5"], [], ["10.0.0.5"]),
        # Nothing was planned: it is what was seen.
        ([], ["10.0.0.7 lease", "fd00::7 agent"], ["10.0.0.7", "fd00::7"]),
        # It has what it was to have, whatever else it has.
        (["10.0.0.5"], ["10.0.0.5 arp", "10.0.0.9 arp"], ["10.0.0.5"]),
        # It has another one in its place.
        (["10.0.0.5"], ["10.0.0.9 lease"], ["10.0.0.9"]),
        (["10.0.0.5"], ["10.0.0.9 lease", "10.0.0.8 arp"], ["10.0.0.9", "10.0.0.8"]),
        # A lease says what it was given, and the agent what it has.
        (["10.0.0.5"], ["10.0.0.5 lease", "10.0.0.9 agent"], ["10.0.0.9"]),
        ([], ["10.0.0.5 lease", "10.0.0.9 agent", "fd00::9 arp"], ["10.0.0.9", "fd00::9"]),
        # An address of the other family says nothing of it.
        (["10.0.0.5"], ["fd00::9 arp"], ["10.0.0.5"]),
        (["10.0.0.5", "fd00::5"], ["10.0.0.9 arp"], ["10.0.0.9", "fd00::5"]),
        # IPv6 addresses stand beside each other, and only the agent knows all of them.
        (["fd00::5"], ["fd00::9 arp"], ["fd00::5"]),
        (["fd00::5"], ["fd00::9 agent"], ["fd00::9"]),
        (["fd00::5"], ["fd00::9 agent", "fd00::5 agent"], ["fd00::5"]),
    ],
)
def test_a_server_has_what_it_was_seen_to_have(
    held: list[str], observed: list[str], said: list[str]
) -> None:
    networks = networks_of([("lan", MAC, held)], seen(*observed))

    assert networks == {"lan": said}


def test_what_another_card_has_is_not_its_own() -> None:
    cards = [("lan", MAC, ["10.0.0.5"]), ("back", OTHER, ["10.9.0.5"])]

    assert networks_of(cards, [(OTHER, "10.9.0.9", "lease")]) == {
        "lan": ["10.0.0.5"],
        "back": ["10.9.0.9"],
    }


def test_each_source_of_an_address_is_named_once() -> None:
    said = seen("10.0.0.5 lease", "10.0.0.5 arp", "10.0.0.5 lease", "fd00::5 agent")

    assert sources_of(said) == {"10.0.0.5": ["lease", "arp"], "fd00::5": ["agent"]}
