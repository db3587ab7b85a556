"""The operator's own ssh configuration, resolved by `ssh -G`, as one value for both ssh stacks.

Only OpenSSH itself reads its files rightly (Include, Match, HostKeyAlias, UserKnownHostsFile), so
it is asked once for each hop, and nobody reads the files a second time.
"""

from __future__ import annotations

import os
import pwd
import re
import socket
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from vmctl.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.domain.host import Host

_SECONDS = 10
_JUMPS = 8
_MANY = frozenset({"identityfile", "certificatefile"})
_JUMP = re.compile(r"(?:(?P<user>.+)@)?(?P<host>\[[^\]]+\]|[^:@]+)(?::(?P<port>\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One sshd on the way to a host, with everything that a client needs to know to enter it."""

    alias: str
    """The word that ssh is given, by which its configuration was found."""
    hostname: str
    port: int = 22
    user: str = "root"
    config: str | None = None
    identity_files: tuple[str, ...] = ()
    certificate_files: tuple[str, ...] = ()
    identities_only: bool = False
    agent: str | None = None
    """The socket of the agent that may be asked, if any."""
    known_hosts: tuple[str, ...] = ()
    """Files in the order in which they are read; new keys go to the first."""
    hash_known_hosts: bool = False
    revoked_keys: str | None = None
    host_key_alias: str | None = None
    host_key: tuple[str, ...] = ()
    """Fingerprints; where there are any, no file counts."""
    proxy_command: str | None = None
    bind_address: str | None = None
    family: str = "any"
    ciphers: tuple[str, ...] = ()
    """Those that may be used, the most wanted first; none where ssh did not say."""

    @property
    def key_name(self) -> str:
        """The name by which known_hosts knows this sshd."""
        if self.host_key_alias:
            return self.host_key_alias
        name = self.hostname.lower()
        return name if self.port == 22 else f"[{name}]:{self.port}"

    @property
    def shown(self) -> str:
        """How a message names it."""
        port = "" if self.port == 22 else f" port {self.port}"
        return f"{self.user}@{self.hostname}{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The hops that lead to a host; the host itself is the last."""

    hops: tuple[Hop, ...]

    @property
    def target(self) -> Hop:
        """The hop that is the host."""
        return self.hops[-1]

    @property
    def jumps(self) -> tuple[Hop, ...]:
        """The hops before it, the nearest to us first."""
        return self.hops[:-1]


Ask: TypeAlias = "Callable[[tuple[str, ...]], str]"
"""Answers as `ssh -G` does."""


def ask_ssh(words: tuple[str, ...]) -> str:
    """Return what `ssh -G` says for these words; raises ConfigRefused."""
    try:
        done = subprocess.run(
            ["ssh", "-G", *words],
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise ConfigRefused("there is no ssh here: install OpenSSH's client") from None
    except subprocess.TimeoutExpired:
        raise ConfigRefused(f"ssh -G did not end within {_SECONDS} s") from None
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if not line.startswith("Pseudo-terminal")]
        raise ConfigRefused(said[0] if said else f"ssh -G ended with {done.returncode}")
    return done.stdout


class ConfigRefused(Exception):
    """The local ssh does not accept its configuration, or is not there."""


def resolve(host: Host, ask: Ask = ask_ssh) -> Route:
    """Return the way to a host: its inventory's word before the ssh configuration's."""
    words: list[str] = []
    if host.user is not None:
        words += ["-l", host.user]
    if host.port is not None:
        words += ["-p", str(host.port)]
    config = _own(host.ssh_config)
    try:
        hop, jumps = _hop(host.address, config, tuple(words), ask)
        hop = replace(hop, host_key=host.host_key)
        if host.identity_file is not None:
            own = _own(host.identity_file)
            hop = replace(hop, identity_files=(own or "",), identities_only=True)
        shared = _own(host.known_hosts)
        if shared is not None:
            hop = replace(hop, known_hosts=(shared,), hash_known_hosts=False)
        before = _chain(jumps, config, ask, depth=0)
    except ConfigRefused as refused:
        raise HostError(
            host.name,
            f"{host.name}: the ssh configuration cannot be used: {refused}",
            hint=f"see what `ssh -G {host.address}` says",
            reason="ssh-config",
        ) from None
    if shared is not None:
        # A team's file may hold the jump hosts as well; what ssh knows of them counts on.
        before = tuple(replace(j, known_hosts=(shared, *j.known_hosts)) for j in before)
    return Route(hops=(*before, hop))


def parse_config(output: str) -> dict[str, list[str]]:
    """Return what `ssh -G` printed: the values of each keyword, in order."""
    found: dict[str, list[str]] = {}
    for line in output.splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword.lower(), []).append(value.strip())
    return found


def parse_jumps(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each jump of a ProxyJump as the word and the options that ssh gets for it."""
    jumps = []
    for part in text.split(","):
        word = part.strip().removeprefix("ssh://")
        match = _JUMP.fullmatch(word)
        if match is None:
            raise ConfigRefused(f"ProxyJump {part!r} is not user@host:port")
        options: list[str] = []
        if match["user"]:
            options += ["-l", match["user"]]
        if match["port"]:
            options += ["-p", match["port"]]
        jumps.append((match["host"].strip("[]"), tuple(options)))
    return tuple(jumps)


def _chain(text: str | None, config: str | None, ask: Ask, *, depth: int) -> tuple[Hop, ...]:
    if text is None:
        return ()
    hops: list[Hop] = []
    for word, options in parse_jumps(text):
        if depth + len(hops) >= _JUMPS:
            raise ConfigRefused(f"more than {_JUMPS} jumps: ProxyJump leads in a circle")
        hop, own = _hop(word, config, options, ask)
        # The first jump is reached as its own configuration says, the others through the first.
        if not hops:
            hops += _chain(own, config, ask, depth=depth + 1)
        hops.append(hop)
    return tuple(hops)


def _hop(
    alias: str, config: str | None, options: tuple[str, ...], ask: Ask
) -> tuple[Hop, str | None]:
    chosen = ("-F", config) if config else ()
    found = parse_config(ask((*chosen, *options, "--", alias)))
    return hop_of(alias, config, found, os.environ), _unless_none(found, "proxyjump")


def hop_of(
    alias: str, config: str | None, found: Mapping[str, list[str]], environ: Mapping[str, str]
) -> Hop:
    """Return the hop that the output of `ssh -G` describes."""

    def one(keyword: str, otherwise: str = "") -> str:
        return found[keyword][0] if found.get(keyword) else otherwise

    account = pwd.getpwuid(os.getuid())
    tokens = {
        "%": "%",
        "h": one("hostname", alias),
        "n": alias,
        "p": one("port", "22"),
        "r": one("user", account.pw_name),
        "u": account.pw_name,
        "d": account.pw_dir,
        "i": str(os.getuid()),
        "k": one("hostkeyalias") or alias,
        "l": socket.gethostname(),
        "L": socket.gethostname().partition(".")[0],
    }

    def paths(keyword: str) -> tuple[str, ...]:
        values = found.get(keyword, [])
        words = values if keyword in _MANY else _paths(values)
        return tuple(_expand(word, tokens, environ) for word in words if word.lower() != "none")

    command = _unless_none(found, "proxycommand")
    revoked = paths("revokedhostkeys")
    return Hop(
        alias=alias,
        hostname=tokens["h"],
        port=int(tokens["p"]),
        user=tokens["r"],
        config=config,
        identity_files=paths("identityfile"),
        certificate_files=paths("certificatefile"),
        identities_only=one("identitiesonly") == "yes",
        agent=_agent(one("identityagent"), tokens, environ),
        known_hosts=paths("userknownhostsfile") + paths("globalknownhostsfile"),
        hash_known_hosts=one("hashknownhosts") == "yes",
        revoked_keys=revoked[0] if revoked else None,
        host_key_alias=one("hostkeyalias") or None,
        proxy_command=None if command is None else _percent(command, tokens),
        bind_address=one("bindaddress") or None,
        family=one("addressfamily", "any"),
        ciphers=tuple(filter(None, one("ciphers").split(","))),
    )


def _unless_none(found: Mapping[str, list[str]], keyword: str) -> str | None:
    values = found.get(keyword)
    return values[0] if values and values[0].lower() != "none" else None


def _paths(values: list[str]) -> list[str]:
    """Split a line of paths; ssh prints them without quotes, so blanks within one are guessed."""
    words: list[str] = []
    for word in " ".join(values).split(" "):
        if words and not word.startswith(("/", "~", "%", "$")) and word.lower() != "none":
            words[-1] += f" {word}"
        elif word:
            words.append(word)
    return words


def _agent(value: str, tokens: Mapping[str, str], environ: Mapping[str, str]) -> str | None:
    if value.lower() == "none":
        return None
    if value in ("", "SSH_AUTH_SOCK"):
        return environ.get("SSH_AUTH_SOCK") or None
    if value.startswith("$") and not value.startswith("${"):
        return environ.get(value[1:]) or None
    return _expand(value, tokens, environ)


def _expand(path: str, tokens: Mapping[str, str], environ: Mapping[str, str]) -> str:
    path = re.sub(r"\$\{(\w+)\}", lambda m: environ.get(m[1], ""), path)
    path = _percent(path, tokens)
    # ssh takes the home of the account, whatever HOME says.
    return tokens["d"] + path[1:] if path == "~" or path.startswith("~/") else path


def _percent(text: str, tokens: Mapping[str, str]) -> str:
    return re.sub(r"%(.)", lambda m: tokens.get(m[1], m[0]), text)


def _own(path: str | None) -> str | None:
    return None if path is None else os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111
