"""XML as libvirt says it and wants it: read into a tree, written with every value escaped."""

from __future__ import annotations

from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element
from xml.sax import saxutils
from xml.sax.saxutils import quoteattr

__all__ = ["Element", "escape", "quoteattr", "read", "text", "whole", "write"]


def read(xml: str) -> Element:
    """Read XML into a tree; raises ValueError for what is none, or has a document type."""
    if "<!DOCTYPE" in xml:
        raise ValueError("it has a document type, which could make it grow without end")
    try:
        return ET.fromstring(xml)  # noqa: S314 - nothing can expand without a document type
    except ET.ParseError as error:
        raise ValueError(f"it is no XML: {error}") from None


def escape(words: str) -> str:
    """Write words as the text of an element; a bare carriage return would be read as a newline."""
    return saxutils.escape(words, {"\r": "&#13;"})


def write(element: Element) -> str:
    """Write a tree as XML."""
    return ET.tostring(element, encoding="unicode")


def text(element: Element, path: str) -> str:
    """Give the text at a path, "" where there is none."""
    return (element.findtext(path) or "").strip()


def whole(element: Element, path: str) -> int:
    """Give the number at a path, 0 where there is none."""
    said = text(element, path)
    return int(said) if said.isdecimal() else 0
