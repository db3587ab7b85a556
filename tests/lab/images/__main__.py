"""`python -m tests.lab.images small|debian [--cache DIR]`: prints the path."""

import argparse
import os
from pathlib import Path

from tests.lab.images import debian_guest, small_guest

BUILDERS = {"small": small_guest, "debian": debian_guest}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.images", description=__doc__)
    parser.add_argument("image", choices=sorted(BUILDERS))
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(os.environ.get("VMCTL_LAB_CACHE", ".lab/cache")),
        help="where images are kept (VMCTL_LAB_CACHE, or .lab/cache)",
    )
    given = parser.parse_args()
    print(BUILDERS[given.image](given.cache))


if __name__ == "__main__":
    main()
