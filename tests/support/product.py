"""The product's own commands, run in this process on a database and an inventory of a test's."""

from __future__ import annotations

import contextlib
import io
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.sample import Ran
from vmctl.adapters.store import open_store
from vmctl.bootstrap import App
from vmctl.cli.commands import COMMANDS
from vmctl.cli.completers import COMPLETERS
from vmctl.cli.main import dispatch
from vmctl.domain.sample import FoundPool, HostSample
from vmctl.services.hosts import sighting


@dataclass
class Product:
    """A command line with a folder of its own, and the App that it composes."""

    folder: Path
    app: type[App] = App
    inventory: Path | None = None
    """Another one than the file in the folder."""

    @property
    def db(self) -> Path:
        return self.folder / "state.db"

    def run(self, *argv: str, **environ: str) -> Ran:
        """Run a line and say how it ended."""
        out, err = io.StringIO(), io.StringIO()
        around = {
            "HOME": str(self.folder),
            "VMCTL_DB": str(self.db),
            "VMCTL_INVENTORY": str(self.inventory or self.folder / "inventory.yaml"),
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


INVENTORY = """
hosts:
  kvm1: {address: 192.0.2.1, zone: a, labels: {rack: r1}}
  kvm2: {address: 192.0.2.2, zone: a, labels: {rack: r1}}
  kvm3: {address: 192.0.2.3, zone: b, labels: {rack: r2}}
networks:
  lan: {source: {bridge: br0}, cidrs: [198.51.100.0/24]}
aggregates:
  fast: {hosts: [kvm3], metadata: {ssd: "true"}}
"""


def a_sample(**facts: Any) -> HostSample:
    """A host of 8 vCPUs, 16 GiB and 100 GiB, looked at just now."""
    at = time.time()
    usual: dict[str, Any] = {
        "taken_at": at,
        "facts_at": at,
        "depth": "full",
        "arch": "x86_64",
        "virt_types": ("kvm",),
        "qemu_version": "8.2.0",
        "cpus": 8,
        "memory": 16 * 1024,
        "pools": (FoundPool(name="default", active=True, capacity=102_400, available=102_400),),
    }
    return HostSample(**(usual | facts))


def a_fleet(folder: Path, inventory: str = INVENTORY, **samples: HostSample) -> Product:
    """A product with three hosts that were looked at just now."""
    (folder / "inventory.yaml").write_text(inventory)
    product = Product(folder)
    seen = {name: a_sample() for name in ("kvm1", "kvm2", "kvm3")} | samples
    with open_store(str(product.db)) as store:
        store.save_samples(sighting(name, sample) for name, sample in seen.items())
    return product
