"""The product's commands on a stage: real words and a real database, hosts that are folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.support.product import Product
from tests.support.stage import Stage
from vmctl.bootstrap import App
from vmctl.services.recovery import Recovery


def product_on(stage: Stage) -> Product:
    """Give a product whose hosts are the stage's."""
    hosts = "".join(
        f"  {name}: {{address: 192.0.2.{number}}}\n" for number, name in enumerate(stage.hosts, 1)
    )
    (stage.folder / "inventory.yaml").write_text(f"hosts:\n{hosts}")

    class OnStage(App):
        def recovery(self, tell: Callable[[str], None] = lambda _: None) -> Recovery:
            return replace(stage.recovery, tell=tell)

    return Product(stage.folder, OnStage)
