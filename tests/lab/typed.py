"""Commands of the documents, typed as they stand there by someone who has vmctl installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.lab.vmctl import Vmctl


def environment(mine: Vmctl, folder: Path) -> dict[str, str]:
    """Have `vmctl` on the path, and the lab's key with the operator's ssh."""
    folder.mkdir()
    script = folder / "vmctl"
    # OpenSSH looks for keys in the home that passwd names, which no test may touch.
    script.write_text(
        '#!/bin/bash\n[ "$1" = ssh ] && { server=$2; shift 2; '
        f'set -- ssh "$server" -i \'{mine.lab.plan.key}\' "$@"; }}\n'
        f"exec '{sys.executable}' -m vmctl \"$@\"\n"
    )
    script.chmod(0o755)
    return mine.environ | {"PATH": f"{folder}:{mine.environ['PATH']}"}


def typed(command: str, environ: Mapping[str, str], home: Path, *, seconds: float = 660) -> str:
    """Give what a command prints that must end well."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env=dict(environ),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    print(f"$ {command}\n{done.stdout}{done.stderr}")
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout
