"""Health of the data as a section: figures, gaps over time, sensors that hang or were interpolated, drift."""

import numpy as np

from sheetbreak.rows import BROKEN, RowBatch, Schema
from sheetbreak.times import duration
from sheetbreak.wire.messages import Plant
from trainer.data.health import (
    LINE_ROWS,
    STUCK_ROWS,
    Gaps,
    find_gaps,
    level_drift,
    missing_share,
    straight_share,
    unchanged_share,
)
from trainer.data.labels import Bools, Floats, Labels
from trainer.report.page import Cell, Plot, Section, Table
from trainer.report.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    axis,
    bars,
    day,
    markers,
    named_axis,
    numbers,
    times,
)

_WORST = 15
_NOTABLE = 0.01
"""Share of a sensor's rows from which on it is counted in the table."""
_MOSTLY = 0.5
_FAR = 3.0
"""Spreads that a level has moved from which on a sensor is said to have drifted."""
_MOST_GAPS = 2000
_MINUTES = [m * 10**power for power in range(-3, 6) for m in (1, 2, 5)]
_DRIFT_SHOWN = 6.0
"""Spreads at which the colours end."""


def health_section(rows: RowBatch, schema: Schema, labels: Labels) -> Section:
    """What is to be known of the whole file before any model is believed."""
    values = rows.values
    gaps = find_gaps(rows, schema)
    missing, stuck = missing_share(values), unchanged_share(values, labels.run)
    straight = straight_share(values, labels.run)
    drift, begins = level_drift(rows, labels.normal)
    plots = [
        _gaps_plot(gaps, schema),
        _faults_plot(schema.sensors, missing=missing, stuck=stuck, straight=straight, period_s=schema.period_s),
        _drift_plot(schema.sensors, drift, [day(int(begin), Plant.of(schema)) for begin in begins]),
    ]
    return Section(
        title="The data's own health",
        note="Of the whole file, before any model: what is wrong here, no model mends.",
        parts=[
            _table(rows, schema, gaps=gaps, missing=missing, stuck=stuck, straight=straight, drift=drift),
            *(plot for plot in plots if plot),
        ],
    )


def _table(
    rows: RowBatch,
    schema: Schema,
    *,
    gaps: Gaps,
    missing: Floats,
    stuck: Floats,
    straight: Floats,
    drift: Floats,
) -> Table:
    moved = np.abs(np.nan_to_num(drift)).max(axis=0, initial=0.0)
    broken, absent = float((rows.broken == BROKEN).sum()), float(missing.mean()) if missing.size else 0.0
    after = f"{gaps.after_break.sum():,} of them after a break; {gaps.minutes.sum() / 60:,.1f} hours in all"

    def sensors(which: Bools, beside: str = "") -> Cell:
        return Cell(f"{which.sum()} of {len(which)} sensors", beside, float(which.sum()))

    return Table(
        title="The file in figures",
        says="Good: few gaps but after breaks, no sensor that hangs or was drawn by the historian, levels that stay.",
        heads=("", "found"),
        lines=[
            ("rows", [Cell(f"{len(rows):,}", _span(rows, Plant.of(schema)), float(len(rows)))]),
            ("rows with a break", [Cell(f"{broken:,.0f}", value=broken)]),
            ("gaps longer than a stop", [Cell(f"{len(gaps.minutes):,}", after, float(len(gaps.minutes)))]),
            ("missing values", [Cell(f"{absent:.2%}", value=absent)]),
            (
                f"unchanged for {duration(STUCK_ROWS * schema.period_s)} or more, in {_NOTABLE:.0%} of the rows",
                [sensors(stuck >= _NOTABLE, f"{(stuck == 1).sum()} of them never change")],
            ),
            ("interpolated: mostly on exact straight lines while moving", [sensors(straight >= _MOSTLY)]),
            (f"level moved by {_FAR:g} spreads or more", [sensors(moved >= _FAR)]),
        ],
    )


def _span(rows: RowBatch, plant: Plant) -> str:
    if not len(rows):
        return ""
    machines = len(set(rows.machines))
    span = f"{day(int(rows.times_us.min()), plant)} to {day(int(rows.times_us.max()), plant)}"
    return f"{span}, {machines} machines" if machines > 1 else span


def _gaps_plot(gaps: Gaps, schema: Schema) -> Plot | None:
    if not len(gaps.minutes):
        return None
    kept = np.sort(np.argsort(-gaps.minutes, kind="stable")[:_MOST_GAPS])
    traces = [
        markers(
            times(gaps.end_us[kept][which], Plant.of(schema)),
            numbers(gaps.minutes[kept][which]),
            name=name,
            color=color,
            size=6,
            opacity=0.75,
            hovertemplate="%{x}: %{y:.3g} min<extra></extra>",
        )
        for name, color, which in (
            ("after a break", BLUE, gaps.after_break[kept]),
            ("without a break before", ORANGE, ~gaps.after_break[kept]),
        )
        if which.any()
    ]
    return Plot(
        id="gaps",
        title="Gaps between rows",
        says=f"Every time without rows longer than {duration(schema.stop_gap_s)}, and how long it was. Good: "
        "gaps come after breaks, while the sheet is threaded again; bad: many orange ones, rows that were lost.",
        traces=traces,
        layout={
            "xaxis": {"type": "date"},
            "yaxis": axis("minutes", type="log", tickvals=_MINUTES),
            "legend": {"itemsizing": "constant"},
        },
        tall=460,
    )


def _faults_plot(
    sensors: tuple[str, ...], *, missing: Floats, stuck: Floats, straight: Floats, period_s: float
) -> Plot | None:
    worst = np.argsort(-np.maximum(np.maximum(missing, stuck), straight), kind="stable")[:_WORST]
    worst = worst[np.maximum(np.maximum(missing, stuck), straight)[worst] > 0]
    if not len(worst):
        return None
    places = list(range(len(worst)))
    kinds = (
        ("on straight lines", straight, PURPLE),
        (f"unchanged ≥ {duration(STUCK_ROWS * period_s)}", stuck, GREEN),
        ("missing", missing, ORANGE),
    )
    return Plot(
        id="faults",
        title="Interpolated, unchanged and missing values",
        says=f"The worst sensors: moving rows on exact lines of {LINE_ROWS} rows or more, rows unchanged, rows "
        "missing, as shares. Good: short bars; bad: long purple bars, values that a historian drew and a live feed "
        "will not have.",
        traces=[
            bars(numbers(share[worst]), places, name=name, color=color, orientation="h")
            for name, share, color in kinds
            if share[worst].any()
        ],
        layout={
            "xaxis": axis("share of rows", tickformat=".0%", range=[0, 1]),
            "yaxis": named_axis([sensors[i] for i in worst]),
        },
        tall=460,
    )


def _drift_plot(sensors: tuple[str, ...], drift: Floats, begins: list[str]) -> Plot | None:
    moved = np.abs(np.nan_to_num(drift)).max(axis=0, initial=0.0)
    worst = np.argsort(-moved, kind="stable")[:_WORST]
    if not len(worst) or not moved[worst[0]]:
        return None
    every = max(len(begins) // 5, 1)
    return Plot(
        id="drift",
        title="Drifting levels",
        says=f"How far each {len(begins)}th of the file lies from the first, in the sensor's own spreads; the sensors "
        "that moved most. Good: pale; bad: deep colours, where a model of the first weeks no longer fits.",
        traces=[
            {
                "type": "heatmap",
                "x": list(range(len(begins))),
                "y": list(range(len(worst))),
                "z": [numbers(drift[:, i], digits=3) for i in worst],
                "zmin": -_DRIFT_SHOWN,
                "zmax": _DRIFT_SHOWN,
                "colorscale": [[0, BLUE], [0.5, "#f7f7f7"], [1, ORANGE]],
                "colorbar": {"thickness": 10, "title": {"text": "spreads"}},
                "text": [begins] * len(worst),
                "hovertemplate": "from %{text}: %{z:.2g} spreads<extra></extra>",
            }
        ],
        layout={
            "xaxis": {
                "tickvals": list(range(0, len(begins), every)),
                "ticktext": [begin[2:] for begin in begins[::every]],
                "showgrid": False,
            },
            "yaxis": named_axis([sensors[i] for i in worst]),
        },
        tall=460,
    )
