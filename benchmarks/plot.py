"""A small plot with logarithmic axes, as SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 860, 520, 80, 48, 230, 60
COLOURS = ("#4269d0", "#efb118", "#ff725c", "#3ca951", "#a463f2", "#9c6b4e")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    name: str
    points: tuple[tuple[float, float], ...]
    colour: int
    dashed: bool = False


def log_plot(series: Sequence[Series], *, across: str, up: str, title: str) -> str:
    xs = [x for each in series for x, _ in each.points]
    ys = [y for each in series for _, y in each.points]
    x_decades, y_decades = _decades(xs), _decades(ys)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">',
        "<style>text { font: 13px sans-serif }</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="26" font-size="16">{escape(title)}</text>',
    ]
    for exponent in range(x_decades[0], x_decades[1] + 1):
        x = _across(10.0**exponent, x_decades)
        parts += [
            _line(x, TOP, x, HEIGHT - BOTTOM),
            _label(x, HEIGHT - BOTTOM + 20, exponent, "middle"),
        ]
    for exponent in range(y_decades[0], y_decades[1] + 1):
        y = _up(10.0**exponent, y_decades)
        parts += [_line(LEFT, y, WIDTH - RIGHT, y), _label(LEFT - 8, y + 4, exponent, "end")]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 16}" text-anchor="middle">{escape(across)}</text>'
    )
    parts.append(f'<text x="{LEFT}" y="{TOP - 6}" text-anchor="end">{escape(up)}</text>')
    for index, each in enumerate(series):
        colour = COLOURS[each.colour % len(COLOURS)]
        dash = ' stroke-dasharray="6 4"' if each.dashed else ""
        points = " ".join(
            f"{_across(x, x_decades):.1f},{_up(y, y_decades):.1f}" for x, y in each.points
        )
        stroke = f'fill="none" stroke="{colour}" stroke-width="2"{dash}'
        parts.append(f'<polyline points="{points}" {stroke}/>')
        y = TOP + 10 + 20 * index
        x = WIDTH - RIGHT + 16
        parts.append(f'<path d="M{x} {y} h30" {stroke}/>')
        parts.append(f'<text x="{x + 38}" y="{y + 4}">{escape(each.name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _decades(values: Sequence[float]) -> tuple[int, int]:
    return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))


def _across(value: float, decades: tuple[int, int]) -> float:
    low, high = decades
    return LEFT + (math.log10(value) - low) / max(high - low, 1) * (WIDTH - RIGHT - LEFT)


def _up(value: float, decades: tuple[int, int]) -> float:
    low, high = decades
    return (
        HEIGHT - BOTTOM - (math.log10(value) - low) / max(high - low, 1) * (HEIGHT - BOTTOM - TOP)
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _label(x: float, y: float, exponent: int, anchor: str) -> str:
    text = f"{10**exponent:,}" if exponent >= 0 else f"{10.0**exponent:.{-exponent}f}"
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
