"""Whatever bytes an inventory has, what is wrong is told; there is never a traceback."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.inventories import problems_of
from vmctl.adapters import inventory_keys as keys

EXAMPLE = (Path(__file__).parents[2] / "inventory.example.yaml").read_text(encoding="utf-8")
BARE = "\n".join(line for line in EXAMPLE.splitlines() if not line.lstrip().startswith("#")) + "\n"
TOLD = re.compile(r"inventory\.yaml:([1-9][0-9]*): \S.*")

quick = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
few = settings(quick, max_examples=100)  # trees are slow to draw

WORDS = sorted(
    {
        *keys.SECTIONS,
        *keys.HOST,
        *keys.GROUP,
        *keys.NETWORK,
        *keys.POOL,
        *keys.SOURCE,
        *keys.AMOUNTS,
        *keys.RATIOS,
        *keys.AGGREGATE,
        *keys.SCHEDULER,
    }
)
PIECES = [
    *WORDS,
    ": ",
    "- ",
    "\n",
    "  ",
    "\t",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "? ",
    "| ",
    "> ",
    "!!set ",
    "!x ",
    "<<: ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "# ",
    "'",
    '"',
    "\\x",
    ",",
    "no",
    "~",
    "010",
    "0x1F",
    "1:30",
    ".nan",
    "-.inf",
    "2024-01-01",
    "1e999",
    "9" * 40,
    "kvm[01:20]",
    "kvm[3:1]",
    "{n}",
    "{n9}",
    "10.0.0.0/24",
    "fd00::/64",
    "::",
    "4GiB",
    "\u2028",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.binary(max_size=8),
    st.text(max_size=12),
    st.sampled_from([piece for piece in PIECES if piece.strip()]),
)
NAMES = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(["kvm1", "kvm[1:3]", "a", "lan"]),
    st.integers(),
    st.booleans(),
    st.none(),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=5)),
    max_leaves=25,
)


def is_told(content: str | bytes) -> None:
    lines = (content if isinstance(content, str) else content.decode("latin1")).count("\n") + 1
    for problem in problems_of(content if isinstance(content, bytes) else content.encode()):
        told = TOLD.fullmatch(problem)
        assert told, problem
        assert int(told[1]) <= lines + 1


@quick
@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbfhosts: {}\n")
@example(b"\xfe\xff\x00h")
def test_any_bytes(content: bytes) -> None:
    is_told(content)


@quick
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
@example("hosts: &a {kvm1: *a}")
@example("&a [*a]")
@example("? ? a")
@example("hosts: {kvm1: !!python/name:os.system }")
def test_any_words_of_yaml(content: str) -> None:
    is_told(content)


@quick
@given(st.integers(0, len(BARE)), st.integers(0, 40), st.sampled_from(PIECES))
def test_any_damage_to_a_good_inventory(start: int, length: int, piece: str) -> None:
    is_told(BARE[:start] + piece + BARE[start + length :])


@few
@given(st.dictionaries(st.sampled_from(keys.SECTIONS), st.dictionaries(NAMES, TREES, max_size=4)))
@example({"hosts": {"kvm1": {"port": float("nan"), "zone": True, "labels": {1: [2]}}}})
def test_any_tree_of_values(tree: dict[str, object]) -> None:
    is_told(yaml.safe_dump(tree, allow_unicode=True))


HOST_TREES = st.dictionaries(
    st.sampled_from(sorted({*keys.HOST, *keys.NETWORK, "hosts"})), TREES, max_size=4
)


@few
@given(
    st.fixed_dictionaries(
        {
            "defaults": HOST_TREES,
            "groups": st.fixed_dictionaries({"a": HOST_TREES}),
            "hosts": st.fixed_dictionaries({"kvm1": HOST_TREES, "kvm[2:4]": HOST_TREES}),
            "networks": st.fixed_dictionaries({"lan": HOST_TREES}),
            "aggregates": st.fixed_dictionaries({"ssd": HOST_TREES}),
            "scheduler": HOST_TREES,
        }
    )
)
def test_any_value_of_any_key(tree: dict[str, object]) -> None:
    is_told(yaml.safe_dump(tree, allow_unicode=True))


@quick
@given(st.data())
def test_a_good_inventory_without_any_of_its_lines(data: st.DataObject) -> None:
    lines = BARE.splitlines(keepends=True)
    gone = data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=6))

    is_told("".join(line for at, line in enumerate(lines) if at not in gone))
