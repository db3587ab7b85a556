"""Who does not connect does not pay for the libraries that connect."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("paramiko", "fabric", "libvirt", "cryptography")


@pytest.mark.parametrize(
    "module",
    [
        "vmctl.adapters.shells",
        "vmctl.adapters.host_lease",
        "vmctl.adapters.hostkeys",
        "vmctl.adapters.libvirt_wrapper",
        "vmctl.adapters.trust",
        "vmctl.services.fanout",
    ],
)
def test_importing_it_loads_no_library_that_connects(module: str) -> None:
    program = f"import sys, {module}; print(*({HEAVY!r} & sys.modules.keys()))"
    program = program.replace(repr(HEAVY), repr(set(HEAVY)))

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == ""
