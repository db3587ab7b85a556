"""The entry point of the ``vmctl`` command and of ``python -m vmctl``."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Run the command line and return its exit code."""
    # A run is short and makes up to some hundred thousand of values that all live to its end.
    gc.set_threshold(1_000_000, 20, 20)
    try:
        # Imported here, so that ^C during the imports already ends as it should.
        from vmctl.cli.main import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:
        return 130
    finally:
        # What is left goes with the process: to look through it once more first costs a tenth of
        # a second.
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
