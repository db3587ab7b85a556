"""Creates by the product's own commands on fake hosts: what is there already, and what is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.sample import Ran
from tests.support.fake_app import FakeNeighbours, on_fakes
from tests.support.images import a_qcow2
from tests.support.product import Product
from tests.support.stage import Stage, a_stage, on_stage
from vmctl.errors import RemoteFailed

WORDS = ("server", "create", "--flavor", "m1.nano", "--image", "mini", "--network", "lan")


@dataclass
class Site:
    stage: Stage
    product: Product

    def create(self, *words: str) -> Ran:
        return self.product.run(*WORDS, *words)

    def servers(self) -> dict[str, str]:
        rows: list[dict[str, Any]] = self.product.data("server", "list")
        return {row["Name"]: row["Status"] for row in rows}

    @contextmanager
    def broken(self, words: str, times: int = 99) -> Iterator[None]:
        """Have the first effects that are named so fail."""
        left = times

        def fail(effect: str) -> None:
            nonlocal left
            if words in effect and effect.endswith("before") and left:
                left -= 1
                raise RemoteFailed(effect.partition(" ")[0], f"{effect} was made to fail")

        self.stage.fleet.on_effect = fail
        yield
        self.stage.fleet.on_effect = lambda _: None


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    a_stage(tmp_path)
    (tmp_path / "disk").write_bytes(a_qcow2(size=1 << 20))
    with on_stage(tmp_path) as stage:
        product = on_fakes(stage)
        product.ok("image", "create", "mini", "--file", str(tmp_path / "disk"))
        product.ok("flavor", "create", "--ram", "128", "--disk", "1", "m1.nano")
        yield Site(stage, product)


def orphaned(site: Site, name: str) -> str:
    """Have a create of that name on record that nobody is at; give its operation."""

    child = os.fork()
    if child == 0:
        site.stage.fleet.on_effect = lambda _: os._exit(9)
        site.create(name)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    (row,) = site.product.data("operation", "list")
    return str(row["ID"])


def test_a_server_is_made_and_shown(site: Site) -> None:
    made = site.create("web")

    assert made.code == 0, made
    assert "| status " in made.out
    assert site.servers() == {"web": "ACTIVE"}


def test_the_same_key_makes_what_is_missing_of_the_same_create(site: Site) -> None:
    words = ("--min", "3", "--idempotency-key", "k", "web")
    with site.broken(" upload ", 4):
        first = site.create(*words)
    before = site.servers()
    again = site.create(*words)

    assert first.code == 14, first
    assert list(before.values()).count("ACTIVE") < 3
    assert again.code == 0, again
    assert site.servers() == dict.fromkeys(("web-1", "web-2", "web-3"), "ACTIVE")
    third = site.create(*words, "-f", "value", "-c", "Name")
    assert (third.code, third.out.split()) == (0, ["web-1", "web-2", "web-3"])


def test_the_same_key_of_another_request_is_refused(site: Site) -> None:
    site.create("--idempotency-key", "k", "web")

    other = site.create("--idempotency-key", "k", "--tag", "x", "web")

    assert other.code == 2
    assert "k was used for another request" in other.err


@pytest.mark.parametrize("words", [("--if-not-exists",), ("--idempotency-key", "k")])
def test_one_that_is_there_is_waited_for_as_was_asked(site: Site, words: tuple[str, ...]) -> None:
    assert site.create(*words, "web").code == 0

    late = site.create(*words, "--wait-for", "ssh", "--timeout", "1", "web")
    shown = site.product.data("server", "show", "web")
    FakeNeighbours.greeted |= {one for each in shown["addresses"].values() for one in each}
    with site.stage.fleet.state(shown["vmctl:host"]) as state:
        machine = state["machines"][shown["id"]]
        machine["seen"] = [one for each in shown["addresses"].values() for one in each]

    assert late.code == 12, late


def test_a_time_limit_for_no_wait_is_refused(site: Site) -> None:
    refused = site.create("--timeout", "5", "web")

    assert (refused.code, "add --wait-for ip" in refused.err) == (2, True)
    assert site.create("--timeout", "5", "--if-not-exists", "web").code == 0


def test_one_that_is_half_made_is_nothing_to_go_by(site: Site) -> None:
    operation = orphaned(site, "web")

    refused = site.create("--if-not-exists", "web")
    undone = site.product.run("operation", "unwind", operation)
    made = site.create("--if-not-exists", "web")

    assert refused.code == 1
    assert "server web is half made" in refused.err
    assert f"vmctl operation resume {operation}" in refused.err
    assert undone.code == 0
    assert (made.code, site.servers()) == (0, {"web": "ACTIVE"})


def test_hints_that_nobody_hears_are_warned_of(site: Site) -> None:
    made = site.create("--hint", "frobnicate=1", "web")

    assert made.code == 0
    assert "warning: the hint frobnicate is not known" in made.err


def test_what_is_wrong_with_the_words_is_tried_on_no_host(site: Site) -> None:
    site.product.ok("flavor", "create", "--ram", "128", "--property", "hw:cpu_realtime=yes", "rt")

    refused = site.product.run(
        "server", "create", "--flavor", "rt", "--image", "mini", "--dry-run", "web"
    )

    assert refused.code == 2
    assert "hw:cpu_realtime is not supported" in refused.err


def test_only_one_thing_comes_from_stdin(site: Site) -> None:
    refused = site.create("--user-data", "-", "--file", "/a=-", "web")

    assert refused.code == 2
    assert "only one can come from stdin" in refused.err
