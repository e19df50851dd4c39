"""Draws lines over one axis as SVG: enough for a curve that is to be flat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 40, 48
COLOURS = ("#1f6feb", "#6e7781", "#bf3989", "#1a7f37")
TICKS = 4

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Lines by their names. The vertical axis begins at 0; the other may be logarithmic."""

    title: str
    across: str
    up: str
    lines: Mapping[str, Sequence[Point]]
    is_log: bool = True

    def svg(self) -> str:
        """Draw it."""
        points = [point for line in self.lines.values() for point in line]
        top = _round_up(max(y for _, y in points))
        marks = sorted({x for x, _ in points})
        parts = [
            f'<text x="{LEFT}" y="20" font-weight="bold">{escape(self.title)}</text>',
            f'<text x="{LEFT}" y="{HEIGHT - 8}">{escape(self.across)}</text>',
            f'<text x="{LEFT}" y="{TOP - 6}" fill="#57606a">{escape(self.up)}</text>',
        ]
        for step in range(TICKS + 1):
            value = top * step / TICKS
            y = _y(value, top)
            parts += [
                f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="#d0d7de"/>',
                f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:g}</text>',
            ]
        shown = marks if self.is_log else [marks[0], marks[len(marks) // 2], marks[-1]]
        parts += [
            f'<text x="{self._x(mark, marks)}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
            f"{_short(mark)}</text>"
            for mark in shown
        ]
        for number, (name, line) in enumerate(self.lines.items()):
            parts += self._line(name, line, COLOURS[number % len(COLOURS)], marks, top)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
            f' font-family="sans-serif" font-size="12"><rect width="100%" height="100%"'
            f' fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
        )

    def _line(
        self, name: str, line: Sequence[Point], colour: str, marks: Sequence[float], top: float
    ) -> list[str]:
        places = [(self._x(x, marks), _y(y, top)) for x, y in line]
        path = " ".join(f"{x},{y}" for x, y in places)
        return [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            *(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places),
            (
                f'<text x="{WIDTH - RIGHT + 8}" y="{places[-1][1] + 4}" fill="{colour}">'
                f"{escape(name)}</text>"
            ),
        ]

    def _x(self, value: float, marks: Sequence[float]) -> float:
        least, most = marks[0], marks[-1]
        if self.is_log:
            value, least, most = log10(value), log10(least), log10(most)
        share = (value - least) / (most - least) if most > least else 0.0
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 1)


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 4, 6, 8 or 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(power * step for step in (1, 2, 4, 6, 8, 10) if power * step >= value)


def _short(value: float) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
