"""Scored rows that hypothesis draws for the tests of metrics, and a slow, plain reading of the protocol."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from sheetbreak.engine.alerts import WARNED_ROWS, Warned
from trainer.data.labels import Bools
from trainer.metrics.scored_rows import WARNED, ScoredRows

LEADS = st.sampled_from([0, 1, 2, 5])
QUIET, RECOUNT = 5, 30


def make_rows(
    score: npt.ArrayLike,
    *,
    breaks: Iterable[int] = (),
    stops: Iterable[int] = (),
    over: Iterable[int] = (),
    opened: Iterable[int] = (),
    alert_open: Iterable[int] = (),
    lead_rows: int = 2,
    period_s: float = 120.0,
    first_row: int = 0,
) -> ScoredRows:
    """Rows of one machine: breaks at the places named, a gap before each place in `stops`."""
    score = np.array(score, np.float64)
    n = len(score)

    def mask(places: Iterable[int]) -> Bools:
        found = np.zeros(n, np.bool_)
        found[list(places)] = True
        return found

    broken = mask(breaks)
    new_run = mask(stops)
    follows = np.concatenate([[False], broken[:-1]])[:n]
    run = np.cumsum(new_run | (follows & (lead_rows > 0)), dtype=np.int64)
    will_break = np.array(
        [any(broken[i + 1 : i + 1 + lead_rows] & (run[i + 1 : i + 1 + lead_rows] == run[i])) for i in range(n)],
        np.bool_,
    )
    if lead_rows:
        score = np.where(broken, np.nan, score)
    rows = ScoredRows(
        row=np.arange(n) + first_row,
        run=run,
        broken=broken,
        break_starts=broken & ~follows,
        will_break=will_break & ~broken if lead_rows else broken,
        score=score,
        over=mask(over),
        opened=mask(opened),
        alert_open=mask(alert_open),
        counted_as=np.full(n, -1),
        period_s=period_s,
        lead_rows=lead_rows,
    )
    for start in np.flatnonzero(rows.break_starts).tolist():
        rows.counted_as[start] = WARNED.index(slow_word(rows, start))
    return rows


def slow_word(rows: ScoredRows, start: int) -> Warned:
    """What the break at `start` counts as."""
    before = np.flatnonzero(rows.broken[:start])
    since_break = slice(int(before[-1]) + 1 if len(before) else 0, start)
    if not rows.scored[since_break].any():
        return "unscored"
    if any(rows.opened[row] for row in slow_window(rows, start, WARNED_ROWS)):
        return "yes"
    hour = slice(max(start - WARNED_ROWS, 0), start)
    return "covered" if (rows.alert_open | rows.opened)[hour].any() else "no"


@st.composite
def scored_rows(draw, *, max_rows=160, lead_rows=LEADS):
    """Rows with few distinct scores (ties), clustered breaks and stops, some rows without a score."""
    n = draw(st.integers(1, max_rows))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    levels = draw(st.sampled_from([2, 5, 1000]))
    score = rng.integers(0, levels, n).astype(np.float64)
    if draw(st.booleans()):  # autocorrelated, as real scores are
        score = np.convolve(score, np.ones(7) / 7)[:n]
    score[rng.random(n) < draw(st.sampled_from([0.0, 0.1]))] = np.nan
    breaks = np.flatnonzero(rng.random(n) < draw(st.sampled_from([0.0, 0.03, 0.15])))
    stops = np.flatnonzero(rng.random(n) < draw(st.sampled_from([0.0, 0.03])))
    opened = np.flatnonzero((rng.random(n) < 0.05) & ~np.isin(np.arange(n), breaks) & ~np.isnan(score))
    return make_rows(score, breaks=breaks, stops=stops, opened=opened, lead_rows=draw(lead_rows))


@dataclass
class Episode:
    rows: list[int]


def slow_episodes(rows: ScoredRows, alert: Bools) -> list[Episode]:
    """A row at a time: a new episode after more than 5 quiet rows, at a new run, 30 rows after the start."""
    episodes: list[Episode] = []
    stretch_start, block, last = 0, 0, -(10**6)
    for i in np.flatnonzero(alert).tolist():
        new = i - last - 1 > QUIET or rows.run[i] != rows.run[last]
        if new:
            stretch_start, block = i, 0
        if new or (i - stretch_start) // RECOUNT != block:
            block = (i - stretch_start) // RECOUNT
            episodes.append(Episode([]))
        episodes[-1].rows.append(i)
        last = i
    return episodes


def slow_window(rows: ScoredRows, start: int, horizon: int) -> set[int]:
    """Rows 1…horizon before the break at `start`, in its run and after the break before it.

    With lead_rows 0 the broken rows themselves, and no other.
    """
    if rows.lead_rows == 0:
        row = start
        while row < len(rows) and rows.broken[row] and rows.run[row] == rows.run[start]:
            row += 1
        return set(range(start, row))
    window = set()
    for row in range(start - 1, max(start - horizon, 0) - 1, -1):
        if rows.run[row] != rows.run[start] or rows.broken[row]:
            break
        window.add(row)
    return window


def slow_starts(rows: ScoredRows) -> list[int]:
    """Rows at which a break starts."""
    if rows.lead_rows:
        return [int(i) for i in np.flatnonzero(rows.break_starts)]
    return [
        i
        for i in range(len(rows))
        if rows.broken[i] and (i == 0 or not rows.broken[i - 1] or rows.run[i] != rows.run[i - 1])
    ]


def slow_counts(rows: ScoredRows, alert: Bools, horizon: int) -> tuple[int, set[int]]:
    """False alarms, and the breaks (by row) that are warned."""
    windows = {start: slow_window(rows, start, horizon) for start in slow_starts(rows)}
    rows_in_windows = set().union(*windows.values())
    false = sum(not rows_in_windows & set(e.rows) for e in slow_episodes(rows, alert))
    alert_rows = set(np.flatnonzero(alert).tolist())
    return false, {start for start, window in windows.items() if window & alert_rows}
