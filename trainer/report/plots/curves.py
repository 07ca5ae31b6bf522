"""Curves: the leading sensors' own readings, and what the model expected, around each break and each false alarm."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainer.data.history import expect_history
from trainer.data.labels import Bools, Floats, Ints
from trainer.metrics.events import timeline
from trainer.report.alarms import LEADING, Alarm, leading_sensors, local
from trainer.report.judgement import Judged, Judgement
from trainer.report.page import Choice, Plot
from trainer.report.style import BLACK, BLUE, GREY, ORANGE, axis, clean, label, lines, numbers

MOST_VIEWS = 300
"""The latest ones: each is about 4 kB."""
BREAK = "break"
_BEFORE, _AFTER = 60, 20
"""Rows around an event."""
_LED_BY = 30
"""Rows before a break by which its leading sensors are chosen."""
_HEIGHT, _GAP = 0.28, 0.08
"""Of one sensor's curve, and between two, as shares of the plot."""


def curves_plot(judged: Judged, alarms: Sequence[Alarm]) -> Plot | None:
    """A view an event; None where there is none, or no model to ask what it expected."""
    found: list[tuple[int, str, Judgement, int, list[int]]] = []
    for one in judged.stretches:
        for place in timeline(one.rows).break_row.tolist() if one.model else ():
            leading = leading_sensors(one, max(place - _LED_BY, 0), place)
            found.append((int(one.times_us[place]), BREAK, one, place, leading))
    for alarm in alarms:
        if alarm.break_us is None and alarm.of.model:
            leading = [judged.sensors.index(name) for name in alarm.sensors]
            found.append((alarm.opened_us, "false alarm", alarm.of, alarm.place, leading))
    shown = sorted((event for event in found if event[4]), key=lambda event: event[0])[-MOST_VIEWS:]
    if not shown:
        return None
    expected = {id(one): _expected(one) for one in {id(event[2]): event[2] for event in shown}.values()}
    views = [_view(judged, event, alarms=alarms, expected=expected[id(event[2])]) for event in shown]
    rank = range(LEADING)
    return Plot(
        id="curves",
        title="The sensors themselves, around each break and each false alarm",
        says="The readings of the sensors that led, in plant units and on the plant's clock, beside what the model "
        "expected of them by the others. Black: the sheet broke; orange: an alarm opened. Good: before a break the two "
        "part, in a way that an engineer can name; of a false alarm that looks the same, ask the crew.",
        traces=[
            trace
            for i in rank
            for trace in (
                lines([], [], name="observed", color=BLUE, yaxis=_axis_name(i), showlegend=i == 0),
                lines([], [], name="expected", color=GREY, dash="dash", yaxis=_axis_name(i), showlegend=i == 0),
            )
        ],
        layout={"xaxis": axis("", type="date", anchor="y3")},
        choices=views,
        asks=f"event (of {len(views)})",
        wide=True,
        tall=560,
    )


def _expected(one: Judgement) -> Floats:
    """(rows of the history, sensors) by the stretch's model; computed to the end of its rows alone."""
    assert one.model
    end = int(one.rows.row.max()) + 1
    return expect_history(one.batch.take(slice(end)), one.model)


def _view(
    judged: Judged, event: tuple[int, str, Judgement, int, list[int]], *, alarms: Sequence[Alarm], expected: Floats
) -> Choice:
    at_us, what, one, place, leading = event
    rows = _rows_around(one, place, period_s=judged.period_s)
    file_rows = one.rows.row[rows]
    axis_of, at = _clock(judged, one.times_us[rows])
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {}
    for i in range(LEADING):
        sensor = leading[i] if i < len(leading) else None
        for values in (one.batch.values, expected):
            y = np.full(int(at.max()) + 1, np.nan)
            if sensor is not None:
                y[at] = values[file_rows, sensor]
            traces.append(axis_of | {"y": numbers(y)})
        top = 1 - i * (_HEIGHT + _GAP)
        name = "" if sensor is None else _named(judged, sensor)
        layout[_axis_key(i)] = axis(name, domain=[max(top - _HEIGHT, 0), top])
    machine = one.batch.machines[int(file_rows[0])]
    opened = [alarm.opened_us for alarm in alarms if alarm.of is one and alarm.machine == machine]
    first, last = int(one.times_us[rows[0]]), int(one.times_us[rows[-1]])
    marks = [(time_us, ORANGE) for time_us in opened if first <= time_us <= last]
    marks += [(int(one.times_us[row]), BLACK) for row in rows[one.rows.break_starts[rows]].tolist()]
    layout["shapes"] = [_mark(local(judged, time_us), color) for time_us, color in marks]
    several = f" · {clean(machine)[:24]}" if len(set(one.batch.machines)) > 1 else ""
    if what == BREAK:
        leads = [alarm.lead_minutes for alarm in alarms if alarm.break_us == at_us and alarm.machine == machine]
        what = f"break · alarm {max(lead or 0.0 for lead in leads):.3g} min ahead" if leads else "break · no alarm"
    return Choice(name=f"{local(judged, at_us)[:16]}{several} · {what}", traces=traces, layout=layout)


def _clock(judged: Judged, times_us: Ints) -> tuple[dict[str, Any], Ints]:
    """The time axis of a view's traces, and the place of each row on it; where rows are missing nothing is drawn.

    Rows that come by the period need but their first time, which makes the page half as long.
    """
    steps, left = np.divmod(times_us - times_us[0], round(judged.period_s * 1e6))
    if left.any():
        return {"x": [local(judged, time_us) for time_us in times_us.tolist()]}, np.arange(len(times_us))
    return {"x": None, "x0": local(judged, int(times_us[0])), "dx": judged.period_s * 1000}, steps


def _rows_around(one: Judgement, place: int, *, period_s: float) -> Ints:
    """Places of the same machine's rows near one of them, in time too."""
    places = np.arange(max(place - _BEFORE, 0), min(place + _AFTER + 1, len(one.rows)))
    machine = one.batch.machines[int(one.rows.row[place])]
    same: Bools = np.array([one.batch.machines[int(row)] == machine for row in one.rows.row[places]], np.bool_)
    near = np.abs(one.times_us[places] - one.times_us[place]) <= 2 * _BEFORE * period_s * 1e6
    found: Ints = places[same & near]
    return found


def _named(judged: Judged, sensor: int) -> str:
    name = judged.sensors[sensor]
    unit = judged.plant.units.get(name)
    return label(name, chars=16) + (f", {label(unit, chars=8)}" if unit else "")


def _mark(when: str, color: str) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": when,
        "x1": when,
        "y0": 0,
        "y1": 1,
        "line": {"color": color, "width": 2, "dash": "dot"},
    }


def _axis_name(i: int) -> str:
    return "y" if i == 0 else f"y{i + 1}"


def _axis_key(i: int) -> str:
    return "yaxis" if i == 0 else f"yaxis{i + 1}"
