"""A fresh keypair, as OpenSSH's own tool makes it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from vmctl.errors import UsageError, VmctlError

_SECONDS = 30


def new_key() -> tuple[str, str]:
    """Make an ed25519 key and give its private and its public half.

    The tool writes files only: they lie in a folder that nobody else enters, and go at once.
    """
    with tempfile.TemporaryDirectory(prefix="vmctl-") as folder:
        path = Path(folder) / "key"
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
        try:
            subprocess.run(
                words, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=_SECONDS
            )
            return path.read_text(), path.with_suffix(".pub").read_text()
        except (OSError, subprocess.SubprocessError) as error:
            raise VmctlError(
                f"ssh-keygen made no key: {error}",
                hint="install OpenSSH's client here, or give a key by --public-key",
            ) from error


def write_private(path: str, key: str) -> None:
    """Write a private key where nothing is yet, readable to its owner alone."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    with os.fdopen(handle, "w") as file:
        file.write(key)


def read_text(path: str) -> str:
    """Read a small text file that the operator named."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
