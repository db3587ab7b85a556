"""One word for what a create asks for, by which a repeated request is known."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmctl.services.order import Order
    from vmctl.services.wish import Wish

_NOT_ASKED = {"by", "seed", "image", "image_properties", "flavor", "user_data", "files", "password"}
"""Who asks and how ties are decided changes nothing; the others are said in another form."""

_ROUNDS = 100_000


def digest_of(wish: Wish, order: Order, key: str) -> str:
    """Say in one word what was asked for: the same words, the same digest.

    What is found in the catalog counts by its name or id, for it may be edited meanwhile; a
    password counts by a hash that takes its time, for the digest stays on record.
    """
    spec = order.specs[0]
    asked: dict[str, object] = {
        one.name: getattr(wish, one.name) for one in fields(wish) if one.name not in _NOT_ASKED
    }
    asked |= {
        "flavor": spec.flavor.name,
        "image": spec.image.id,
        "user_data": None if wish.user_data is None else wish.user_data.hex(),
        "files": {path: content.hex() for path, content in wish.files.items()},
    }
    if wish.password is not None:
        salt = hashlib.sha256(key.encode()).digest()
        slow = hashlib.pbkdf2_hmac("sha256", wish.password.encode(), salt, _ROUNDS)
        asked["password"] = slow.hex()
    text = json.dumps(asked, sort_keys=True, default=str).encode()
    return hashlib.sha256(text).hexdigest()
