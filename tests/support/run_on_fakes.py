"""vmctl over a stage, as a process: `python -m tests.support.run_on_fakes FOLDER WORDS…`.

A test-only main that composes another App, for what needs a terminal or a signal.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.fake_app import on_fakes
from tests.support.stage import on_stage
from vmctl.cli.commands import COMMANDS
from vmctl.cli.main import run

if __name__ == "__main__":
    with on_stage(Path(sys.argv[1])) as stage:
        product = on_fakes(stage)
        code = run(sys.argv[2:], COMMANDS, product.app)
    sys.exit(code)
