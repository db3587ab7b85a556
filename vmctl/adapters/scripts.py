"""How a script reaches a host: the words of one command, the bytes of its stdin, what sudo says.

The login shell may be any (fish and csh quote unlike sh), so the command holds nothing but fixed
words. The script itself goes by stdin: no other user of the host sees it in a list of processes.
"""

from __future__ import annotations

import base64
import math
import re

from vmctl.errors import HostError, LoginRefused, RemoteFailed

HEAD = b"LC_ALL=C; PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export LC_ALL PATH\n"
OUTPUT_LIMIT = 8 * 1024 * 1024
"""Bytes of stdout and stderr together, after which a command is cut off."""


def command(*, become: bool, limit: float, script: bytes, more: bool) -> str:
    """Return the command line for a script; `more` says that stdin goes on after the script.

    The host's own `timeout` ends what a closed connection would leave running. It is set later
    than ours, so that it is always we who tell that the limit has passed.
    """
    # Only dd reads no byte too many; where nothing follows, cat is quicker.
    read = f"dd bs=1 count={len(script)} 2>/dev/null" if more else "cat"
    return _bounded(read, become=become, limit=limit)


def spoken(*, become: bool, limit: float, script: bytes) -> str:
    """Return the command line for a script that is in its words, so that all of stdin is its own.

    Whoever is on the host may see it in a list of processes.
    """
    words = base64.b64encode(script).decode()
    return _bounded(f"echo {words} | base64 -d", become=become, limit=limit)


def _bounded(read: str, *, become: bool, limit: float) -> str:
    bounded = f"""timeout -k 2 {math.ceil(limit) + 1} sh -c 'eval "$({read})"'"""
    return f"env LC_ALL=C sudo -n {bounded}" if become else bounded


def encode(script: str) -> bytes:
    """Return the bytes that are sent for a script."""
    return HEAD + script.encode()


_SUDO = re.compile(
    rb"^(?:sudo: (?:a password is required|a terminal is required|no tty present"
    rb"|sorry, you must have a tty|[^\n]*not in the sudoers|effective uid"
    # This one is but a warning, and the command runs.
    rb"|unable to (?!resolve host))"
    rb"|Sorry, user [^\n]* (?:is not allowed|may not run)"
    rb"|[^\n]* is not in the sudoers file"
    rb"|env: .?sudo.?: No such file)",
    re.MULTILINE,
)


def sudo_refusal(host: str, user: str, exit_code: int, stderr: bytes) -> HostError | None:
    """Return the error that it means if sudo let us do nothing; None if the script ran."""
    if exit_code not in (1, 126, 127) or not _SUDO.search(stderr):
        return None
    if b"No such file" in stderr:
        return RemoteFailed(
            host,
            f"{host}: sudo is not installed there, and the inventory says `become: sudo`",
            hint=f"install sudo on {host}, or let {user} join the group libvirt and say"
            " `become: none`",
            reason="sudo",
        )
    return LoginRefused(
        host,
        f"{host}: sudo lets {user} do nothing without a password",
        hint=f"on {host}, as root: echo '{user} ALL=(root) NOPASSWD: ALL'"
        f" > /etc/sudoers.d/vmctl && chmod 440 /etc/sudoers.d/vmctl",
        reason="sudo",
    )
