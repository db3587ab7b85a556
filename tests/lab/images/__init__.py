"""Guest images, built from the machine's own packages, once, into a cache."""

from tests.lab.images.debian import debian_guest
from tests.lab.images.small import small_guest

READY = "vmctl-guest ready:"
"""How the small guest says on its serial console that it is up; name and addresses follow."""

__all__ = ["READY", "debian_guest", "small_guest"]
