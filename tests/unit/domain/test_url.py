from __future__ import annotations

import pytest

from vmctl.cli.redact import Redactor
from vmctl.domain.url import told

SIGNED = "https://store.example/mini.qcow2?X-Amz-Signature=deadbeef&X-Amz-Date=1"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://a.example/b.qcow2", "https://a.example/b.qcow2"),
        (SIGNED, "https://store.example/mini.qcow2?…"),
        ("http://a.example/b#token", "http://a.example/b?…"),
    ],
)
def test_what_may_let_anybody_in_is_not_told(url: str, said: str) -> None:
    assert told(url) == said


def test_no_log_has_what_follows_the_path_of_an_address() -> None:
    said = Redactor().clean(f"fetching {SIGNED} for kvm1")

    assert "deadbeef" not in said
    assert said.endswith("for kvm1")
