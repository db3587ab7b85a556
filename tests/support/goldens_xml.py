"""What is written for libvirt, kept as it was; with `WRITE_GOLDENS=1` as it is written now."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "golden" / "xml"


def same_as_golden(name: str, text: str) -> None:
    """Hold a text to the kept one; a record's own text is long, and held to by its own tests."""
    text = re.sub(r"(<vmctl:server [^>]*>)[^<]*(</vmctl:server>)", r"\1…\2", text)
    file = FOLDER / name
    if os.environ.get("WRITE_GOLDENS"):
        file.write_text(text)
    assert text == file.read_text()


def is_valid_and_as_golden(schema: str, name: str, text: str, folder: Path) -> None:
    """See that a text fits libvirt's own schema, and hold it to the kept one."""
    file = folder / "written.xml"
    file.write_text(text)
    checked = subprocess.run(
        ["virt-xml-validate", str(file), schema], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    same_as_golden(name, text)
