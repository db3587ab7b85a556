"""Plain data as YAML, without the third of a list's time that importing PyYAML takes."""

from __future__ import annotations

import math
import re

# Everything else is quoted. No word that starts with a letter is a number or a date in YAML 1.1.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_WORDS = frozenset({"y", "n", "yes", "no", "true", "false", "on", "off", "null"})
_QUOTED_AS_IS = re.compile(r"[ -~\xa1-\u1fff\u2030-\ud7ff\U00010000-\U0001f9ff]*")
_LONGEST_KEY = 100


def dump(data: object) -> str:
    """Write data of dicts, lists, strings, numbers, booleans and None as one YAML document."""
    lines: list[str] = []
    _block(data, "", "", lines)
    return "\n".join(lines) + "\n"


def _block(data: object, lead: str, indent: str, lines: list[str]) -> None:
    """Write a value whose first line begins with ``lead`` and whose others with ``indent``."""
    match data:
        case dict() if data:
            for key, value in data.items():
                _entry(_string(str(key)), value, lead, indent, lines)
                lead = indent
        case list() if data:
            for value in data:
                _block(value, f"{lead}- ", f"{indent}  ", lines)
                lead = indent
        case _:
            lines.append(lead + _scalar(data))


def _entry(key: str, value: object, lead: str, indent: str, lines: list[str]) -> None:
    if len(key) > _LONGEST_KEY:
        lines.append(f"{lead}? {key}")
        _block(value, f"{indent}: ", f"{indent}  ", lines)
    elif value and isinstance(value, dict | list):
        lines.append(f"{lead}{key}:")
        _block(value, f"{indent}  ", f"{indent}  ", lines)
    else:
        lines.append(f"{lead}{key}: {_scalar(value)}")


def _scalar(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return _number(value)
        case dict():
            return "{}"
        case list():
            return "[]"
        case str():
            return _string(value)
    return str(value)


def _number(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    # YAML 1.1 reads a number without a dot, or without a sign before its exponent, as a string.
    return f"{mantissa}{'' if '.' in mantissa else '.0'}{e}{exponent}"


def _string(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    if _QUOTED_AS_IS.fullmatch(text):
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char == "\n":
        return "\\n"
    if _QUOTED_AS_IS.fullmatch(char):
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    # The half of a surrogate pair is a byte of argv that was no UTF-8; YAML has no way to say it.
    if 0xD800 <= code <= 0xDFFF:
        return "\\ufffd"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
