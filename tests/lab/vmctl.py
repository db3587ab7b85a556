"""vmctl as an operator runs it against the lab: the installed command, in a home of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.lab.outside import Lab
from tests.lab.plan import CHECKOUT
from tests.support.children import begun


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one run ended, and the seconds that it took."""

    code: int
    out: str
    err: str
    took: float

    @property
    def told(self) -> list[str]:
        """What was said on stderr, line by line."""
        return self.err.splitlines()

    @property
    def json(self) -> Any:
        """What was printed, as a program reads it."""
        return json.loads(self.out)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Vmctl:
    """An operator's own home, database and inventory; `lab` is what the inventory speaks of."""

    lab: Lab
    home: Path
    inventory: Path

    @property
    def db(self) -> Path:
        return self.home / "state/vmctl/state.db"

    @property
    def environ(self) -> dict[str, str]:
        folders = {f"XDG_{k}_HOME": str(self.home / k.lower()) for k in ("STATE", "CACHE")}
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CHECKOUT),
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "VMCTL_INVENTORY": str(self.inventory),
            "USER": "tester",
            **folders,
        }

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Start a run and leave it to the test."""
        return begun(
            argv(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ | environ,
            cwd=self.home,
        )

    def __call__(self, *words: str, stdin: str = "", seconds: float = 90, **environ: str) -> Ended:
        """Run a command to its end."""
        began = time.monotonic()
        done = subprocess.run(
            argv(*words),
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environ | environ,
            cwd=self.home,
            timeout=seconds,
            check=False,
        )
        took = time.monotonic() - began
        print(f"{took:5.1f} s  {done.returncode:3}  vmctl {' '.join(words)}\n{done.stderr}")
        return Ended(code=done.returncode, out=done.stdout, err=done.stderr, took=took)

    def ok(self, *words: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        ended = self(*words)
        assert ended.code == 0, f"{words}: {ended.code}\n{ended.out}{ended.err}"
        return ended.out

    def rows(self, *words: str) -> dict[str, dict[str, Any]]:
        """Run a command that lists hosts, and return its rows by the host's name."""
        rows = json.loads(self.ok(*words, "-f", "json"))
        return {row["Host Name"]: row for row in rows}

    def changed(self, *edits: tuple[str, str], more: str = "") -> Vmctl:
        """Return the same operator with a changed copy of the inventory, the lab's own untouched.

        What the inventory refers to is copied too, so that keys may be pinned in it.
        """
        folder = self.home / "inventory"
        folder.mkdir()
        root = self.lab.root
        text = (root / "inventory.yaml").read_text()
        for old, new in edits:
            assert re.search(old, text), old
            text = re.sub(old, new, text)
        (folder / "inventory.yaml").write_text(text + more)
        config = (root / "ssh_config").read_text()
        config = config.replace(str(root / "known_hosts"), str(folder / "known_hosts"))
        (folder / "ssh_config").write_text(config)
        shutil.copy(root / "known_hosts", folder)
        shutil.copytree(root / "keys", folder / "keys")
        return dataclasses.replace(self, inventory=folder / "inventory.yaml")


def argv(*words: str) -> list[str]:
    """The words that run vmctl: this checkout's own, whatever is installed."""
    return [sys.executable, "-m", "vmctl", *words]


def findings(ended: Ended, host: str, *grades: str) -> dict[str, dict[str, Any]]:
    """What a check with -f json found of one host, of these grades, by step."""
    return {
        row["Step"]: row
        for row in ended.json
        if row["Host"] == host and (not grades or row["Result"] in grades)
    }
