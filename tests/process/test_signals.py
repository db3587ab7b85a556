"""The tests hear what they send to what they start, even from a shell's background."""

from __future__ import annotations

import subprocess
import sys

_IGNORED = """
import signal
print([one.name for one in signal.Signals if signal.getsignal(one) is signal.SIG_IGN])
"""


def test_what_the_tests_start_ignores_no_signal_but_pythons_own() -> None:
    done = subprocess.run([sys.executable, "-c", _IGNORED], capture_output=True, check=True)

    assert done.stdout.decode().strip() == "['SIGPIPE', 'SIGXFSZ']"
