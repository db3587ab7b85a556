"""The entry point of the ``vmctl`` command and of ``python -m vmctl``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    try:
        # Imported here, so that ^C during the imports already ends as it should.
        from vmctl.cli.main import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
