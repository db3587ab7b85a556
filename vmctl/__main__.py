"""The entry point of the ``vmctl`` command and of ``python -m vmctl``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    sys.stderr.write("vmctl: no commands yet\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
