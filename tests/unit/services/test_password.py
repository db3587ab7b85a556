from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmctl.services.password import hash_password

PASSWORDS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), min_size=1)
SALTS = st.text("./09AZaz", min_size=1, max_size=16)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@settings(max_examples=25, deadline=None)
@given(PASSWORDS.filter(lambda one: len(one.encode()) < 200), SALTS)
def test_a_hash_is_the_one_that_openssl_makes(password: str, salt: str) -> None:
    done = subprocess.run(
        ["openssl", "passwd", "-6", "-salt", salt, "-stdin"],
        input=f"{password}\n".encode(),
        capture_output=True,
        check=True,
    )

    assert hash_password(password, salt) == done.stdout.decode().strip()


def test_a_hash_is_the_one_that_others_make_of_the_same_words() -> None:
    expected = (
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjn"
        "QJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
    )

    assert hash_password("Hello world!", "saltstring") == expected


def test_the_same_password_is_hashed_differently_each_time() -> None:
    assert hash_password("secret") != hash_password("secret")
