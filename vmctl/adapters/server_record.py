"""A server's record as it stands in its domain's XML, word for word."""

from __future__ import annotations

import re

from vmctl.domain.sample import RECORD_NAMESPACE

_RECORD = re.compile(
    rf"""<(?:(\w+):)?server\b[^<>]*\sxmlns(?::\1)?=(['"]){re.escape(RECORD_NAMESPACE)}\2"""
    r"[^<>]*(?:/>|>.*?</(?:\1:)?server>)",
    re.DOTALL,
)


def find_record(xml: str) -> str | None:
    """Give our element in a domain's XML; None where it has none.

    libvirt's own call for it would leave out the namespace that says whose it is.
    """
    match = _RECORD.search(xml)
    return match[0] if match else None


def without_namespace(record: str) -> str:
    """Write a record so that libvirt can put its namespace to it, and takes it."""
    from xml.etree.ElementTree import fromstring, tostring

    element = fromstring(record)  # noqa: S314 - one that this process has written
    element.tag = "server"
    return tostring(element, encoding="unicode")
