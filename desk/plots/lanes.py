"""Swim lanes: twelve hours of all machines side by side. What happened is told by height, not by colour alone."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from desk.board import BUCKET_US, LANE_US, RowState
from desk.clock import PlantClock
from desk.plots.axes import time_marks
from desk.plots.svg import element, picture, rectangle

_ROW, _TOP = 22, 4
_HEIGHTS: Mapping[str, tuple[float, str]] = {
    "quiet": (3.0, "lane-quiet"),
    "restarting": (5.0, "lane-restarting"),
    "warming up": (7.0, "lane-warming"),
    "stopped": (11.0, "lane-stopped"),
}


class Lane(NamedTuple):
    """One machine's."""

    machine: str
    runs: Sequence[tuple[int, int, RowState]]
    """First and last bucket of each stretch in one state."""
    warnings: Sequence[tuple[int, int, bool]]
    """From, until, critical."""


def draw_lanes(lanes: Sequence[Lane], end_us: int, *, clock: PlantClock, width: int) -> Markup:
    """The last twelve hours before `end_us`; where nothing is drawn there was no row."""
    left = 96 if width > 600 else 62
    start_us = end_us - LANE_US
    scale = (width - left - 4) / LANE_US

    def x(time_us: int) -> float:
        return left + min(max(time_us - start_us, 0), LANE_US) * scale

    height = _TOP + _ROW * len(lanes) + 18
    parts = []
    for at, text in time_marks(start_us, end_us, clock=clock, most=12 if width > 600 else 4):
        parts.append(element("line", x1=x(at), x2=x(at), y1=_TOP, y2=height - 16, cls="grid"))
        parts.append(element("text", text, x=x(at), y=height - 4, cls="mark middle"))
    for number, lane in enumerate(lanes):
        middle = _TOP + _ROW * number + _ROW / 2
        parts.append(element("text", _short(lane.machine, left), x=0, y=middle + 4, cls="name"))
        for first, last, state in lane.runs:
            a, b = x(first * BUCKET_US), x((last + 1) * BUCKET_US)
            tall, cls = _HEIGHTS[state]
            if b > a:
                parts.append(rectangle(a, middle - tall / 2, b - a, tall, cls=cls))
        for from_us, until_us, critical in lane.warnings:
            if until_us < start_us:
                continue
            a, b = x(from_us), max(x(until_us), x(from_us) + 3)
            cls = "lane-critical" if critical else "lane-warning"
            parts.append(rectangle(a, middle - 8, b - a, 16.0, cls=cls))
    return picture(width, height, parts, label="The last twelve hours of every machine", cls="plot")


def runs_of(states: Mapping[int, RowState]) -> list[tuple[int, int, RowState]]:
    """First and last bucket of each stretch in one state."""
    runs: list[tuple[int, int, RowState]] = []
    for bucket in sorted(states):
        if runs and runs[-1][1] == bucket - 1 and runs[-1][2] == states[bucket]:
            runs[-1] = (runs[-1][0], bucket, states[bucket])
        else:
            runs.append((bucket, bucket, states[bucket]))
    return runs


def _short(name: str, width: int) -> str:
    most = width // 8
    return name if len(name) <= most else name[: most - 1] + "…"
