"""Rows judged one by one: error over time, ROC, precision and recall, the confusion matrix."""

from collections.abc import Sequence

import numpy as np

from trainer.data.labels import Floats, Ints
from trainer.evaluation.tables import share
from trainer.metrics.confusion import Confusion
from trainer.metrics.evaluation import Figures
from trainer.metrics.row_metrics import precision_recall_points, roc_points
from trainer.metrics.scored_rows import joined
from trainer.report.judgement import Judged
from trainer.report.page import Plot
from trainer.report.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    Trace,
    axis,
    lines,
    markers,
    numbers,
    times,
)

_BINS = 700
"""Points of a line over time: about a desktop's pixels."""
_MOST_POSITIVES = 1500
_MOST_POINTS = 300
_LOG_FROM = 40.0
"""Highest score against the middle one from which on only a logarithmic axis shows both."""


def error_plot(judged: Judged) -> Plot | None:
    """Reconstruction error over time, by class, with the deployed threshold; None if no row was scored."""
    rows = joined([one.rows for one in judged.stretches])
    times_us = np.concatenate([one.times_us for one in judged.stretches])
    threshold = np.concatenate([one.threshold for one in judged.stretches])
    place = np.flatnonzero(rows.judged)
    if not len(place):
        return None
    place = place[np.argsort(times_us[place], kind="stable")]
    other, before = place[~rows.will_break[place]], place[rows.will_break[place]]
    many = -(-len(other) // _BINS)
    highest = _highest_of(rows.score, other, each=many)
    shown = _highest_of(rows.score, before, each=-(-len(before) // _MOST_POSITIVES))
    begins = place[:: max(len(place) // _BINS, 1)]
    breaks = np.flatnonzero(rows.break_starts)
    breaks = breaks[np.argsort(times_us[breaks], kind="stable")][:: -(-len(breaks) // _MOST_POSITIVES) or 1]
    kind = {"type": "log"} if rows.score[place].max() > _LOG_FROM * np.median(rows.score[place]) else {}
    floor = float(rows.score[place].min()) if kind else 0.0
    of = f", highest of {many} rows" if many > 1 else ""
    tick = {"symbol": "line-ns-open", "line": {"width": 1.5}}
    return Plot(
        id="error",
        title="Reconstruction error over time",
        says=f"How unlike normal operation each row looks. Good: {judged.positives_named} stand over the threshold and "
        "the other rows under it; bad: both lie mixed, or the whole cloud drifts away from the threshold.",
        traces=[
            markers(
                times(times_us[highest], judged.plant),
                numbers(rows.score[highest]),
                name=f"other rows{of}",
                color=BLUE,
                size=4,
                opacity=0.6,
            ),
            lines(
                times(times_us[begins], judged.plant),
                numbers(threshold[begins]),
                name="threshold",
                color=BLACK,
                line={"color": BLACK, "width": 1.5, "shape": "hv"},
            ),
            markers(
                times(times_us[shown], judged.plant),
                numbers(rows.score[shown]),
                name=judged.positives_named,
                color=ORANGE,
                size=6,
            ),
            markers(
                times(times_us[breaks], judged.plant),
                [floor] * len(breaks),
                name="break",
                color=ORANGE,
                size=9,
                marker=tick,
            ),
        ],
        layout={
            "xaxis": {"type": "date"},
            "yaxis": axis("error (score)", rangemode="tozero") | kind,
            "legend": {"itemsizing": "constant"},
        },
        wide=True,
        tall=360,
    )


def roc_plot(judged: Judged) -> Plot | None:
    """ROC curve; of several stretches the mean, the single ones behind it. None if a class is missing."""
    found = [points for one in judged.stretches if (points := roc_points(one.rows)) is not None]
    if not found or judged.evaluation.roc_auc is None:
        return None
    grid = np.linspace(0, 1, 101)
    traces: list[Trace] = []
    for number, (false, true, _) in enumerate(found if len(found) > 1 else []):
        kept = _thinned(len(false))
        traces.append(
            lines(
                numbers(false[kept]),
                numbers(true[kept]),
                name="single folds",
                color=BLUE,
                line={"color": BLUE, "width": 1},
                opacity=0.3,
                legendgroup="single",
                showlegend=number == 0,
                hoverinfo="skip",
            )
        )
    if len(found) == 1:
        false, true = (one[_thinned(len(found[0][0]))] for one in found[0][:2])
    else:
        false, true = grid, np.mean([np.interp(grid, one[0], one[1]) for one in found], axis=0)
    name = f"model, AUC {share(judged.evaluation.roc_auc)}"
    traces.append(lines(numbers(false), numbers(true), name=name, color=BLUE, line={"color": BLUE, "width": 3}))
    traces.append(lines([0, 1], [0, 1], name="chance, AUC .50", color=GREY, dash="dash"))
    others, positives = "other rows alarmed", "rows before a break alarmed"
    if not judged.lead_rows:
        others, positives = "normal rows alarmed", "anomalous rows alarmed"
    return Plot(
        id="roc",
        title="ROC: true alarms against false ones, row by row",
        says="At every threshold, the share of rows alarmed rightly against the share alarmed wrongly. Good: the line "
        "bends to the upper left; bad: it follows the diagonal, which is chance.",
        traces=traces,
        layout={
            "xaxis": axis(others, range=[0, 1], tickformat=".0%"),
            "yaxis": axis(positives, range=[0, 1.005], tickformat=".0%"),
        },
    )


def precision_recall_plot(judged: Judged) -> Plot | None:
    """Precision and recall over thresholds: of one stretch by its threshold, of several by the share of rows over."""
    stretches = [one for one in judged.stretches if one.figures.roc_auc is not None]
    if not stretches:
        return None
    base = judged.evaluation.positives / judged.evaluation.rows
    if len(stretches) == 1:
        found = precision_recall_points(stretches[0].rows)
        assert found is not None
        precision, recall, thresholds = (one[_thinned(len(found[2]))] for one in found)
        x, title = thresholds, axis("threshold")
        if thresholds[0] > 0 and thresholds[-1] > _LOG_FROM * np.median(thresholds):
            title = axis("threshold", type="log")
    else:
        x = np.geomspace(0.002, 1, 60)
        both = [_at_shares(one.figures, x) for one in stretches]
        precision, recall = np.mean([one[0] for one in both], axis=0), np.mean([one[1] for one in both], axis=0)
        title = axis("rows over the threshold", type="log", tickformat=".1~%", tickvals=[0.002, 0.01, 0.05, 0.2, 1])
    ends = [float(x.min()), float(x.max())]
    traces = [
        lines(numbers(x), numbers(recall), name="recall: caught", color=ORANGE, dash="dash"),
        lines(numbers(x), numbers(precision), name="precision: right", color=BLUE),
        lines(ends, [base, base], name="precision by chance", color=GREY, dash="dot"),
    ]
    if len(stretches) == 1 and (known := stretches[0].threshold[stretches[0].rows.judged]).size:
        middle = float(np.median(known))
        traces.append(lines([middle, middle], [0, 1], name="deployed (median)", color=BLACK, dash="dot"))
    return Plot(
        id="precision-recall",
        title="Precision and recall over thresholds",
        says=f"Of all {judged.positives_named}, how many are caught (recall), and how many alarmed rows are right "
        "(precision), as the threshold moves. Good: precision far above its chance line while recall is still high; "
        "bad: precision on that line.",
        traces=traces,
        layout={"xaxis": title, "yaxis": axis("", range=[0, 1.005], tickformat=".0%")},
    )


def confusion_plot(judged: Judged) -> Plot | None:
    """The confusion matrix of the deployed threshold; None if nothing was judged."""
    found = Confusion.of(joined([one.rows for one in judged.stretches]))
    if not found.rows:
        return None
    counts = np.array(
        [[found.true_negatives, found.false_positives], [found.false_negatives, found.true_positives]], np.int64
    )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    texts = [[f"{counts[i, j]:,}<br>{shares[i, j]:.1%}" for j in range(2)] for i in range(2)]
    no, yes = ("no break<br>follows", "a break<br>follows") if judged.lead_rows else ("normal", "anomalous")
    right = share(found.accuracy, 3), share(found.accuracy_of_no, 3)
    return Plot(
        id="confusion",
        title="Confusion matrix of the deployed threshold",
        says=f"Every judged row by what was said and what came. Good: large shares upper left and lower right; "
        f"accuracy ({right[0]}) says little here, since always saying no has {right[1]}.",
        traces=[
            {
                "type": "heatmap",
                "x": [0, 1],
                "y": [0, 1],
                "z": [numbers(line) for line in shares],
                "text": texts,
                "texttemplate": "%{text}",
                "textfont": {"size": 15},
                "hoverinfo": "skip",
                "colorscale": [[0, "#ffffff"], [1, "#7db8dc"]],
                "zmin": 0,
                "zmax": 1,
                "showscale": False,
                "xgap": 3,
                "ygap": 3,
            }
        ],
        layout={
            "xaxis": {"tickvals": [0, 1], "ticktext": ["under the threshold", "over it"], "showgrid": False},
            "yaxis": {"tickvals": [0, 1], "ticktext": [no, yes], "autorange": "reversed", "showgrid": False},
        },
        tall=420,
    )


def _at_shares(figures: Figures, shares: Floats) -> tuple[Floats, Floats]:
    """Precision and recall at the thresholds that so large a share of the judged rows reaches."""
    found = precision_recall_points(figures.rows)
    assert found is not None
    precision, recall, thresholds = found
    score = np.sort(figures.rows.score[figures.rows.judged])[::-1]
    wanted = score[np.clip(np.round(shares * len(score)).astype(np.int64) - 1, 0, len(score) - 1)]
    place = np.searchsorted(thresholds, wanted)
    return precision[place], recall[place]


def _highest_of(score: Floats, place: Ints, *, each: int) -> Ints:
    """Of so many places in a row the one with the highest score: decimated, no peak is lost."""
    if each <= 1:
        return place
    kept: Sequence[int] = [
        int(place[first + int(np.argmax(score[place[first : first + each]]))]) for first in range(0, len(place), each)
    ]
    return np.array(kept, np.int64)


def _thinned(count: int) -> Ints:
    """At most _MOST_POINTS places of so many, both ends among them."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(np.int64))
