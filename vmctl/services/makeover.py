"""What a rebuild is to make of servers: words resolved once for all of them, errors in one go."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vmctl.domain.plain import to_plain
from vmctl.domain.spec import Secrets
from vmctl.services.order import Problems, check_words, image_of, secrets_of, use_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.catalog import Image
    from vmctl.ports import Catalog
    from vmctl.services.wish import Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The words of one rebuild, beside those that a create has, too; nothing is resolved yet.

    Of the wish only what a rebuild can change is looked at; what is None there stays as it is.
    """

    wish: Wish
    rename: bool = False  # whether the wish's name is to be the server's
    replace_properties: bool = False
    drop_key: bool = False
    drop_user_data: bool = False
    preserve_ephemeral: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Makeover:
    """What becomes of each server; `fields` are those of its spec, in their plain form."""

    image: Image | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets, repr=False)
    carried: tuple[str, ...] = ()  # the options that only a seed can carry to the guest
    preserve_ephemeral: bool = False


def makeover_of(changes: Changes, known: Catalog) -> Makeover:
    """Resolve the words of a rebuild; UsageError lists everything that is wrong with them."""
    wish, problems = changes.wish, Problems()
    check_words(wish, problems)
    fields: dict[str, object] = {}
    image = None
    if wish.image is not None:
        image, _ = image_of(wish, known, problems)
        use = None if image is None else use_of(image, problems)
        fields["image"] = to_plain(use)
    if wish.key_name is not None:
        key = problems.catch(lambda: known.keypair(wish.key_name or ""))
        if key is not None:
            fields |= {"key_name": key.name, "public_key": key.public_key}
    elif changes.drop_key:
        fields |= {"key_name": None, "public_key": None}
    if changes.rename:
        fields["name"] = wish.name
    if changes.replace_properties:
        fields["properties"] = dict(wish.properties)
    if wish.description is not None:
        fields["description"] = wish.description
    if wish.hostname is not None:
        fields["hostname"] = wish.hostname
    if wish.user_data is not None or changes.drop_user_data:
        fields["has_user_data"] = wish.user_data is not None
    problems.end()
    carried = {
        "--key-name": wish.key_name,
        "--user-data": wish.user_data,
        "--password": wish.password,
    }
    return Makeover(
        image=image,
        fields=fields,
        secrets=replace(secrets_of(wish), console_password=None),
        carried=tuple(option for option, value in carried.items() if value is not None),
        preserve_ephemeral=changes.preserve_ephemeral,
    )
