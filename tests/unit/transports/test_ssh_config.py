"""What `ssh -G` printed, recorded, becomes the hops of a route."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from vmctl.adapters.ssh_config import (
    ConfigRefused,
    Hop,
    Route,
    hop_of,
    parse_config,
    parse_jumps,
    resolve,
)
from vmctl.domain.host import Host
from vmctl.errors import HostError

RECORDED = Path(__file__).parents[2] / "golden" / "ssh_config"
HOME = pwd.getpwuid(os.getuid()).pw_dir


def recorded(name: str, **environ: str) -> Hop:
    text = (RECORDED / f"{name}.txt").read_text()
    return hop_of(name, None, parse_config(text), environ)


def asking(answers: dict[str, str]) -> Callable[[tuple[str, ...]], str]:
    """Stand in for ssh: each alias has its own few lines."""

    def ask(words: tuple[str, ...]) -> str:
        alias = words[-1]
        options = dict(zip(words[:-2:2], words[1:-2:2], strict=True))
        own = answers.get(alias, "")
        given = ("-l", "user"), ("-p", "port")
        over = "".join(f"{key} {options[flag]}\n" for flag, key in given if flag in options)
        return over + own + f"hostname {alias}\nuser me\nport 22\n"

    return ask


def route(answers: dict[str, str], **host: object) -> Route:
    return resolve(Host(name="h", address="h", **host), asking(answers))  # type: ignore[arg-type]  # each test gives what it is about


def test_everything_that_both_stacks_need_is_read() -> None:
    hop = recorded("alias")

    assert (hop.hostname, hop.port, hop.user) == ("Node7.Example.net".lower(), 2222, "ops")
    assert hop.host_key_alias == "seven"
    assert hop.key_name == "seven"
    assert hop.identities_only
    assert hop.certificate_files == (f"{HOME}/.ssh/id-cert.pub",)


def test_tokens_and_tildes_in_paths_are_expanded_as_ssh_does() -> None:
    hop = recorded("alias")

    assert hop.identity_files == (
        f"{HOME}/.ssh/id_node7.example.net",
        f"{HOME}/my keys/id",
    )


def test_a_known_hosts_path_with_a_blank_in_it_stays_one_path() -> None:
    assert recorded("alias").known_hosts[:2] == (
        "/srv/shared keys/known_hosts",
        "/home/op/.ssh/known_hosts",
    )


def test_a_proxy_command_gets_its_host_and_port() -> None:
    hop = recorded("proxied")

    assert hop.proxy_command == 'nc -X 5 "10.0.0.9" 22'
    assert hop.hash_known_hosts
    assert (hop.bind_address, hop.family, hop.revoked_keys) == (
        "10.0.0.1",
        "inet",
        "/etc/ssh/revoked",
    )


@pytest.mark.parametrize(
    ("name", "environ", "agent"),
    [
        ("alias", {"SSH_AUTH_SOCK": "/run/other"}, "/home/op/agent.sock"),
        ("proxied", {"SSH_AUTH_SOCK": "/run/other"}, None),
        ("bare", {"SSH_AUTH_SOCK": "/run/other"}, "/run/other"),
        ("bare", {}, None),
    ],
    ids=["named", "none", "of the session", "no session's"],
)
def test_the_agent_is_the_one_that_the_configuration_allows(
    name: str, environ: dict[str, str], agent: str | None
) -> None:
    assert recorded(name, **environ).agent == agent


def test_another_port_stands_in_the_name_that_known_hosts_has() -> None:
    assert Hop(alias="a", hostname="A.example", port=2222).key_name == "[a.example]:2222"
    assert Hop(alias="a", hostname="A.example").key_name == "a.example"


@pytest.mark.parametrize(
    ("text", "jumps"),
    [
        ("gate", (("gate", ()),)),
        ("root@gate:2200,middle", (("gate", ("-l", "root", "-p", "2200")), ("middle", ()))),
        ("ssh://a@b@[fd00::1]:22", (("fd00::1", ("-l", "a@b", "-p", "22")),)),
    ],
)
def test_a_proxy_jump_is_read_as_ssh_reads_it(text: str, jumps: object) -> None:
    assert parse_jumps(text) == jumps


def test_jumps_stand_before_the_host_each_with_its_own_configuration() -> None:
    found = route({"h": "proxyjump op@far,near\n", "far": "proxyjump gate\n"})

    assert [(hop.alias, hop.user) for hop in found.hops] == [
        ("gate", "me"),
        ("far", "op"),
        ("near", "me"),
        ("h", "me"),
    ]


def test_only_the_first_jump_is_reached_by_jumps_of_its_own() -> None:
    found = route({"h": "proxyjump far,near\n", "near": "proxyjump elsewhere\n"})

    assert [hop.alias for hop in found.hops] == ["far", "near", "h"]


def test_jumps_that_lead_in_a_circle_are_told() -> None:
    with pytest.raises(HostError, match="in a circle") as raised:
        route({"h": "proxyjump a\n", "a": "proxyjump b\n", "b": "proxyjump a\n"})

    assert raised.value.reason == "ssh-config"


def test_what_the_inventory_says_is_stronger() -> None:
    found = route(
        {"h": "identityfile ~/.ssh/id\nuserknownhostsfile /u\nproxyjump j\n"},
        user="root",
        port=2022,
        identity_file="/keys/one",
        known_hosts="/team/known_hosts",
    )

    assert (found.target.user, found.target.port) == ("root", 2022)
    assert found.target.identity_files == ("/keys/one",)
    assert found.target.identities_only
    assert found.target.known_hosts == ("/team/known_hosts",)


def test_the_inventorys_login_is_not_the_jump_hosts() -> None:
    found = route({"h": "proxyjump j\n"}, user="root", port=2022, identity_file="/keys/one")

    assert (found.jumps[0].user, found.jumps[0].port) == ("me", 22)
    assert found.jumps[0].identity_files == ()


def test_a_teams_known_hosts_may_hold_the_jump_host_too() -> None:
    found = route(
        {"h": "proxyjump j\n", "j": "userknownhostsfile /mine\n"}, known_hosts="/team/known_hosts"
    )

    assert found.jumps[0].known_hosts == ("/team/known_hosts", "/mine")


def test_a_refused_configuration_names_its_host_and_reason() -> None:
    def ask(_: tuple[str, ...]) -> str:
        raise ConfigRefused("config line 5: bad option")

    with pytest.raises(HostError, match=r"h: .*config line 5"):
        resolve(Host(name="h", address="h"), ask)


def test_the_real_ssh_is_asked_with_the_file_that_the_inventory_names(tmp_path: Path) -> None:
    config = tmp_path / "my config"
    config.write_text("Host h\n  HostName 192.0.2.7\n  ProxyJump none\n")

    found = resolve(Host(name="h", address="h", ssh_config=str(config), user="ops"))

    assert [hop.hostname for hop in found.hops] == ["192.0.2.7"]
    assert found.target.user == "ops"


def test_an_address_that_looks_like_an_option_is_none(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    with pytest.raises(HostError):
        resolve(Host(name="h", address=f"-oProxyCommand=touch {mark}"))

    assert not mark.exists()
