"""What the deployed threshold and alert policy really gave: alert events, not the oracle's episodes."""

from dataclasses import dataclass

import numpy as np

from trainer.events import HORIZONS, Timeline, timeline
from trainer.labels import Floats, Ints
from trainer.oracle import even_shifts, shifted
from trainer.scored_rows import ScoredRows

WARNED_ROWS = HORIZONS[-1]


@dataclass(frozen=True, slots=True)
class DeployedRecall:
    """Alerts opened within a horizon before a break, and those that no break followed."""

    horizon_rows: int
    warned: int
    """Breaks before which an alert opened 1…horizon_rows rows earlier in the same run."""
    recall: float | None
    """As a share of all breaks; None without a break."""
    chance: float | None
    """The same for the opening rows shifted against the breaks, mean over shifts."""
    false_alarms: int
    """Alerts opened that no break followed within horizon_rows."""
    false_alarms_per_day: float | None


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
    breaks_with_open_alert: int
    """Breaks with an alert open, whenever it opened, within the longest horizon: what the monitor counts."""
    median_lead_minutes: float | None
    """Over the breaks warned within the longest horizon."""
    horizons: list[DeployedRecall]
    leads: list[BreakLead]


def judge_deployed(rows: ScoredRows) -> Deployed:
    """Counts of the alerts that `rows` say were opened."""
    when = timeline(rows)
    opened = np.flatnonzero(rows.opened)
    operating = int(rows.operating.sum())
    leads = when.lead_rows(opened, WARNED_ROWS) * rows.period_s / 60
    warned = leads[leads >= 0]
    seen_open = when.lead_rows(np.flatnonzero(rows.alert_open), WARNED_ROWS) >= 0
    return Deployed(
        alerts=len(opened),
        alerts_per_day=len(opened) / rows.days if operating else None,
        time_in_alarm=float(rows.alert_open[rows.operating].mean()) if operating else None,
        rows_over=float(rows.over[rows.scored].mean()) if rows.scored.any() else None,
        breaks_with_open_alert=int(seen_open.sum()),
        median_lead_minutes=float(np.median(warned)) if len(warned) else None,
        horizons=[_recall(rows, when, opened, horizon) for horizon in HORIZONS],
        leads=[
            BreakLead(int(row), float(lead) if lead >= 0 else None)
            for row, lead in zip(rows.row[when.break_row], leads, strict=True)
        ],
    )


def _recall(rows: ScoredRows, when: Timeline, opened: Ints, horizon: int) -> DeployedRecall:
    breaks = len(when.break_row)
    warned = int((when.lead_rows(opened, horizon) >= 0).sum())
    false = int((~when.in_window(opened, horizon)).sum())
    return DeployedRecall(
        horizon_rows=horizon,
        warned=warned,
        recall=warned / breaks if breaks else None,
        chance=float(_warned_by_chance(rows, when, opened, horizon).mean()) / breaks if breaks else None,
        false_alarms=false,
        false_alarms_per_day=false / rows.days if rows.days else None,
    )


def _warned_by_chance(rows: ScoredRows, when: Timeline, opened: Ints, horizon: int) -> Floats:
    """(shifts,) breaks warned when the opening rows are shifted circularly over the scored rows."""
    scored = np.flatnonzero(rows.scored)
    if not len(scored):
        return np.zeros(1)
    shifts = even_shifts(len(scored))
    position = shifted(scored, np.searchsorted(scored, opened), shifts, n=len(rows))
    return np.array(
        [
            float((when.lead_rows(row, horizon) >= 0).sum())
            for row in (position % len(rows)).reshape(len(shifts), len(opened))
        ]
    )
