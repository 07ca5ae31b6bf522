"""Search over alert policies on stored scores: what each warns of at five false alarms a day, and how sure that is."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.thresholds import TRAILING_ROWS, Threshold
from sheetbreak.rows import RowBatch, Schema
from trainer.data.history import admit_history
from trainer.data.labels import Floats, Ints, Labels
from trainer.data.splits import Split
from trainer.metrics.bootstrap import blocks_of, draw_blocks
from trainer.metrics.events import HORIZONS, Timeline, timeline
from trainer.metrics.hindsight import EventCurve, even_shifts, shifted
from trainer.metrics.scored_rows import ScoredRows, score_rows
from trainer.training.alarm_replay import Alarms, ScoredHistory
from trainer.training.threshold_evidence import evidence_from
from trainer.training.threshold_policies import TRAILING_BUDGET, TRIED, parse_policy

JUDGED = (10, 30)
"""Horizons, in rows, that the search is for."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An alert policy, and the window of the trailing level; 0 rows: a fixed level."""

    policy: AlertPolicy = field(default_factory=AlertPolicy)
    trailing_rows: int = TRAILING_ROWS

    def text(self) -> str:
        """Where it differs from the default."""
        plain = Candidate()
        found = [
            f"{name} {getattr(self.policy, name)}"
            for name in KNOBS
            if name != "trailing_rows" and getattr(self.policy, name) != getattr(plain.policy, name)
        ]
        if self.trailing_rows != plain.trailing_rows:
            found.append(f"trailing_rows {self.trailing_rows}" if self.trailing_rows else "a fixed level")
        return ", ".join(found) or "default"


KNOBS: dict[str, tuple[Any, ...]] = {
    "open_after": (1, 2, 3),
    "close_after": (2, 5, 10, 20, 30),
    "close_ratio": (0.8, 0.9, 0.95, 1.0),
    "restart_rows": (5, 15, 30, 60),
    "rearm_rows": (0, 15, 30, 60, 120),
    "grade_change_rows": (0, 15, 30, 60),
    "trailing_rows": (0, 480, 720, 1440, 2880),
}
"""What is tried, each knob beside the others' values of the moment."""
LOOK_BACK_ROWS = 3600
"""Rows before the validation rows from which on scores are judged: they fill the longest trailing window."""


def neighbours(candidate: Candidate) -> Iterator[Candidate]:
    """The candidates that differ from this one in one knob."""
    for name, values in KNOBS.items():
        for value in values:
            if name == "trailing_rows":
                other = replace(candidate, trailing_rows=int(value))
            else:
                other = replace(candidate, policy=replace(candidate.policy, **{name: value}))
            if other != candidate:
                yield other


class Fold:
    """One fold as one model scored it."""

    def __init__(
        self,
        number: int,
        split: Split,
        score: Floats,
        *,
        rows: RowBatch,
        labels: Labels,
        schema: Schema,
        choose: Ints,
        per_grade: bool = False,
    ) -> None:
        """score: of every row, NaN where it has none. choose: the rows before the test rows that choose a level.

        per_grade: with a level for each grade.
        """
        self.number, self._first = number, max(int(choose.min()) - LOOK_BACK_ROWS, 0)
        held = slice(self._first, int(split.test.max()) + 1)
        self._history = ScoredHistory(
            rows.take(held),
            score[held],
            admitted=admit_history(rows.take(held), schema, break_is_stop=True),
            schema=schema,
            break_is_stop=True,
            keep_levels=True,
        )
        scored = score_rows(rows, labels, Alarms(score, np.zeros(len(score), np.bool_), [], []), schema)
        self._test, self._past = scored.of_file_rows(split.test), scored.of_file_rows(np.arange(choose.max() + 1))
        self._choose, self._days = choose, scored.of_file_rows(choose).days
        fit = split.fit[labels.normal[split.fit]]
        evidence = evidence_from(
            rows,
            labels,
            score,
            fit=fit,
            validation=split.validation,
            past=choose,
            count=_not_asked,
            settle=partial(_not_asked, choose),
            period_s=schema.period_s,
        )
        by_grade = "/grade" if per_grade else ""
        self._thresholds = [parse_policy(f"trailing:{round(q, 4)}{by_grade}")(evidence) for q in TRIED.tolist()]

    def figures(self, candidate: Candidate) -> "Figures":
        """What the candidate gives at each of TRIED, on test rows; and which of them the rows before choose."""
        opened = []
        for threshold in self._thresholds:
            if candidate.trailing_rows:
                threshold = replace(threshold, trailing_rows=candidate.trailing_rows)
            else:
                threshold = replace(threshold, quantile=None)
            opened.append(self._first + np.array(self._history.alarms(threshold, candidate.policy).opened, np.int64))
        chosen = _chosen([self._false_per_day(rows) for rows in opened])
        return _figures(self._test, [_places(self._test, rows) for rows in opened], chosen, part=self.number)

    def _false_per_day(self, opened: Ints) -> float:
        """On the rows that choose."""
        places = _places(self._past, np.intersect1d(opened, self._choose))
        return float((~timeline(self._past).in_window(places, JUDGED[-1])).sum()) / max(self._days, 1e-9)


def _not_asked(_rows: Ints, _threshold: Threshold) -> float:
    raise AssertionError("a trailing quantile that is given needs no count of alarms")


class Figures(NamedTuple):
    """Of one fold: (horizons, 1 + DRAWS) as it is in column 0, then resampled."""

    recall: Floats
    """At the trailing level that is best in hindsight within TRAILING_BUDGET false alarms a day."""
    chance: Floats
    """(horizons,) the same for the openings shifted against the breaks, mean over shifts."""
    deployed: Floats
    """At the level that rows before the test rows chose."""
    deployed_chance: Floats
    deployed_false: Floats
    """(1 + DRAWS,) false alarms a day there, by the longest horizon."""


def mean_figures(found: list[Figures]) -> Figures:
    """Mean over folds and seeds, draw by draw; a draw without a break in a fold leaves that fold out."""
    with np.errstate(all="ignore"):
        return Figures(*(np.nanmean(np.stack(column), axis=0) for column in zip(*found, strict=True)))


def _figures(rows: ScoredRows, opened: list[Ints], chosen: int, *, part: int) -> Figures:
    block, when = blocks_of(rows), timeline(rows)
    draws = draw_blocks(int(block[-1]) + 1, part=part)
    real = _curve(rows, when, [(places, block[places]) for places in opened], block_of_break=block, draws=draws)
    scored = np.flatnonzero(rows.scored)
    shifts = even_shifts(len(scored))
    moved = []
    for places in opened:
        position = shifted(scored, np.searchsorted(scored, places), shifts, n=len(rows))
        moved.append((position % len(rows), position // len(rows)))
    by_chance = _curve(rows, when, moved, block_of_break=None, draws=np.eye(len(shifts), dtype=np.int64))
    longest = HORIZONS.index(JUDGED[-1])
    return Figures(
        recall=np.stack([real.recall(h, TRAILING_BUDGET) for h in JUDGED]),
        chance=np.array([by_chance.recall(h, TRAILING_BUDGET).mean() for h in JUDGED]),
        deployed=np.stack([_share(real, h, chosen) for h in JUDGED]),
        deployed_chance=np.array([_share(by_chance, h, chosen).mean() for h in JUDGED]),
        deployed_false=real.false[chosen, longest] / np.maximum(real.days, 1e-9),
    )


def _curve(
    rows: ScoredRows, when: Timeline, alarms: list[tuple[Ints, Ints]], *, block_of_break: Ints | None, draws: Ints
) -> EventCurve:
    """Counts per group. alarms: per threshold the opening rows and each one's group; block_of_break: None where the
    groups are shifted copies, each of which has all breaks.
    """
    groups, breaks = len(draws), len(when.break_row)
    false = np.zeros((len(alarms), len(HORIZONS), groups))
    warned = np.zeros_like(false)
    for t, (places, group) in enumerate(alarms):
        for h, horizon in enumerate(HORIZONS):
            hit = when.in_window(places, horizon)
            false[t, h] = np.bincount(group[~hit], minlength=groups)
            ahead = when.ahead[places[hit]]
            if block_of_break is None:
                seen = np.unique(group[hit] * breaks + ahead) // breaks
            else:
                seen = block_of_break[when.break_row[np.unique(ahead)]]
            warned[t, h] = np.bincount(seen, minlength=groups)
    weights = draws.astype(np.float64)
    if block_of_break is None:
        all_breaks, days = np.full(groups, float(breaks)), np.full(groups, rows.days)
    else:
        all_breaks = np.bincount(block_of_break[when.break_row], minlength=groups) @ weights
        of_day = rows.days / max(int(rows.operating.sum()), 1)
        days = np.bincount(block_of_break[rows.operating], minlength=groups) @ weights * of_day
    none = np.zeros((len(alarms), weights.shape[1]))
    return EventCurve(TRIED, false @ weights, warned @ weights, none, all_breaks, none[0], days)


def _share(curve: EventCurve, horizon: int, place: int) -> Floats:
    warned = curve.warned[place, HORIZONS.index(horizon)]
    share: Floats = np.full(len(warned), np.nan)
    np.divide(warned, curve.breaks, out=share, where=curve.breaks > 0)
    return share


def _places(rows: ScoredRows, file_rows: Ints) -> Ints:
    """Places in `rows` of those of the file's rows that are among them."""
    return np.flatnonzero(np.isin(rows.row, file_rows))


def _chosen(false_per_day: list[float]) -> int:
    """As `trailing` alone chooses: the last one, from the top, before the first beyond the budget."""
    beyond = [i for i, rate in enumerate(false_per_day) if rate > TRAILING_BUDGET]
    return max(beyond[0] - 1, 0) if beyond else len(false_per_day) - 1
