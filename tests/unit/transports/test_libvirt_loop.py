"""libvirt's event loop, which runs on until the process is gone."""

from __future__ import annotations

import subprocess
import sys

WATCHED = """
import threading, time
from vmctl.adapters import libvirtd
called = []
threading.setprofile(lambda frame, event, _: event == "call" and called.append(frame.f_code))
libvirtd._run_loop()
time.sleep(1.5)
print(*(code.co_name for code in called if code.co_filename == libvirtd.__file__))
"""


def test_it_calls_nothing_of_ours_that_could_be_gone_when_the_process_ends() -> None:
    watched = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, check=True)

    assert watched.stdout.split() == [b"_loop"]
