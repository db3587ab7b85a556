"""What the commands on records share: ``--property KEY=VALUE``, and doing a thing to each name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.errors import UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vmctl.cli.context import Context


def pairs(words: Iterable[str], option: str = "--property") -> dict[str, str]:
    """Read `KEY=VALUE` words, the last of each key."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{option}: {word!r} is not KEY=VALUE")
        found[key] = value
    return found


def without(held: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Give what is left when keys are taken out; one that is not there is no fault."""
    gone = set(keys)
    return {key: value for key, value in held.items() if key not in gone}


def for_each(
    context: Context, kind: str, names: Iterable[str], act: Callable[[str], object]
) -> None:
    """Do a thing to each name, and fail in the end if it failed for any of them."""
    asked = list(dict.fromkeys(names))
    failed = []
    for name in asked:
        try:
            act(name)
        except VmctlError as error:
            if len(asked) == 1:
                raise
            failed.append(error)
            context.say(error.message)
    if failed:
        raise VmctlError(f"{len(failed)} of {len(asked)} {kind}s failed to delete.")
