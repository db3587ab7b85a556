"""Where things are: flag before ``VMCTL_*`` variable before the XDG folders.

Paths are strings here: completion reads this module, and pathlib would be a third of its time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Config(NamedTuple):
    """What a run was told, or found, about its surroundings."""

    state_folder: str
    """Holds the database, the leases and the debug logs."""
    config_folder: str
    cache_folder: str
    db: str
    """A path, or an SQLAlchemy URL."""
    inventory: str | None
    """A file or a folder; None where neither was named and none of the usual places has one."""
    project: str | None
    templates: str = ""
    """The operator's own templates: they come before vmctl's."""

    @property
    def own_inventory(self) -> str:
        """Where the operator's own inventory lies when none is named and none is here."""
        return f"{self.config_folder}/inventory.yaml"


def load(
    environ: Mapping[str, str],
    *,
    db: str | None = None,
    inventory: str | None = None,
    project: str | None = None,
) -> Config:
    """Settle the configuration from what the flags said and the environment says."""
    state = _folder(environ, "XDG_STATE_HOME", ".local/state")
    config = _folder(environ, "XDG_CONFIG_HOME", ".config")
    return Config(
        state_folder=state,
        config_folder=config,
        cache_folder=_folder(environ, "XDG_CACHE_HOME", ".cache"),
        db=db or environ.get("VMCTL_DB") or f"{state}/state.db",
        inventory=inventory or environ.get("VMCTL_INVENTORY") or _usual_inventory(config),
        project=project or environ.get("VMCTL_PROJECT") or environ.get("OS_PROJECT_NAME") or None,
        templates=environ.get("VMCTL_TEMPLATES") or f"{config}/templates",
    )


def _folder(environ: Mapping[str, str], variable: str, usual: str) -> str:
    # The XDG specification has relative paths ignored.
    base = environ.get(variable, "")
    return f"{base}/vmctl" if base.startswith("/") else f"{_home(environ)}/{usual}/vmctl"


def _home(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME")
    if home:
        return home.rstrip("/")
    import pwd  # Only a run without HOME (cron, systemd) gets here.

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/nonexistent"


def _usual_inventory(config_folder: str) -> str | None:
    for path in ("inventory.yaml", f"{config_folder}/inventory.yaml"):
        if os.access(path, os.F_OK):
            return path
    return None
