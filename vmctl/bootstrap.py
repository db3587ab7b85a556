"""The composition root: the only module that knows every adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmctl.config import Config


class App:
    """What a command may ask of the outside, each part built when it is first asked for.

    Adapters are imported inside the properties that build them: a command that lists from the
    record must not pay for libvirt.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def close(self) -> None:
        """Give back what was opened; the frame calls it at the end of every run."""


def build(config: Config) -> App:
    """Compose the product's own App."""
    return App(config)
