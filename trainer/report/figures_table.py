"""Figures on top of a report: each in words, with what chance gives beside it."""

from collections.abc import Mapping, Sequence

from sheetbreak.times import duration
from trainer.evaluation.tables import NONE, other_breaks, percent, rate, share
from trainer.metrics.alarms import Deployed
from trainer.metrics.evaluation import Evaluation, Recall
from trainer.metrics.events import HORIZONS
from trainer.metrics.hindsight import BUDGETS
from trainer.metrics.scored_rows import a_day_counts, counts_events
from trainer.report.page import Cell, Table

Line = tuple[str, list[Cell]]


def figures_table(evaluations: Mapping[str, Evaluation], *, period_s: float, lead_rows: int) -> Table:
    """A column an evaluation, by name, of one model."""
    columns = list(evaluations.values())
    lines = [
        ("judged", [_judged(one) for one in columns]),
        *(_deployed_lines(columns, period_s) if lead_rows else []),
        (
            "ROC AUC: how often the score puts a row just before a break above another row"
            if lead_rows
            else "ROC AUC: how often the score puts an anomalous row above a normal one",
            [_auc(one) for one in columns],
        ),
        (
            "average precision: share of alarmed rows that are right, over all thresholds",
            [_precision(one) for one in columns],
        ),
        *(_recall_lines(columns, period_s) if counts_events(period_s, lead_rows) else []),
    ]
    return Table(
        title="The figures",
        says="A figure is worth its distance from chance. Deployed: what the alarm really would have done. In "
        "hindsight: with the best threshold for these rows, which nobody knows beforehand; one that is in alarm much "
        "of the time warns of little.",
        heads=("", *evaluations),
        lines=lines,
    )


def scorers_table(
    scorers: Mapping[str, Evaluation], *, period_s: float, lead_rows: int, title: str, says: str
) -> Table:
    """A line a scorer, by name."""
    points = [(HORIZONS[1], BUDGETS[1]), (HORIZONS[2], BUDGETS[1]), (HORIZONS[2], BUDGETS[2])]
    points = points if counts_events(period_s, lead_rows) else []
    heads = [f"warned ≤ {duration(h * period_s)} ahead at {budget} a day" for h, budget in points]
    return Table(
        title=title,
        says=says,
        heads=("", "ROC AUC", "average precision", *heads),
        lines=[
            (name, [_auc(one), _precision(one), *(_recall(_point(one, point)) for point in points)])
            for name, one in scorers.items()
        ],
    )


def _judged(found: Evaluation) -> Cell:
    if not found.deployed:  # no stretch of time: the breaks themselves are not among the rows
        return Cell(f"{found.rows:,} rows", f"{found.positives:,} of them positive", float(found.rows))
    beside = f"{found.operating_days:.1f} operating days · {found.rows:,} rows"
    return Cell(f"{found.breaks} break{'s' * (found.breaks != 1)}", beside, float(found.breaks))


def _auc(found: Evaluation) -> Cell:
    return Cell(share(found.roc_auc), f"chance .50{_interval(found.roc_auc_interval)}", found.roc_auc)


def _precision(found: Evaluation) -> Cell:
    chance = share(found.positives / found.rows if found.rows else None, 3)
    beside = f"chance {chance}{_interval(found.average_precision_interval, 3)}"
    return Cell(share(found.average_precision, 3), beside, found.average_precision)


def _recall_lines(columns: Sequence[Evaluation], period_s: float) -> list[Line]:
    points = [(one.horizon_rows, one.false_alarms_per_day) for found in columns[:1] for one in found.recall]
    return [
        (
            f"in hindsight at {per_day} false alarms a day: warned of at most {duration(horizon * period_s)} ahead",
            [_recall(_point(one, (horizon, per_day))) for one in columns],
        )
        for horizon, per_day in points
        if per_day == BUDGETS[1] or horizon == HORIZONS[-1]
    ]


def _recall(found: Recall | None) -> Cell:
    if not found:
        return Cell(NONE)
    interval = f" · 95 %: {percent(found.interval[0])}–{percent(found.interval[1])}" if found.interval else ""
    beside = f"chance {percent(found.chance)} %{interval} · in alarm {percent(found.time_in_alarm)} % of time"
    return Cell(f"{percent(found.recall)} %", beside, found.recall)


def _deployed_lines(columns: Sequence[Evaluation], period_s: float) -> list[Line]:
    if not any(one.deployed for one in columns):
        return []
    lines: list[Line] = []
    for place, horizon in enumerate(HORIZONS[1:], start=1):
        cells = [_warned(one.deployed, place) for one in columns]
        lines.append((f"deployed: breaks warned of at most {duration(horizon * period_s)} ahead", cells))
    return [
        *lines,
        (
            f"deployed: false alarms {'a day' if a_day_counts(period_s) else 'in 1,000 rows'}",
            [_false_alarms(one.deployed, period_s) for one in columns],
        ),
        ("deployed: time in alarm", [_in_alarm(one.deployed) for one in columns]),
    ]


def _warned(found: Deployed | None, place: int) -> Cell:
    if not found or not found.breaks:
        return Cell(NONE)
    one = found.horizons[place]
    beside = f"chance {percent(one.chance)} % · {one.warned} of {found.breaks}"
    if one.horizon_rows == HORIZONS[-1] and (others := other_breaks(found)):
        beside += f" · {others}"
    return Cell(f"{percent(one.recall)} %", beside, one.recall)


def _false_alarms(found: Deployed | None, period_s: float) -> Cell:
    if not found:
        return Cell(NONE)
    false = found.horizons[-1].false_alarms_per_day
    if not a_day_counts(period_s):
        false = found.horizons[-1].false_alarms_per_1000_rows
    return Cell(rate(false), f"{found.horizons[-1].false_alarms} of {found.alerts} alarms", false)


def _in_alarm(found: Deployed | None) -> Cell:
    if not found:
        return Cell(NONE)
    lead = found.median_lead_minutes
    beside = f"median lead {duration(lead * 60)}" if lead is not None else "no break was warned of"
    return Cell(f"{percent(found.time_in_alarm)} %", beside, found.time_in_alarm)


def _point(found: Evaluation, point: tuple[int, int]) -> Recall | None:
    return next((one for one in found.recall if (one.horizon_rows, one.false_alarms_per_day) == point), None)


def _interval(found: tuple[float, float] | None, digits: int = 2) -> str:
    return f" · 95 %: {share(found[0], digits)}–{share(found[1], digits)}" if found else ""
