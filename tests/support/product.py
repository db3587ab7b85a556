"""The product's own commands, run in this process on a database and an inventory of a test's."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.sample import Ran
from vmctl.bootstrap import App
from vmctl.cli.commands import COMMANDS
from vmctl.cli.completers import COMPLETERS
from vmctl.cli.main import dispatch


@dataclass
class Product:
    """A command line with a folder of its own, and the App that it composes."""

    folder: Path
    app: type[App] = App

    @property
    def db(self) -> Path:
        return self.folder / "state.db"

    def run(self, *argv: str, **environ: str) -> Ran:
        """Run a line and say how it ended."""
        out, err = io.StringIO(), io.StringIO()
        around = {
            "HOME": str(self.folder),
            "VMCTL_DB": str(self.db),
            "VMCTL_INVENTORY": str(self.folder / "inventory.yaml"),
            **environ,
        }
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = dispatch(argv, COMMANDS, self.app, environ=around, completers=COMPLETERS)
        return Ran(code=code, out=out.getvalue(), err=err.getvalue())

    def ok(self, *argv: str, **environ: str) -> str:
        """Run a line that must succeed and give what it printed."""
        ran = self.run(*argv, **environ)
        assert ran.code == 0, ran
        return ran.out

    def data(self, *argv: str, **environ: str) -> Any:
        """Run a line that must succeed and give what it printed as json."""
        return json.loads(self.ok(*argv, "-f", "json", **environ))
