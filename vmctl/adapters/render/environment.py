"""The templates, where they are found, and how what they say is escaped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateRuntimeError,
)
from markupsafe import Markup

from vmctl.errors import UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGE = Path(__file__).parents[2]
OURS = (_PACKAGE / "templates", _PACKAGE.parent / "templates")
"""Where an installed vmctl has its templates, and where a checkout has them."""

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WHITE = {9: "&#9;", 10: "&#10;", 13: "&#13;"}


def xml_environment(own: str) -> Environment:
    """Give the environment of XML templates; the operator's own folder comes first."""
    return Environment(
        loader=FileSystemLoader([own, *OURS] if own else list(OURS)),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_escape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render_xml(environment: Environment, name: str, values: Mapping[str, object]) -> str:
    """Fill in a template; what XML cannot hold, however it is written, is refused."""
    try:
        text = environment.get_template(name).render(values)
    except TemplateError as error:
        where = f"{getattr(error, 'filename', None) or name}"
        line = getattr(error, "lineno", None)
        raise UsageError(
            f"{where}{f':{line}' if line else ''}: {error.message or type(error).__name__}",
            hint="a template of your own comes before vmctl's: move it away to see that it is it",
        ) from error
    illegal = _ILLEGAL.search(text)
    if illegal is not None:
        around = text[max(illegal.start() - 30, 0) : illegal.end() + 10]
        raise VmctlError(f"XML cannot hold the sign {illegal[0]!r}, as in {around!r}")
    return text


def _escape(value: object) -> object:
    """Escape what a template puts in; white space too, which an attribute would not keep."""
    if value is None:
        raise TemplateRuntimeError("a value is put in that is not there")
    if isinstance(value, StrictUndefined) or hasattr(value, "__html__"):
        return value
    return Markup(str(Markup.escape(str(value))).translate(_WHITE))  # noqa: S704 - escaped here
