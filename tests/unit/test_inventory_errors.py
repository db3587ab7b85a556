"""Everything an inventory can get wrong, with file and line; the table is a file of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.inventories import a_folder, an_inventory, problems_in, problems_of
from vmctl.errors import InventoryError, UsageError

GOLDEN = Path(__file__).parent.parent / "golden" / "inventory-errors.txt"


def cases() -> dict[str, tuple[str, list[str]]]:
    found = {}
    for block in GOLDEN.read_text(encoding="utf-8").split("=== ")[1:]:
        name, _, body = block.partition("\n")
        text, _, expected = body.rpartition("\n---\n")
        assert name not in found
        found[name] = (f"{text}\n", expected.splitlines())
    return found


@pytest.mark.parametrize(("text", "expected"), cases().values(), ids=cases())
def test_it_is_told_with_file_and_line(text: str, expected: list[str]) -> None:
    assert expected
    assert problems_of(text) == [f"inventory.yaml:{line}" for line in expected]


def test_all_of_it_is_one_usage_error() -> None:
    with pytest.raises(InventoryError) as caught:
        an_inventory("hosts: {kvm1: {port: 0}}\nnetwork: {}\n")

    assert isinstance(caught.value, UsageError)
    assert caught.value.exit_code == 2
    assert caught.value.message == "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"hosts:\n  kvm1: {user: \xff}\n", "2: byte 0xff is no UTF-8 text"),
        ("hosts: {}".encode("utf-16"), "1: byte 0xff is no UTF-8 text"),
        (
            b"hosts: {}\n\x00\x01",
            "2: a character stands here that YAML forbids: control characters are not allowed",
        ),
        (
            "hosts: {}\n# a\u2028b\n".encode(),
            "2: U+2028 ends a line in YAML and in no editor; take it out",
        ),
        (
            b"hosts:\r\n  a: {}\r  b: 1\n",
            "2: U+000D ends a line in YAML and in no editor; take it out",
        ),
        (b"hosts: " + b"[" * 100_000, "1: this is nested too deeply"),
        (b"hosts: " + b"{a: " * 100_000, "1: this is nested too deeply"),
        (b"hosts:\n" + b"- " * 100_000, "2: this is nested too deeply"),
        (b"? " * 100_000, "1: this is nested too deeply"),
    ],
    ids=[
        "latin1",
        "utf16",
        "binary",
        "separator",
        "carriage-return",
        "deep-list",
        "deep-mapping",
        "deep-block",
        "deep-key",
    ],
)
def test_what_is_no_yaml_is_told_like_the_rest(content: bytes, expected: str) -> None:
    assert problems_of(content) == [f"inventory.yaml:{expected}"]


def test_an_alias_bomb_costs_nothing() -> None:
    levels = [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 20)]

    problems = problems_of("\n".join(["x0: &x0 [lol]", *levels, "hosts: *x19", ""]))

    assert problems[0].startswith("inventory.yaml:1: unknown section 'x0'")
    assert len(problems) < 50


def test_one_mistake_in_the_defaults_is_told_once() -> None:
    problems = problems_of(
        """
        defaults: {networks: [lam]}
        hosts:
          kvm[1:50]:
        networks:
          lan: {source: {bridge: br0}}
        """
    )

    assert problems == ["inventory.yaml:1: networks: no network lam; did you mean lan?"]


def test_two_files_that_say_one_thing_are_told_with_both_places() -> None:
    problems = problems_in(
        {
            "inv/a.yaml": "defaults:\n  user: ops\nhosts:\n  kvm[1:3]:\n",
            "inv/b.yaml": "hosts:\n  kvm3:\ndefaults:\n  user: root\n",
            "inv/c.yaml": "networks: {lan: {source: {bridge: br0}}}\n",
            "inv/d.yaml": "networks: {lan: {source: {bridge: br1}}}\n",
        }
    )

    assert problems == [
        "inv/b.yaml:2: the host kvm3 is there already, at inv/a.yaml:4",
        "inv/b.yaml:4: 'user' is there already, at inv/a.yaml:2",
        "inv/d.yaml:1: network 'lan' is there already, at inv/c.yaml:1",
    ]


def test_errors_come_in_the_order_of_files_and_lines() -> None:
    problems = problems_in(
        {
            "b.yaml": "hosts:\n  kvm1: {port: x}\n",
            "a.yaml": "zones: {}\nhosts:\n  kvm1: {}\n",
        }
    )

    assert [one.split(": ")[0] for one in problems] == ["b.yaml:2", "a.yaml:1", "a.yaml:3"]


def test_a_policy_that_refuses_its_section_is_told_where_it_stands() -> None:
    def refuse(policy: object) -> list[str]:
        return [f"scheduler.filters: no such filter in {policy}", "scheduler: no good"]

    problems = problems_of("scheduler:\n  max_attempts: 2\n  filters: [RamFiler]\n", refuse)

    policy = "{'max_attempts': 2, 'filters': ['RamFiler']}"
    assert problems == [
        "inventory.yaml:1: scheduler: no good",
        f"inventory.yaml:3: scheduler.filters: no such filter in {policy}",
    ]


def test_a_policy_is_not_asked_about_a_section_that_is_not_there() -> None:
    inventory = a_folder({"a.yaml": "hosts: {}\n"}, lambda _: ["never"])

    assert inventory.scheduler == {}
