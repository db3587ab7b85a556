"""The sample commands as a program: what signals and closed pipes do needs a process."""

from __future__ import annotations

import sys

from tests.cli.sample import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
