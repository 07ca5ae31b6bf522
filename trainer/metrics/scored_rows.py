"""Scored rows with what became of them: what every metric reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, get_args

import numpy as np

from sheetbreak.engine.alerts import AlertEvent, Warned
from sheetbreak.rows import BROKEN, RowBatch, Schema
from trainer.data.labels import Bools, Floats, Ints, Labels

SECONDS_PER_DAY = 86_400.0
WARNED: tuple[Warned, ...] = get_args(Warned)
_SHORTEST_S, _LONGEST_S = 1.0, 3600.0


def a_day_counts(period_s: float) -> bool:
    """Whether one counts in days at this sampling: one of milliseconds holds millions of rows, of days one."""
    return _SHORTEST_S <= period_s <= _LONGEST_S


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRows:
    """n rows of one or several machines; the rows of a run lie side by side and in order."""

    row: Ints
    """(n,) the row's number in its file."""
    run: Ints
    """(n,) rows of one number are one machine's, without a stop between them; a break ends a run."""
    broken: Bools
    """(n,) the sheet is broken at this row."""
    break_starts: Bools
    """(n,) broken, and the machine's row before it was not: a break, however long its label lasts."""
    will_break: Bools
    """(n,) the row metrics' label."""
    score: Floats
    """(n,) NaN where the row has none."""
    over: Bools
    """(n,) the score was over the deployed threshold."""
    opened: Bools
    """(n,) the row opened an alert."""
    alert_open: Bools
    """(n,) an alert was open, the opening row included."""
    counted_as: Ints
    """(n,) what the engine counts a break that starts here as, a place in WARNED; -1 where none does."""
    period_s: float = 120.0
    lead_rows: int = 2
    """0: the row itself is judged, so broken rows count like any other."""

    def __len__(self) -> int:
        return len(self.row)

    def of_file_rows(self, row: Ints) -> "ScoredRows":
        """Those whose number in the file is among `row`."""
        return self.take(np.isin(self.row, row))

    def take(self, rows: slice | Bools | Ints) -> "ScoredRows":
        """The rows at these places, which must not change their order."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    def with_score(self, score: Floats) -> "ScoredRows":
        """The same rows as another scorer, without a threshold of its own, sees them."""
        nothing, uncounted = np.zeros(len(self), np.bool_), np.full(len(self), -1)
        return replace(self, score=score, over=nothing, opened=nothing, alert_open=nothing, counted_as=uncounted)

    @property
    def scored(self) -> Bools:
        """(n,) True where the row has a score."""
        return ~np.isnan(self.score)

    @property
    def operating(self) -> Bools:
        """(n,) True where the machine ran: what rates per day are counted over."""
        return ~self.broken if self.lead_rows else np.ones(len(self), np.bool_)

    @property
    def judged(self) -> Bools:
        """(n,) True on the rows of the row metrics: scored, and no break rows unless lead_rows is 0."""
        return self.scored & self.operating

    @property
    def days(self) -> float:
        """Operating days: 720 rows at 120 s are one."""
        return float(self.operating.sum()) * self.period_s / SECONDS_PER_DAY


class RowResults(Protocol):
    """What became of a history's rows, as `Results` and `Alarms` have it."""

    @property
    def score(self) -> Floats:
        """(n,) NaN where the row has none."""

    @property
    def over(self) -> Bools:
        """(n,) the score was over the level."""

    @property
    def alerts(self) -> list[tuple[int, AlertEvent]]:
        """Events and their rows."""

    @property
    def breaks(self) -> list[tuple[int, Warned]]:
        """Rows at which a break begins, and what it is counted as."""


def score_rows(rows: RowBatch, labels: Labels, results: RowResults, schema: Schema) -> ScoredRows:
    """What the engine made of a history, machine after machine (in order of appearance), each as it came.

    labels and results: of these rows. Raises ValueError if they are not as many.
    """
    if not len(rows) == len(labels.run) == len(results.score):
        raise ValueError(f"{len(rows)} rows, {len(labels.run)} labels, {len(results.score)} results")
    unscored = unscored_rows(rows, labels, schema)
    order = unscored.row
    opened = [place for place, event in results.alerts if event.kind == "opened"]
    closed = [place for place, event in results.alerts if event.kind == "closed"]
    opens = np.zeros(len(rows), np.bool_)
    opens[opened] = True
    counted_as = np.full(len(rows), -1)
    for place, how in results.breaks:
        counted_as[place] = WARNED.index(how)
    return replace(
        unscored,
        score=results.score[order],
        over=results.over[order],
        opened=opens[order],
        alert_open=rows_with_open_alert(_machine_numbers(rows), opened, closed)[order],
        counted_as=counted_as[order],
    )


def unscored_rows(rows: RowBatch, labels: Labels, schema: Schema) -> ScoredRows:
    """The rows of a history in the same order, before anything scores them."""
    machine = _machine_numbers(rows)
    order = np.argsort(machine, kind="stable")
    broken = (rows.broken == BROKEN)[order]
    follows_broken = np.concatenate([[False], broken[:-1] & (np.diff(machine[order]) == 0)])[: len(rows)]
    nothing = np.zeros(len(rows), np.bool_)
    return ScoredRows(
        row=order,
        run=labels.run[order],
        broken=broken,
        break_starts=broken & ~follows_broken,
        will_break=labels.will_break[order],
        score=np.full(len(rows), np.nan),
        over=nothing,
        opened=nothing,
        alert_open=nothing,
        counted_as=np.full(len(rows), -1),
        period_s=schema.period_s,
        lead_rows=schema.lead_rows,
    )


def _machine_numbers(rows: RowBatch) -> Ints:
    names = {name: number for number, name in enumerate(dict.fromkeys(rows.machines))}
    return np.array([names[name] for name in rows.machines], np.int64)


def joined(parts: Sequence[ScoredRows]) -> ScoredRows:
    """The rows of all parts, one part after the other; no run goes on from one part into the next."""
    first_run = np.cumsum([0, *(int(part.run.max(initial=-1)) + 1 for part in parts[:-1])])
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    columns["run"] = np.concatenate([part.run + first for part, first in zip(parts, first_run, strict=True)])
    return replace(parts[0], **columns)


COLUMNS = tuple(f.name for f in fields(ScoredRows) if f.name not in ("period_s", "lead_rows"))
"""The arrays, one entry a row."""


def rows_with_open_alert(machine: Ints, opened: Iterable[int], closed: Iterable[int]) -> Bools:
    """(n,) True from the row that opened a machine's alert up to, not including, the row that closed it.

    machine: (n,) a number per machine, rows in any order; opened, closed: places of the events in it. An
    alert that nothing closes stays open to the end of its machine's rows.
    """
    change = np.zeros(len(machine), np.int64)
    np.add.at(change, np.fromiter(opened, np.int64), 1)
    np.add.at(change, np.fromiter(closed, np.int64), -1)
    order = np.argsort(machine, kind="stable")
    running = np.cumsum(change[order])
    first = np.flatnonzero(np.diff(machine[order], prepend=machine[order][:1] - 1))
    before = np.concatenate([[0], running])[first]
    is_open = np.empty(len(machine), np.bool_)
    is_open[order] = running - np.repeat(before, np.diff(first, append=len(machine))) > 0
    return is_open


def counts_events(period_s: float, lead_rows: int) -> bool:
    """Whether warnings ahead and false alarms a day mean anything: rows foretell others, and a day is a stretch."""
    return lead_rows > 0 and a_day_counts(period_s)
