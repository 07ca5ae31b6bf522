"""Plots over time: a score against its level, and a sensor's readings against what was expected."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from desk.clock import PlantClock
from desk.plots.axes import time_marks, value_marks
from desk.plots.svg import disc, element, picture, segment
from desk.store.series import Point, Reading

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 8, 22
_HIGHEST = 3.0
"""Scores beyond so many levels are drawn at the upper edge."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The span that a plot shows, and its size."""

    start_us: int
    end_us: int
    width: int
    height: int
    clock: PlantClock

    def x(self, time_us: float) -> float:
        """Where a time stands."""
        share = (time_us - self.start_us) / max(self.end_us - self.start_us, 1)
        return _LEFT + min(max(share, 0.0), 1.0) * (self.width - _LEFT - _RIGHT)

    def y(self, low: float, high: float) -> Callable[[float], float]:
        """Where a value stands."""
        room = self.height - _TOP - _BOTTOM

        def place(value: float) -> float:
            share = (value - low) / (high - low or 1.0)
            return _TOP + (1 - min(max(share, 0.0), 1.0)) * room

        return place

    def grid(self, low: float, high: float) -> list[Markup]:
        """Marks of both axes."""
        y, parts = self.y(low, high), []
        for value in value_marks(low, high, most=4):
            parts.append(element("line", x1=_LEFT, x2=self.width - _RIGHT, y1=y(value), y2=y(value), cls="grid"))
            parts.append(element("text", f"{value:.4g}", x=_LEFT - 6, y=y(value) + 4, cls="mark end"))
        for at, text in time_marks(self.start_us, self.end_us, clock=self.clock, most=10 if self.width > 600 else 4):
            parts.append(
                element("line", x1=self.x(at), x2=self.x(at), y1=_TOP, y2=self.height - _BOTTOM, cls="grid faint")
            )
            parts.append(element("text", text, x=self.x(at), y=self.height - 6, cls="mark middle"))
        return parts


def draw_scores(
    frame: Frame,
    points: Sequence[Point],
    *,
    period_us: int,
    warnings: Sequence[tuple[int, int]],
    breaks: Sequence[int],
    grades: Sequence[tuple[int, str]] = (),
) -> Markup:
    """The score as a line, its level dashed, alarms shaded, breaks as marks, changes of grade as dotted lines."""
    levels = [one.level for one in points if one.level is not None]
    top_level = max(levels, default=0.0)
    highest = max((one.score for one in points), default=1.0)
    high = min(highest, _HIGHEST * top_level) if top_level else highest
    high = max(high, top_level) * 1.08 or 1.0
    y = frame.y(0.0, high)
    floor = frame.height - _BOTTOM
    parts = []
    for from_us, until_us in warnings:
        a, b = frame.x(from_us), frame.x(until_us)
        parts.append(element("rect", x=a, y=_TOP, width=max(b - a, 2.0), height=floor - _TOP, cls="alarm-shade"))
    parts += frame.grid(0.0, high)
    gap_us = max((frame.end_us - frame.start_us) // max(frame.width, 1), period_us) * 3
    for piece in _pieces(points, gap_us):
        parts.append(_line([(frame.x(p.time_us), y(p.score)) for p in piece], "score-line"))
        parts.append(_line([(frame.x(p.time_us), y(p.level)) for p in piece if p.level is not None], "level-line"))
    for at, _ in grades:
        parts.append(element("line", x1=frame.x(at), x2=frame.x(at), y1=_TOP, y2=floor, cls="grade-line"))
    for at in breaks:
        x = frame.x(at)
        parts.append(element("line", x1=x, x2=x, y1=_TOP, y2=floor, cls="break-line"))
        parts.append(element("path", d=f"M{x - 4:.1f} {floor:.1f}h8l-4 -7z", cls="break-mark"))
    return picture(frame.width, frame.height, parts, label="Score against its level", cls="plot")


def draw_sensor(frame: Frame, readings: Sequence[Reading]) -> Markup:
    """What the sensor showed as filled dots, what was expected as rings."""
    values = [value for one in readings for value in (one.observed, one.expected)]
    low, high = min(values), max(values)
    spare = (high - low) * 0.1 or abs(high) * 0.05 or 1.0
    low, high = low - spare, high + spare
    y, parts = frame.y(low, high), frame.grid(low, high)
    for one in _thinned(readings, frame.width // 3):
        x = frame.x(one.time_us)
        observed, expected = y(one.observed), y(one.expected)
        parts.append(segment(x, observed, x, expected, cls="difference"))
        parts.append(disc(x, expected, 3.0, cls="expected"))
        parts.append(disc(x, observed, 2.6, cls="observed"))
    return picture(frame.width, frame.height, parts, label="Observed against expected", cls="plot")


def _thinned(readings: Sequence[Reading], most: int) -> Sequence[Reading]:
    return readings[:: max(len(readings) // max(most, 1), 1)]


def _pieces(points: Sequence[Point], gap_us: int) -> list[list[Point]]:
    """Stretches without a longer gap: nothing is drawn where nothing was scored."""
    pieces: list[list[Point]] = []
    for point in points:
        if not pieces or point.time_us - pieces[-1][-1].time_us > gap_us:
            pieces.append([])
        pieces[-1].append(point)
    return pieces


def _line(places: Sequence[tuple[float, float]], cls: str) -> Markup:
    return element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places), cls=cls)
