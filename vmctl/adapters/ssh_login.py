"""Logging in by key: which keys are offered, and in what order."""

from __future__ import annotations

import base64
import contextlib
import copy
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from paramiko import ECDSAKey, Ed25519Key, Message, PKey, RSAKey, SSHException
from paramiko.agent import AgentSSH
from paramiko.pkey import PublicBlob, UnknownKeyType
from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType

from vmctl.adapters.ssh_errors import LockedKey, NoKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paramiko import Transport

    from vmctl.adapters.ssh_config import Hop

_AGENT_SECONDS = 5


class _Agent(AgentSSH):
    """The agent at a socket that the ssh configuration names, which need not be SSH_AUTH_SOCK."""

    def __init__(self, path: str) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_AGENT_SECONDS)
        try:
            connection.connect(path)
            self._connect(connection)  # type: ignore[attr-defined]  # the stubs leave it out
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        self._close()  # type: ignore[attr-defined]  # the stubs leave it out


@dataclass(slots=True)
class KeyLogin:
    """Offers keys as OpenSSH does: those an agent holds first, then the files.

    paramiko calls `authenticate` in place of its own search through the home folder.
    """

    hop: Hop
    locked: list[str] = field(default_factory=list)
    refused: Exception | None = None

    def authenticate(self, transport: Transport) -> list[str]:
        """Log in, or raise what stood in the way."""
        agent = self._agent()
        try:
            for key in self._keys(agent):
                try:
                    if not transport.auth_publickey(self.hop.user, key):
                        return []
                except BadAuthenticationType:
                    raise
                except AuthenticationException as error:
                    self.refused = error
                    if not transport.is_active():
                        raise
                except SSHException as error:
                    # An agent that will not sign with this key; the next may do.
                    self.refused = error
                    if not transport.is_active():
                        raise
        finally:
            if agent is not None:
                agent.close()
        if self.locked:
            raise LockedKey(self.locked[0])
        raise AuthenticationException if self.refused else NoKey

    def _agent(self) -> _Agent | None:
        if self.hop.agent is None:
            return None
        try:
            return _Agent(self.hop.agent)
        except (OSError, SSHException):
            return None

    def _keys(self, agent: _Agent | None) -> Iterator[PKey]:
        held: dict[bytes, PKey] = {}
        if agent is not None:
            held = {key.asbytes(): key for key in agent.get_keys()}
        named = {path: _public(path) for path in self.hop.identity_files}
        mine = [blob for blob in named.values() if blob is not None and blob in held]
        others = () if self.hop.identities_only else tuple(b for b in held if b not in mine)
        for known in (*mine, *others):
            yield held[known]
        for path, blob in named.items():
            if blob is None or blob not in held:
                key = self._load(path)
                if key is not None:
                    yield from _offers(key, (*self.hop.certificate_files, f"{path}-cert.pub"))

    def _load(self, path: str) -> PKey | None:
        try:
            return _read(path)
        except TypeError:
            # What cryptography raises for a key that wants a passphrase.
            self.locked.append(path)
            return None
        except AuthenticationException:
            self.locked.append(path)
            return None
        except (OSError, ValueError, SSHException, UnknownKeyType):
            return None


def _read(path: str) -> PKey:
    try:
        return PKey.from_path(path)
    except ValueError:
        # The file beside it that is named like its certificate may be at fault, not the key.
        for kind in (Ed25519Key, ECDSAKey, RSAKey):
            with contextlib.suppress(Exception):  # Its parsers fail at bad files in many ways.
                return kind.from_private_key_file(path)
        raise


def _offers(key: PKey, files: tuple[str, ...]) -> Iterator[PKey]:
    """Give the key with each certificate that is its own, then plain, as OpenSSH offers them."""
    key.public_blob = None
    tried: list[bytes] = []
    for file in files:
        certificate = _certificate(key, file)
        if certificate is not None and certificate.key_blob not in tried:
            tried.append(certificate.key_blob)
            certified = copy.copy(key)
            certified.public_blob = certificate
            yield certified
    yield key


def _certificate(key: PKey, file: str) -> PublicBlob | None:
    """Return what a file certifies if that is this key."""
    try:
        found = PublicBlob.from_file(file)
    except (OSError, ValueError, SSHException):
        return None
    plain, certified = Message(key.asbytes()), Message(found.key_blob)
    if certified.get_string() != plain.get_string() + b"-cert-v01@openssh.com":
        return None
    # A certificate's nonce stands between its type and the key.
    certified.get_string()
    return found if certified.get_remainder().startswith(plain.get_remainder()) else None


def _public(path: str) -> bytes | None:
    try:
        words = Path(f"{path}.pub").read_text(errors="replace").split()
        return base64.b64decode(words[1]) if len(words) > 1 else None
    except (OSError, ValueError):
        return None
