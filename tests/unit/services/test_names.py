from __future__ import annotations

import pytest

from vmctl.domain.names import (
    hostname_of,
    hostname_problem,
    key_problem,
    name_problem,
    numbered,
    tag_problem,
    text_problem,
)


@pytest.mark.parametrize("name", ["a", "web-1", "A.b_c-9", "9lives", "x" * 100])
def test_a_good_name_is_taken(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "-a", ".a", "_a", "a b", "a/b", "a\n", "ä", "x" * 101, "a;b", "$(a)", "٣", "<a>", "a'b"],
)
def test_a_bad_name_is_refused_with_the_rule(name: str) -> None:
    problem = name_problem(name)

    assert problem is not None
    assert "1 to 100" in problem


def test_several_servers_are_numbered_from_one() -> None:
    assert numbered("web", 1) == ("web",)
    assert numbered("web", 3) == ("web-1", "web-2", "web-3")


@pytest.mark.parametrize(
    ("name", "hostname"),
    [("web-1", "web-1"), ("a_b", "a-b"), ("a..b", "a.b"), ("9._-", "9"), ("x" * 80, "x" * 63)],
)
def test_every_name_makes_a_hostname(name: str, hostname: str) -> None:
    assert hostname_of(name) == hostname
    assert hostname_problem(hostname_of(name)) is None


@pytest.mark.parametrize("hostname", ["-a", "a-", "a_b", "a" * 64, "a..b", "", "a b"])
def test_a_bad_hostname_is_refused(hostname: str) -> None:
    assert hostname_problem(hostname) is not None


def test_properties_and_tags_are_held_to_openstacks_rules() -> None:
    assert key_problem("--property", "a:b c.d") is None
    assert key_problem("--property", "a=b") is not None
    assert key_problem("--property", "") is not None
    assert text_problem("--property", "x" * 255) is None
    assert text_problem("--property", "x" * 256) is not None
    assert text_problem("--property", "a\0b") is not None
    assert text_problem("--property", "a\ud800") is not None
    assert tag_problem("web tier") is None
    assert tag_problem("a/b") is not None
    assert tag_problem("a,b") is not None
    assert tag_problem("x" * 61) is not None
