"""A password made a hash that every Linux guest reads: SHA-512 crypt, as crypt(3) has it."""

from __future__ import annotations

import hashlib
import secrets

_DIGITS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ROUNDS = 5000  # crypt's own default, which is not written into the hash
_ORDER = (
    *((0, 21, 42), (22, 43, 1), (44, 2, 23), (3, 24, 45), (25, 46, 4), (47, 5, 26), (6, 27, 48)),
    *((28, 49, 7), (50, 8, 29), (9, 30, 51), (31, 52, 10), (53, 11, 32), (12, 33, 54)),
    *((34, 55, 13), (56, 14, 35), (15, 36, 57), (37, 58, 16), (59, 17, 38), (18, 39, 60)),
    *((40, 61, 19), (62, 20, 41)),
)


def hash_password(password: str, salt: str | None = None) -> str:
    """Hash a password with a salt of sixteen characters; the same salt gives the same hash."""
    if salt is None:
        salt = "".join(secrets.choice(_DIGITS) for _ in range(16))
    return f"$6${salt}${_encode(_digest(password.encode(), salt.encode()))}"


def _digest(key: bytes, salt: bytes) -> bytes:
    size = len(key)
    inner = hashlib.sha512(key + salt + key).digest()
    begun = hashlib.sha512(key + salt + _repeat(inner, size))
    bits = size
    while bits:
        begun.update(inner if bits & 1 else key)
        bits >>= 1
    found = begun.digest()
    keys = _repeat(hashlib.sha512(key * size).digest(), size)
    salts = _repeat(hashlib.sha512(salt * (16 + found[0])).digest(), len(salt))
    for turn in range(_ROUNDS):
        odd = turn % 2
        text = keys if odd else found
        text += salts if turn % 3 else b""
        text += keys if turn % 7 else b""
        found = hashlib.sha512(text + (found if odd else keys)).digest()
    return found


def _repeat(block: bytes, size: int) -> bytes:
    return (block * (size // len(block) + 1))[:size]


def _encode(digest: bytes) -> str:
    text = ""
    for high, middle, low in _ORDER:
        text += _base64(digest[high] << 16 | digest[middle] << 8 | digest[low], 4)
    return text + _base64(digest[63], 2)


def _base64(number: int, digits: int) -> str:
    return "".join(_DIGITS[number >> (6 * place) & 63] for place in range(digits))
