"""Style that plots share: colours, axes, and the way in for text and numbers."""

import re
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from sheetbreak.wire.messages import Plant
from trainer.data.labels import Floats

Trace = dict[str, Any]

# After Okabe and Ito's palette, told apart with every common colour blindness; each has 3:1 contrast on white.
BLUE, ORANGE, GREEN, PURPLE, GREY, BLACK = "#0072B2", "#D55E00", "#00855F", "#A0527C", "#6B7280", "#111827"
SCORERS = (BLUE, GREEN, PURPLE, "#8A6D00", "#1B3A57", "#7A3B00", "#4D7C0F")
"""Of lines side by side; orange and grey mean something else."""
BAND = "rgba(107,114,128,0.22)"
DASHES = ("solid", "dash", "dot", "dashdot")

_LABEL_CHARS = 28
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of writing, and halves of characters."""


def clean(text: str) -> str:
    """Text of the user's without what no page should hold; unescaped."""
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)


def label(text: str, *, chars: int = _LABEL_CHARS) -> str:
    """Text of the user's for a plot: plotly reads tags and entities in every text, so they are escaped."""
    text = clean(text)
    # A dollar sign would begin a formula, were MathJax there.
    return escape(text if len(text) <= chars else text[: chars - 1] + "…", quote=False).replace("$", "&#36;")


def times(times_us: npt.NDArray[np.int64], plant: Plant) -> list[str]:
    """Times of an axis, to the second, on the plant's clock."""
    return [plant.local_time(time_us)[:19] for time_us in times_us.tolist()]


def day(time_us: int, plant: Plant) -> str:
    """The date of a time on the plant's clock."""
    return plant.local_time(time_us)[:10]


def numbers(values: npt.ArrayLike, *, digits: int = 4) -> list[float | None]:
    """Values of a plot to some significant digits, since the page carries every one; None where there is none."""
    found = np.asarray(values, np.float64).ravel()
    return [None if value != value else float(f"{value:.{digits}g}") for value in found.tolist()]


def lines(x: Sequence[Any], y: Sequence[Any], *, name: str, color: str, dash: str = "solid", **more: Any) -> Trace:
    """A line."""
    style = {"color": color, "width": 2, "dash": dash}
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": style} | more


def markers(x: Sequence[Any], y: Sequence[Any], *, name: str, color: str, size: float = 7, **more: Any) -> Trace:
    """Points; `marker` among `more` adds to their style."""
    style = {"color": color, "size": size} | more.pop("marker", {})
    return {"type": "scatter", "mode": "markers", "name": name, "x": x, "y": y, "marker": style} | more


def bars(x: Sequence[Any], y: Sequence[Any], *, name: str, color: str, **more: Any) -> Trace:
    """Bars, upright unless `orientation` says "h"."""
    return {"type": "bar", "name": name, "x": x, "y": y, "marker": {"color": color}} | more


def band(x: Sequence[Any], low: Floats, high: Floats, *, name: str) -> list[Trace]:
    """The space between two lines, in grey."""
    edge = {"type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}, "hoverinfo": "skip"}
    return [
        edge | {"y": numbers(low), "showlegend": False},
        edge | {"y": numbers(high), "fill": "tonexty", "fillcolor": BAND, "name": name},
    ]


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with a title."""
    return {"title": {"text": title}} | more


def share_axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis of shares, in percent from 0."""
    return axis(title, tickformat=".0%", rangemode="tozero") | more


def named_axis(names: Sequence[str], *, chars: int = 18, **more: Any) -> dict[str, Any]:
    """An axis whose places 0, 1, … carry names of the user's, first one on top.

    Numbered places, never categories: plotly takes a category "1" for a number, and merges two of one name.
    """
    ticks = {"tickvals": list(range(len(names))), "ticktext": [label(name, chars=chars) for name in names]}
    return ticks | {"autorange": "reversed", "showgrid": False, "automargin": True, "zeroline": False} | more
