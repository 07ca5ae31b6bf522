"""Events as a mill counts them: episodes of alarm, breaks warned in time, false alarms.

Alert rows at most 5 quiet rows apart are one episode; a stop ends it, and a lasting one counts again every 30
rows, or else an alarm that never ends would be a single false one. A break is warned(H) when an alert row
lies 1…H rows before it in the same run; an episode with no row in any such window is false. With lead_rows 0
rows are anomalous themselves and nothing is foretold: an anomaly is found when an alert row lies on it, whatever H.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sheetbreak.engine.alerts import WARNED_ROWS
from trainer.data.labels import Bools, Ints
from trainer.metrics.scored_rows import ScoredRows

HORIZONS = (2, 10, WARNED_ROWS)
"""Rows ahead of a break in which a warning counts: 4 minutes, 20 minutes and an hour at 120 s."""
QUIET_ROWS = 5
RECOUNT_ROWS = 30

_FAR = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where the breaks lie, seen from every row."""

    run: Ints
    distance: Ints
    """(n,) rows to the next break of the row's run, 0 on a broken row; very large where none comes, and on every
    intact row with lead_rows 0.
    """
    ahead: Ints
    """(n,) number of that break; -1 where none comes."""
    break_row: Ints
    """(breaks,) place of each break's first row."""

    def __len__(self) -> int:
        return len(self.run)

    def in_window(self, rows: Ints, horizon: int) -> Bools:
        """True for those of `rows`, none of them a break row without a score, that lie in the window of a break."""
        return self.distance[rows] <= horizon

    def lead_rows(self, alerts: Ints, horizon: int) -> Ints:
        """(breaks,) rows from the earliest of `alerts` in each break's window to the break; -1: none."""
        lead = np.full(len(self.break_row), -1)
        hit = alerts[self.in_window(alerts, horizon)]
        np.maximum.at(lead, self.ahead[hit], self.distance[hit])
        return lead


class Tally(NamedTuple):
    """What alert rows amount to; G groups are shifted copies or blocks of rows."""

    false: Ints
    """(horizons, G) episodes that no break followed."""
    warned: Ints
    """(horizons, G) breaks."""
    alarm_rows: Ints
    """(G,) rows within episodes, the quiet ones between alert rows included."""


def timeline(rows: ScoredRows) -> Timeline:
    """Where the breaks of `rows` lie."""
    n = len(rows)
    place = np.arange(n)
    starts = rows.break_starts
    if not rows.lead_rows:
        # A run goes on through a break, which may have begun before the first of these rows.
        starts = starts | (rows.broken & np.concatenate([[True], rows.run[1:] != rows.run[:-1]])[:n])
    next_broken = np.minimum.accumulate(np.where(rows.broken, place, n)[::-1])[::-1]
    comes = next_broken < n
    comes[comes] = rows.run[next_broken[comes]] == rows.run[comes]
    if not rows.lead_rows:
        comes &= rows.broken
    number = np.cumsum(starts) - 1
    ahead = np.full(n, -1)
    ahead[comes] = number[next_broken[comes]]
    distance = np.where(ahead >= 0, next_broken - place, _FAR)
    return Timeline(rows.run, distance, ahead, np.flatnonzero(starts))


def tally_copies(when: Timeline, position: Ints, *, copies: int = 1) -> Tally:
    """Counts per copy of the rows: position = copy · n + row, ascending, of every alert row."""
    copy, row = np.divmod(position, max(len(when), 1))
    first, new = _episode_starts(when, position)
    breaks = len(when.break_row)
    false = np.zeros((len(HORIZONS), copies), np.int64)
    warned = np.zeros_like(false)
    for h, horizon in enumerate(HORIZONS):
        hit = when.in_window(row, horizon)
        false[h] = np.bincount(copy[first][~_any_in_episode(hit, first)], minlength=copies)
        seen = np.zeros(copies * breaks, np.bool_)
        seen[copy[hit] * breaks + when.ahead[row[hit]]] = True
        warned[h] = seen.reshape(copies, breaks).sum(axis=1)
    return Tally(false, warned, _alarm_rows(position, new, group=copy, groups=copies))


def tally_blocks(when: Timeline, rows: Ints, *, block: Ints) -> Tally:
    """Counts per block of rows: an episode belongs to the block of its first row, a break to its own row's.

    rows: the alert rows, ascending; block: (n,) block number of every row, ascending from 0.
    """
    groups = int(block[-1]) + 1 if len(block) else 0
    first, new = _episode_starts(when, rows)
    false = np.zeros((len(HORIZONS), groups), np.int64)
    warned = np.zeros_like(false)
    for h, horizon in enumerate(HORIZONS):
        hit = when.in_window(rows, horizon)
        false[h] = np.bincount(block[rows[first]][~_any_in_episode(hit, first)], minlength=groups)
        seen = when.break_row[np.unique(when.ahead[rows[hit]])]
        warned[h] = np.bincount(block[seen], minlength=groups)
    return Tally(false, warned, _alarm_rows(rows, new, group=block[rows], groups=groups))


def _episode_starts(when: Timeline, position: Ints) -> tuple[Ints, Bools]:
    """Places in `position` where an episode begins, and (m,) True where one begins that is no recount."""
    copy, row = np.divmod(position, max(len(when), 1))
    new = np.ones(len(position), np.bool_)
    new[1:] = (np.diff(position) > QUIET_ROWS + 1) | (np.diff(when.run[row]) != 0) | (np.diff(copy) != 0)
    begin = np.maximum.accumulate(np.where(new, position, 0))
    recount = (position - begin) // RECOUNT_ROWS
    first = new.copy()
    first[1:] |= np.diff(recount) != 0
    return np.flatnonzero(first), new


def _any_in_episode(hit: Bools, first: Ints) -> Bools:
    return np.logical_or.reduceat(hit, first) if len(first) else np.empty(0, np.bool_)


def _alarm_rows(position: Ints, new: Bools, *, group: Ints, groups: int) -> Ints:
    """(groups,) alert rows and the quiet rows before each that belong to its episode."""
    if not len(position):
        return np.zeros(groups, np.int64)
    step = np.where(new, 1, np.diff(position, prepend=position[0]))
    return np.bincount(group, weights=step, minlength=groups).astype(np.int64)
