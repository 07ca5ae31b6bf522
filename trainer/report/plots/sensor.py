"""Sensors: which of them the error comes from, and what they did in the hour before each break."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainer.data.labels import Bools, Floats, Ints
from trainer.metrics.events import HORIZONS, timeline
from trainer.report.alarms import local
from trainer.report.judgement import Judged, Judgement, error_shares
from trainer.report.page import Choice, Plot
from trainer.report.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    axis,
    bars,
    clean,
    label,
    lines,
    markers,
    named_axis,
    numbers,
)

WORST = 10
_BESIDE_A_BREAK = 6
MOST_BREAKS = 400
"""Timelines on a page, the latest ones: each is about 2 kB."""
_NAME_CHARS = 12


def worst_sensors_plot(judged: Judged) -> Plot | None:
    """The sensors with the largest share of the error before breaks and on alarms; None if nothing was scored."""
    shares = np.concatenate([one.shares for one in judged.stretches])
    before = np.concatenate([one.rows.will_break for one in judged.stretches])
    over = np.concatenate([one.rows.over for one in judged.stretches])
    known = ~np.isnan(shares).any(axis=1)
    kinds = {
        judged.positives_named: (before & known, ORANGE),
        "rows over the threshold": (over & known, BLUE),
        "all other rows": (~before & ~over & known, GREY),
    }
    means = {name: shares[which].mean(axis=0) for name, (which, _) in kinds.items() if which.any()}
    judging = [mean for name, mean in means.items() if name != "all other rows"] or list(means.values())
    if not judging:
        return None
    worst = np.argsort(-np.mean(judging, axis=0), kind="stable")[:WORST]
    names = [judged.sensors[i] for i in worst]
    return Plot(
        id="sensors",
        title=f"The {len(worst)} worst sensors",
        says=f"Their mean share of a row's error; one of {len(judged.sensors)} sensors alike would have "
        f"{1 / len(judged.sensors):.1%}. Orange or blue far above grey: the sensor tells of breaks or raises the "
        "alarms; all three high: it is always hard to rebuild, look at it first.",
        traces=[
            bars(numbers(means[name][worst]), list(range(len(worst))), name=name, color=color, orientation="h")
            for name, (_, color) in kinds.items()
            if name in means
        ],
        layout={
            "xaxis": axis("share of the error", tickformat=".1~%", rangemode="tozero"),
            "yaxis": named_axis(names),
        },
        tall=420,
    )


def breaks_plot(judged: Judged) -> Plot | None:
    """A view a break: score, threshold and open alarm in the time before it, and the sensors it came from."""
    found = [(one, int(place)) for one in judged.stretches for place in timeline(one.rows).break_row]
    found.sort(key=lambda pair: int(pair[0].times_us[pair[1]]))
    found = found[-MOST_BREAKS:]
    if not found:
        return None
    minutes = HORIZONS[-1] * judged.period_s / 60
    views = [_view(one, place, judged) for one, place in found]
    heat = {
        "type": "heatmap",
        "yaxis": "y2",
        "zmin": 0,
        "zmax": 0.25,
        "colorscale": [[0, "#f3f4f6"], [0.4, "#f2b48a"], [1, "#9a3f00"]],
        "colorbar": {"len": 0.42, "y": 0.2, "thickness": 10, "tickformat": ".0%", "title": {"text": "share"}},
        "hovertemplate": "%{x:.0f} min: %{z:.1%}<extra></extra>",
    }
    return Plot(
        id="breaks",
        title="Each break: the time before it",
        says="Score against threshold, and the leading sensors' share of the error, up to the break at 0. Good: the "
        "score climbs over the threshold and stays there while the same few sensors lead; bad: it is under it "
        "all along, or over it by a row at random.",
        traces=[
            lines([], [], name="score", color=BLUE),
            lines([], [], name="threshold", color=BLACK, dash="dash"),
            markers([], [], name="alarm open", color=ORANGE, size=8),
            heat,
        ],
        layout={
            "xaxis": axis("minutes before the break", range=[-minutes * 1.02, minutes * 0.02], anchor="y2"),
            "yaxis": axis("error", domain=[0.5, 1], rangemode="tozero"),
        },
        choices=views,
        asks=f"break (of {len(views)})",
        wide=True,
        tall=460,
    )


def _view(one: Judgement, place: int, judged: Judged) -> Choice:
    rows = _rows_before(one, place, period_s=judged.period_s)
    numbers_in_file = one.rows.row[rows]
    ahead_us = one.batch.times_us[numbers_in_file] - one.times_us[place]
    minutes = numbers(ahead_us / 60e6)
    score, is_open = one.rows.score[rows], one.rows.alert_open[rows]
    shares = error_shares(one.results.contributions[numbers_in_file])
    mean = _mean_share(shares)
    top = np.argsort(-mean, kind="stable")[:_BESIDE_A_BREAK]
    names = [label(judged.sensors[i], chars=_NAME_CHARS) for i in top]
    return Choice(
        name=_name(one, place, judged=judged, is_open=is_open & (ahead_us < 0), minutes=ahead_us / 60e6),
        traces=[
            {"x": minutes, "y": numbers(score)},
            {"x": minutes, "y": numbers(one.results.threshold[numbers_in_file])},
            {"x": minutes, "y": numbers(np.where(is_open, score, np.nan))},
            {"x": minutes, "y": list(range(len(top))), "z": [numbers(shares[:, i], digits=2) for i in top]},
        ],
        layout={"yaxis2": _sensor_axis(names)},
    )


def _sensor_axis(names: Sequence[str]) -> dict[str, Any]:
    ticks = {"tickvals": list(range(len(names))), "ticktext": list(names)}
    return {"domain": [0, 0.4], "autorange": "reversed", "showgrid": False, "zeroline": False} | ticks


def _rows_before(one: Judgement, place: int, *, period_s: float) -> Ints:
    """Places of the same machine's rows within the longest horizon before the break, and the break's own."""
    first = max(place - HORIZONS[-1], 0)
    places = np.arange(first, place + 1)
    machine = one.batch.machines[int(one.rows.row[place])]
    same: Bools = np.array([one.batch.machines[int(row)] == machine for row in one.rows.row[places]], np.bool_)
    near = one.times_us[place] - one.times_us[places] <= HORIZONS[-1] * period_s * 1e6
    found: Ints = places[same & near]
    return found


def _mean_share(shares: Floats) -> Floats:
    """(sensors,) over the rows that were scored; 0 without any."""
    known = ~np.isnan(shares).any(axis=1)
    mean: Floats = shares[known].mean(axis=0) if known.any() else np.zeros(shares.shape[1])
    return mean


def _name(one: Judgement, place: int, *, judged: Judged, is_open: Bools, minutes: Floats) -> str:
    """Of a break: when by the plant's clock, on which machine of several, and whether an alarm was open before it."""
    row = int(one.rows.row[place])
    when = local(judged, int(one.batch.times_us[row]))
    machine = f" · {clean(one.batch.machines[row])[:24]}" if len(set(one.batch.machines)) > 1 else ""
    opened = f" · alarm {-minutes[is_open].min():.3g} min ahead" if is_open.any() else " · no alarm"
    return f"{when}{machine}{opened}"
