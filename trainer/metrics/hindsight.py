"""Hindsight: the recall that the best threshold for a rate of false alarms would give, and what chance gives.

Every score could be the threshold; each gives a number of false alarms and of warned breaks. Recall at N a
day is the best of those with at most N false alarms an operating day. Chance is the same search over the same
scores shifted circularly against the breaks: a search over thresholds finds something in noise, too.

Over several folds the figures are averaged: each fold has a model of its own, and so a threshold. One threshold for
all folds would lie among the scores of the fold that drifted most, and warn of nothing in the others.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.data.labels import Floats, Ints
from trainer.metrics.events import HORIZONS, tally_blocks, tally_copies, timeline
from trainer.metrics.scored_rows import SECONDS_PER_DAY, ScoredRows

BUDGETS = (2, 5, 10)
"""False alarms an operating day."""
RATES = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20)
"""False alarms an operating day at which the curve is kept; the budgets are among them."""
THRESHOLDS = 400
"""Thresholds tried at most; if there are more scores, every high one and the fewer the lower they are."""
SHIFTS = 50
"""Shifted copies for chance; fewer, but no less than MIN_SHIFTS, where many rows make one shift say more."""
MIN_SHIFTS = 8
SHIFTED_ROWS = 400_000
_ROWS_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class EventCurve:
    """Counts at T thresholds, highest first, of G groups: the rows as they are, resampled or shifted."""

    thresholds: Floats
    """(T,) alert rows are those that score as high or higher."""
    false: Floats
    """(T, horizons, G) false alarms."""
    warned: Floats
    """(T, horizons, G) breaks warned."""
    alarm_rows: Floats
    """(T, G)"""
    breaks: Floats
    """(G,)"""
    rows: Floats
    """(G,) operating rows."""
    days: Floats
    """(G,) operating days."""

    def best(self, horizon: int, per_day: float) -> npt.NDArray[np.int64]:
        """(G,) place of the threshold that warns of most breaks within `per_day` false alarms; -1: none does.

        The highest of those that warn as many, so that the alarm is the shortest.
        """
        h = HORIZONS.index(horizon)
        allowed = self.false[:, h] <= per_day * self.days
        warned = np.where(allowed, self.warned[:, h], 0.0)
        best = warned.argmax(axis=0) if len(warned) else np.zeros(len(self.days), np.int64)
        place: npt.NDArray[np.int64] = np.where(warned.max(axis=0, initial=0.0) > 0, best, -1)
        return place

    def recall(self, horizon: int, per_day: float) -> Floats:
        """(G,) share of all breaks that are warned at that place; NaN where there is no break."""
        place = self.best(horizon, per_day)
        h = HORIZONS.index(horizon)
        warned = np.zeros(len(self.days))
        some = place >= 0
        warned[some] = self.warned[place[some], h, np.flatnonzero(some)]
        recall: Floats = np.full(len(warned), np.nan)
        np.divide(warned, self.breaks, out=recall, where=self.breaks > 0)
        return recall


@dataclass(frozen=True, slots=True)
class RecallCurve:
    """Recall at each of RATES, for one horizon: what is kept of an EventCurve, to be drawn."""

    recall: Floats
    """(rates,) of the rows as they are."""
    chance: Floats
    """(rates, shifts)"""
    time_in_alarm: Floats
    """(rates,) share of the operating time that the threshold behind `recall` would have been in alarm."""


def recall_curve(found: EventCurve, by_chance: EventCurve, horizon: int) -> RecallCurve:
    """The recall at every rate; found: its first group is the rows as they are."""
    as_they_are = EventCurve(
        found.thresholds,
        found.false[..., :1],
        found.warned[..., :1],
        found.alarm_rows[:, :1],
        found.breaks[:1],
        found.rows[:1],
        found.days[:1],
    )
    places = [int(as_they_are.best(horizon, rate)[0]) for rate in RATES]
    in_alarm = [float(found.alarm_rows[place, 0] / found.rows[0]) if place >= 0 else 0.0 for place in places]
    return RecallCurve(
        recall=np.concatenate([as_they_are.recall(horizon, rate) for rate in RATES]),
        chance=np.stack([by_chance.recall(horizon, rate) for rate in RATES]),
        time_in_alarm=np.array(in_alarm),
    )


def candidate_thresholds(scores: Floats) -> Floats:
    """At most THRESHOLDS of the distinct scores, highest first; NaN says none."""
    ordered = np.sort(scores[~np.isnan(scores)])[::-1]
    if not len(ordered):
        return ordered
    counts = np.flatnonzero(np.append(np.diff(ordered) != 0, True)) + 1  # alert rows down to each score
    if len(counts) > THRESHOLDS:
        wanted = np.geomspace(1, len(ordered), THRESHOLDS)
        counts = counts[np.unique(np.minimum(np.searchsorted(counts, wanted), len(counts) - 1))]
    thresholds: Floats = ordered[counts - 1]
    return thresholds


def event_curve(rows: ScoredRows, thresholds: Floats, *, block: Ints, draws: Ints) -> EventCurve:
    """G groups: the rows resampled in blocks; a column of ones in `draws` is the rows as they are.

    block: (n,) block number of each row, ascending from 0; draws: (blocks, G) how often each block is drawn.
    """
    when = timeline(rows)
    scored, order, counts = _alert_order(rows, thresholds)
    blocks = len(draws)
    false = np.zeros((len(thresholds), len(HORIZONS), blocks))
    warned = np.zeros_like(false)
    alarm_rows = np.zeros((len(thresholds), blocks))
    for t, count in enumerate(counts):
        found = tally_blocks(when, np.sort(scored[order[:count]]), block=block)
        false[t], warned[t], alarm_rows[t] = found.false, found.warned, found.alarm_rows
    weights: Floats = draws.astype(np.float64)
    breaks: Floats = np.bincount(block[when.break_row], minlength=blocks).astype(np.float64) @ weights
    operating: Floats = np.bincount(block[rows.operating], minlength=blocks).astype(np.float64) @ weights
    days = operating * (rows.period_s / SECONDS_PER_DAY)
    return EventCurve(thresholds, false @ weights, warned @ weights, alarm_rows @ weights, breaks, operating, days)


def chance_curve(rows: ScoredRows, thresholds: Floats) -> EventCurve:
    """SHIFTS groups: the scores shifted circularly over the scored rows, by evenly spaced shifts."""
    shifts = even_shifts(int(rows.scored.sum()))
    when = timeline(rows)
    scored, order, counts = _alert_order(rows, thresholds)
    groups = len(shifts)
    false = np.zeros((len(thresholds), len(HORIZONS), groups))
    warned = np.zeros_like(false)
    alarm_rows = np.zeros((len(thresholds), groups))
    for t, count in enumerate(counts):
        at_once = max(_ROWS_AT_ONCE // max(int(count), 1), 1)
        for g in range(0, groups, at_once):
            some = slice(g, g + at_once)
            position = shifted(scored, order[:count], shifts[some], n=len(rows))
            found = tally_copies(when, position, copies=len(shifts[some]))
            false[t, :, some], warned[t, :, some] = found.false, found.warned
            alarm_rows[t, some] = found.alarm_rows
    one = np.ones(groups)
    breaks, operating = float(len(when.break_row)), float(rows.operating.sum())
    return EventCurve(thresholds, false, warned, alarm_rows, breaks * one, operating * one, rows.days * one)


def even_shifts(n: int) -> Ints:
    """Shifts of n rows that leave none where it was, evenly spaced."""
    count = min(max(min(SHIFTS, SHIFTED_ROWS // max(n, 1)), MIN_SHIFTS), max(n - 1, 1))
    return np.unique(np.arange(1, count + 1) * n // (count + 1))


def shifted(scored: Ints, chosen: Ints, shifts: Ints, *, n: int) -> Ints:
    """Positions copy · n + row, ascending: the chosen places of `scored`, moved on by each shift."""
    moved = np.sort((chosen[None, :] + shifts[:, None]) % max(len(scored), 1), axis=1)
    positions: Ints = (scored[moved] + np.arange(len(shifts))[:, None] * n).ravel()
    return positions


def _alert_order(rows: ScoredRows, thresholds: Floats) -> tuple[Ints, Ints, Ints]:
    """Scored rows; their places, highest score first; per threshold, how many of those are alert rows."""
    scored = np.flatnonzero(rows.scored)
    order = np.argsort(-rows.score[scored], kind="stable")
    counts = np.searchsorted(-rows.score[scored[order]], -thresholds, side="right")
    return scored, order, counts
