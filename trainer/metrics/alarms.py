"""Alarms of the deployed threshold and alert policy: what they warned of, and what they cost.

A break counts as warned, covered, unscored or neither, in the engine's words and a monitor's metric's: warned when an
alert opened 1 to 30 rows before it in the same run, so since the last break or gap; covered when one was open in those
rows, from earlier; unscored, which is in no share, when no row since the break before had a score.

With lead_rows 0 an anomaly is found when a row of it is over the threshold: neighbours may be strangers (one series a
row), and one alert then stays open over several anomalies. An alert is false when no such row lies in it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv  # not scipy.stats, for which `whatif` would wait a second

from sheetbreak.engine.alerts import WARNED_ROWS
from trainer.data.labels import Bools, Floats, Ints
from trainer.metrics.events import HORIZONS, Timeline, timeline
from trainer.metrics.hindsight import even_shifts, shifted
from trainer.metrics.scored_rows import WARNED, ScoredRows


@dataclass(frozen=True, slots=True)
class DeployedRecall:
    """Alerts opened within a horizon before a break, and those that no break followed."""

    horizon_rows: int
    warned: int
    """Breaks before which an alert opened 1…horizon_rows rows earlier in the same run; with lead_rows 0 the anomalies
    found, as under every horizon.
    """
    recall: float | None
    """As a share of the breaks that are not unscored; None without one."""
    chance: float | None
    """The same for the opening rows shifted against the breaks, mean over shifts."""
    false_alarms: int
    """Alerts opened that no break followed within horizon_rows; with lead_rows 0, that hold no anomaly found."""
    false_alarms_per_day: float | None
    false_alarms_per_1000_rows: float | None
    """Of operation: a day of milliseconds holds millions of rows, a day of days one."""
    recall_interval: tuple[float, float] | None = None
    """95 % of `recall`, exact for so few breaks (Clopper and Pearson)."""


@dataclass(frozen=True, slots=True)
class BreakLead:
    """One break and how early it was warned of."""

    row: int
    """The break's row in its file."""
    lead_minutes: float | None
    """From the earliest alert opened within the longest horizon; None: no warning."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What an operator would have seen."""

    alerts: int
    alerts_per_day: float | None
    time_in_alarm: float | None
    """Share of the operating time in which an alert was open."""
    rows_over: float | None
    """Share of the scored rows that were over the threshold."""
    breaks_warned: int
    """Before which an alert opened, within the longest horizon."""
    breaks_covered: int
    """Not warned, but an alert was open within the longest horizon, from earlier; with lead_rows 0, anomalies during
    which one was open while no row was over the threshold.
    """
    breaks_unscored: int
    """Of a machine that was not being scored; with lead_rows 0, anomalies without a score. They are in no share."""
    breaks_with_open_alert: int
    """Warned or covered."""
    median_lead_minutes: float | None
    """Over the breaks warned within the longest horizon."""
    horizons: list[DeployedRecall]
    leads: list[BreakLead]

    @property
    def breaks(self) -> int:
        """Those that could be warned of."""
        return len(self.leads) - self.breaks_unscored


def judge_deployed(rows: ScoredRows) -> Deployed:
    """Counts of the alerts that `rows` say were opened."""
    when = timeline(rows)
    opened = np.flatnonzero(rows.opened)
    operating = int(rows.operating.sum())
    warning = _warning_rows(rows)
    leads = when.lead_rows(warning, WARNED_ROWS) * rows.period_s / 60
    warned = leads >= 0
    covered, unscored = _covered(rows, when) & ~warned, _unscored(rows, when) & ~warned
    return Deployed(
        alerts=len(opened),
        alerts_per_day=len(opened) / rows.days if operating else None,
        time_in_alarm=float(rows.alert_open[rows.operating].mean()) if operating else None,
        rows_over=float(rows.over[rows.scored].mean()) if rows.scored.any() else None,
        breaks_warned=int(warned.sum()),
        breaks_covered=int(covered.sum()),
        breaks_unscored=int(unscored.sum()),
        breaks_with_open_alert=int((warned | covered).sum()),
        median_lead_minutes=float(np.median(leads[warned])) if warned.any() else None,
        horizons=[_recall(rows, when, warning, horizon=horizon, breaks=int((~unscored).sum())) for horizon in HORIZONS],
        leads=[
            BreakLead(int(row), float(lead) if lead >= 0 else None)
            for row, lead in zip(rows.row[when.break_row], leads, strict=True)
        ],
    )


def false_openings(rows: ScoredRows, when: Timeline, *, horizon: int) -> Bools:
    """(n,) True where an alert was opened that turned out false; when: the timeline of `rows`."""
    if rows.lead_rows:
        return rows.opened & (when.distance > horizon)
    place = np.arange(len(rows))
    opening = np.maximum.accumulate(np.where(rows.opened, place, -1))
    found = rows.broken & rows.over & rows.alert_open & (opening >= 0)
    found[found] = rows.run[opening[found]] == rows.run[found]  # else opened before these rows
    false = rows.opened.copy()
    false[opening[found]] = False
    return false


class BreaksWarned(NamedTuple):
    """Each break of some rows."""

    place: Ints
    """(breaks,) of its first row."""
    warned: Bools
    """(breaks,) within the longest horizon."""
    chance: Floats
    """(breaks,) the share of shifts of the same warnings that would have warned of it."""


def breaks_warned(rows: ScoredRows) -> BreaksWarned:
    """What the deployed alerts of `rows` warned of, break by break, unscored ones too."""
    when, warning = timeline(rows), _warning_rows(rows)
    shifted_ones = _warned_when_shifted(rows, when, warning, WARNED_ROWS)
    return BreaksWarned(when.break_row, when.lead_rows(warning, WARNED_ROWS) >= 0, shifted_ones.mean(axis=0))


def _warning_rows(rows: ScoredRows) -> Ints:
    """Places of the rows that warn of a break, or find an anomaly."""
    return np.flatnonzero(rows.opened if rows.lead_rows else rows.over)


def _covered(rows: ScoredRows, when: Timeline) -> Bools:
    """(breaks,) with an alert open before them. One warned of by an alert that opened before these rows is covered."""
    if not rows.lead_rows:
        return when.lead_rows(np.flatnonzero(rows.alert_open), WARNED_ROWS) >= 0
    return np.isin(rows.counted_as[when.break_row], (WARNED.index("yes"), WARNED.index("covered")))


def _unscored(rows: ScoredRows, when: Timeline) -> Bools:
    if not rows.lead_rows:
        return when.lead_rows(np.flatnonzero(rows.scored), WARNED_ROWS) < 0
    unscored: Bools = rows.counted_as[when.break_row] == WARNED.index("unscored")
    return unscored


def _recall(rows: ScoredRows, when: Timeline, warning: Ints, *, horizon: int, breaks: int) -> DeployedRecall:
    warned = int((when.lead_rows(warning, horizon) >= 0).sum())
    by_chance = _warned_when_shifted(rows, when, warning, horizon).sum(axis=1).astype(np.float64)
    false = int(false_openings(rows, when, horizon=horizon).sum())
    operating = int(rows.operating.sum())
    return DeployedRecall(
        horizon_rows=horizon,
        warned=warned,
        recall=warned / breaks if breaks else None,
        chance=float(by_chance.mean()) / breaks if breaks else None,
        false_alarms=false,
        false_alarms_per_day=false / rows.days if rows.days else None,
        false_alarms_per_1000_rows=1000 * false / operating if operating else None,
        recall_interval=share_interval(warned, breaks),
    )


def _warned_when_shifted(rows: ScoredRows, when: Timeline, warning: Ints, horizon: int) -> Bools:
    """(shifts, breaks) warned when the warning rows are shifted circularly over the scored rows."""
    scored = np.flatnonzero(rows.scored)
    if not len(scored):
        return np.zeros((1, len(when.break_row)), np.bool_)
    shifts = even_shifts(len(scored))
    position = shifted(scored, np.searchsorted(scored, warning), shifts, n=len(rows))
    return np.array(
        [when.lead_rows(row, horizon) >= 0 for row in (position % len(rows)).reshape(len(shifts), len(warning))]
    )


def share_interval(hits: int, of: int) -> tuple[float, float] | None:
    """95 % of a share that was counted, from the binomial distribution itself (Clopper and Pearson, 1934)."""
    if not of:
        return None
    low = float(betaincinv(hits, of - hits + 1, 0.025)) if hits else 0.0
    high = float(betaincinv(hits + 1, of - hits, 0.975)) if hits < of else 1.0
    return low, high
