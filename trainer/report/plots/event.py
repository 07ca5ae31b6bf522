"""Breaks and false alarms: recall against false alarms a day, lead times, what each fold gave."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from sheetbreak.times import duration
from trainer.data.labels import Floats
from trainer.metrics.evaluation import Evaluation, Figures, Recall, mean_known
from trainer.metrics.events import HORIZONS
from trainer.metrics.hindsight import BUDGETS, RATES
from trainer.report.page import Choice, Plot
from trainer.report.style import (
    BLACK,
    BLUE,
    DASHES,
    GREY,
    ORANGE,
    SCORERS,
    Trace,
    axis,
    band,
    bars,
    label,
    lines,
    markers,
    numbers,
    share_axis,
)

SHOWN = HORIZONS[-1], BUDGETS[1]
"""The horizon and rate of false alarms that single bars show."""
_LEAD_BINS = 10


def recall_plot(
    scorers: Mapping[str, tuple[Evaluation, Sequence[Figures]]], *, period_s: float, shown: int = 1
) -> Plot | None:
    """Recall against false alarms a day, a line a scorer by name; chance is the first one's. None without events.

    Each scorer: its evaluation and the figures of the stretches behind it. Beyond the first `shown` a line is drawn
    when its name in the legend is chosen.
    """
    known = {
        name: (evaluation, found)
        for name, (evaluation, all_figures) in scorers.items()
        if (found := [one for one in all_figures if one.curves])
    }
    if not known:
        return None
    views = [_recall_traces(known, horizon, shown=shown) for horizon in reversed(HORIZONS)]
    data = ("y", "error_y", "customdata")
    return Plot(
        id="recall",
        title="Breaks warned of, against false alarms a day",
        says="The best that one threshold, set with hindsight, gives at each rate of false alarms. Good: the line lies "
        "above the grey band, where scores moved against the breaks would be 95 % of the time, while the dotted time "
        "in alarm stays low; bad: within the band, or an alarm that hardly ever closes.",
        traces=views[0],
        layout={
            "xaxis": axis("false alarms an operating day", range=[0, max(RATES) + 0.5]),
            "yaxis": share_axis("breaks warned of", range=[0, 1.01]),
            "hovermode": "x unified",
            "legend": {"traceorder": "normal"},
        },
        choices=[
            Choice(
                name=f"at most {duration(horizon * period_s)} ahead",
                traces=[{key: trace[key] for key in data if key in trace} for trace in view],
            )
            for horizon, view in zip(reversed(HORIZONS), views, strict=True)
        ],
        asks="warned",
        wide=True,
        tall=380,
    )


def lead_plot(evaluation: Evaluation, figures: Sequence[Figures], *, period_s: float) -> Plot | None:
    """How early breaks were warned of, by the deployed alarm and by the best threshold; None without a break."""
    if not evaluation.breaks or not any(one.points for one in figures):
        return None
    longest = HORIZONS[-1] * period_s / 60
    edges = np.linspace(0, longest, _LEAD_BINS + 1)
    hindsight = np.concatenate([one.points[SHOWN].leads for one in figures if one.points])
    names = [*(f"{low:.3g}–{high:.3g}" for low, high in pairwise(edges)), "none"]
    traces = []
    if evaluation.deployed:
        deployed = np.array([lead.lead_minutes for lead in evaluation.deployed.leads if lead.lead_minutes is not None])
        counts = _lead_counts(deployed.astype(np.float64), edges, breaks=evaluation.breaks)
        traces.append(bars(list(range(len(counts))), counts, name="deployed alarm", color=BLUE))
    counts = _lead_counts(hindsight, edges, breaks=evaluation.breaks)
    name = f"best threshold at {SHOWN[1]} a day"
    traces.append(bars(list(range(len(counts))), counts, name=name, color=ORANGE))
    return Plot(
        id="lead",
        title="Lead time of the warnings",
        says="Minutes from the earliest warning to the break, and breaks without any. Good: most breaks far left of "
        "“none” with time enough to act; bad: a tall bar at “none”.",
        traces=traces,
        layout={
            "xaxis": axis("minutes ahead", tickvals=list(range(len(names))), ticktext=names, tickangle=-45),
            "yaxis": axis("breaks", rangemode="tozero"),
        },
    )


def fold_auc_plot(scorers: Mapping[str, Sequence[Evaluation]]) -> Plot | None:
    """ROC AUC by fold, a bar a scorer by name; whiskers where there is one scorer alone. None if a class is missing."""
    if all(one.roc_auc is None for folds in scorers.values() for one in folds):
        return None
    count = max(len(folds) for folds in scorers.values())
    traces: list[Trace] = []
    for number, (name, folds) in enumerate(scorers.items()):
        aucs = [one.roc_auc for one in folds]
        traces.append(
            bars(
                list(range(1, len(folds) + 1)),
                numbers(np.array(aucs, np.float64)),
                name=label(name, chars=36),
                color=SCORERS[number % len(SCORERS)],
                **({"error_y": _whiskers(aucs, [one.roc_auc_interval for one in folds])} if len(scorers) == 1 else {}),
            )
        )
    return Plot(
        id="fold-auc",
        title="ROC AUC by fold",
        says="How well each fold's score ranks rows before a break above others"
        + ("; whiskers: 95 %." if len(scorers) == 1 else ".")
        + " Good: every bar above the dashed line of chance; bad: bars that cross it, or fall from fold to fold.",
        traces=[*traces, lines([0.5, count + 0.5], [0.5, 0.5], name="chance", color=BLACK, dash="dash")],
        layout={"xaxis": axis("fold", dtick=1), "yaxis": axis("ROC AUC", range=[0, 1])},
    )


def fold_recall_plot(evaluations: Sequence[Evaluation], *, period_s: float) -> Plot | None:
    """Recall of each fold at SHOWN, chance beside; None without events."""
    points = [_at(one.recall, *SHOWN) for one in evaluations]
    known = [(number, one) for number, one in enumerate(points, start=1) if one]
    if not known:
        return None
    folds = [number for number, _ in known]
    recall = [one.recall for _, one in known]
    return Plot(
        id="fold-recall",
        title=f"Breaks warned of at {SHOWN[1]} false alarms a day, by fold",
        says=f"At most {duration(SHOWN[0] * period_s)} ahead, best threshold in hindsight; whiskers: 95 %. Good: "
        "blue well above grey in every fold; bad: no higher than chance.",
        traces=[
            bars(
                folds,
                numbers(recall),
                name="model",
                color=BLUE,
                error_y=_whiskers(recall, [one.interval for _, one in known]),
            ),
            bars(folds, numbers([one.chance for _, one in known]), name="chance", color=GREY),
        ],
        layout={
            "xaxis": axis("fold", dtick=1, range=[0.4, len(evaluations) + 0.6]),
            "yaxis": share_axis("breaks warned of", range=[0, 1.01]),
        },
    )


def _recall_traces(
    known: Mapping[str, tuple[Evaluation, Sequence[Figures]]], horizon: int, *, shown: int
) -> list[Trace]:
    rates = list(RATES)
    first, first_figures = next(iter(known.values()))
    chance = _chance(first_figures, horizon)
    low, high = np.percentile(chance, [2.5, 97.5], axis=1)
    points = [one for one in first.recall if one.horizon_rows == horizon]
    traces = [
        *band(rates, low, high, name="chance, 95 %"),
        lines(rates, numbers(chance.mean(axis=1)), name="chance", color=GREY, dash="dash"),
        lines(
            rates,
            numbers(mean_known([one.curves[horizon].time_in_alarm for one in first_figures])),
            name="time in alarm",
            color=ORANGE,
            dash="dot",
        ),
    ]
    for number, (name, (_, figures)) in enumerate(known.items()):
        traces.append(
            lines(
                rates,
                numbers(mean_known([one.curves[horizon].recall for one in figures])),
                name=label(name, chars=36),
                color=SCORERS[number % len(SCORERS)],
                dash=DASHES[number // len(SCORERS) % len(DASHES)],
                visible=True if number < shown else "legendonly",
            )
        )
    traces.append(
        markers(
            [one.false_alarms_per_day for one in points],
            numbers([one.recall for one in points]),
            name="95 % of resampled months",
            color=BLUE,
            size=8,
            error_y=_whiskers([one.recall for one in points], [one.interval for one in points]),
            showlegend=False,
            hoverinfo="skip",
        )
    )
    return traces


def _chance(figures: Sequence[Figures], horizon: int) -> Floats:
    """(rates, shifts) mean over stretches, shift by shift; where one has fewer, evenly spaced ones of the others."""
    each = [one.curves[horizon].chance for one in figures]
    count = min(one.shape[1] for one in each)
    return mean_known([one[:, np.linspace(0, one.shape[1] - 1, count).astype(np.int64)] for one in each])


def _at(recall: Sequence[Recall], horizon: int, per_day: int) -> Recall | None:
    wanted = (horizon, per_day)
    return next((one for one in recall if (one.horizon_rows, one.false_alarms_per_day) == wanted), None)


def _whiskers(values: Sequence[float | None], intervals: Sequence[tuple[float, float] | None]) -> dict[str, object]:
    """Error bars from intervals; where there is none, none."""
    up, down = [], []
    for value, found in zip(values, intervals, strict=True):
        known = found if value is not None and found else None
        up.append(max(known[1] - (value or 0), 0.0) if known else 0.0)
        down.append(max((value or 0) - known[0], 0.0) if known else 0.0)
    style = {"color": BLACK, "thickness": 1.2, "width": 4}
    return {"type": "data", "symmetric": False, "array": numbers(up), "arrayminus": numbers(down)} | style


def _lead_counts(leads: Floats, edges: Floats, *, breaks: int) -> list[int]:
    """Breaks a bin, a lead on an edge in the lower one, and those without a warning."""
    place = np.clip(np.searchsorted(edges, leads - 1e-9) - 1, 0, len(edges) - 2)
    counts = np.bincount(place, minlength=len(edges) - 1)
    return [*counts.tolist(), breaks - len(leads)]
