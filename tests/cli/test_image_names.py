"""Whatever a file is called, its bytes become an image, and its name does nothing else."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.product import Product
from tests.unit.transports.test_hostile_words import PIECES

RAW = b"\xeb\x63\x90".ljust(4096, b"\x07")
NAMES = (
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=5)
    .map(lambda pieces: "".join(pieces).replace("/", ""))
    .filter(lambda name: name not in (".", ".."))
)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(NAMES)
@example("-")
@example("--url")
@example("\x1b[2J\x1b]0;x\x07")
def test_a_file_of_any_name_becomes_an_image(name: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        product = Product(folder / "home")
        for one in ("home", "files"):
            (folder / one).mkdir()
        file = folder / "files" / name
        file.write_bytes(RAW)

        image = product.data("image", "create", "mini", "--file", str(file))
        lost = product.run("image", "create", "other", "--file", f"{file}.gone")

        assert image["checksum"] == hashlib.sha256(RAW).hexdigest()
        assert [one.name for one in (folder / "files").iterdir()] == [name]
        there = {one.name for one in (folder / "home" / "images").iterdir()}
        assert there == {f"sha256-{image['checksum']}"}
        assert lost.code == 2
        assert not any(sign in lost.err for sign in "\x1b\x07\x01\r")
        assert lost.out == ""
