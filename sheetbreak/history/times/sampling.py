"""Sampling of a history: its period, and the longest gap between rows that is no stop, found from the rows' own times.

What a schema file leaves out is learned; what it says is held against the rows. A lost or late row must not look like
a stop: the rows after one open no alert, and with two rows in a hundred lost that is a third of the time.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sheetbreak.errors import DataError
from sheetbreak.rows import BROKEN, RowBatch, Schema
from sheetbreak.times import duration

LOST_ROWS = 5
"""A gap of so many periods may be lost rows: with one row in ten lost, four in a row are lost once in 10,000."""
_FEWEST_STEPS = 5
"""With fewer steps between rows a period is neither found nor held against them."""
_SAME = 0.1
"""A period that was given may be so much off, as a share of the one found."""
_USUAL_SHARE = 1 / 3
"""One length of step that is so frequent is the period; else times jitter, and their median is."""
_TOO_OFTEN = 0.01
"""A stop so often leaves the machine unwatched for an eighth of the time: the fifteen rows after each open no alert."""
_ROUND = tuple(
    unit * number
    for unit, numbers in (
        (1e-3, (1, 2, 4, 5, 10, 20, 25, 40, 50, 100, 200, 250, 500)),
        (1.0, (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)),
        (60.0, (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)),
        (3600.0, (1, 2, 3, 4, 6, 8, 12, 24)),
    )
    for number in numbers
)
"""Periods that people choose, seconds."""
PERIOD, STOP_GAP = "period_s", "stop_gap_s"

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Steps:
    """The times between each two rows of a machine, of all machines."""

    seconds: Floats
    """(n,)"""
    after_break: Bools
    """(n,) the row before is labelled broken."""

    @classmethod
    def of(cls, rows: RowBatch, *, lead_rows: int) -> "Steps":
        """The steps of a history. lead_rows: with 0 a label marks an anomaly and ends no run."""
        names: dict[str, int] = {}
        machine = np.fromiter((names.setdefault(name, len(names)) for name in rows.machines), np.int64, len(rows))
        order = np.argsort(machine, kind="stable")
        same = np.diff(machine[order]) == 0
        seconds = np.diff(rows.times_us[order])[same] / 1e6
        broken = (rows.broken[order][:-1] == BROKEN)[same] & (lead_rows > 0)
        return cls(seconds, broken)


def settle_sampling(rows: RowBatch, schema: Schema, *, name: str) -> Schema:
    """`schema` with the sampling that the rows show where the schema file left it out (`schema.learned`).

    Raises DataError where a period was given and the rows say otherwise, or the stop gap given is no longer than it.
    """
    steps = Steps.of(rows, lead_rows=schema.lead_rows)
    found = find_period(steps.seconds) if schema.time is not None else None
    if found is not None and PERIOD in schema.learned:
        schema = replace(schema, period_s=found)
        if STOP_GAP not in schema.learned and schema.stop_gap_s <= found:
            raise DataError(
                f"{name}: sampling.stop_gap_s = {schema.stop_gap_s:g} in --schema, but the rows are {found:g} s apart: "
                "each would be a stop; set a longer one, or leave it out and it is learned from the rows"
            )
    elif found is not None and not _alike(schema.period_s, found, float(np.median(steps.seconds))):
        raise DataError(
            f"{name}: sampling.period_s = {schema.period_s:g} in --schema, but the rows are {found:g} s apart (of "
            f"{len(steps.seconds):,} steps between them); set period_s = {found:g}, or leave it out and it is found"
        )
    if STOP_GAP in schema.learned:
        longest = longest_gap_in_a_run(steps, schema.period_s)
        in_halves = np.ceil(2 * longest / schema.period_s - 0.1) / 2
        gap = float((in_halves + 0.5) * schema.period_s)
        schema = replace(schema, stop_gap_s=gap, lost_rows_s=_lost_rows_s(steps, schema.period_s, gap))
    return schema


def find_period(steps_s: Floats) -> float | None:
    """The time between rows, seconds; None where there are too few to say."""
    if len(steps_s) < _FEWEST_STEPS:
        return None
    lengths, counts = np.unique(steps_s, return_counts=True)
    usual = int(np.argmax(counts))
    if counts[usual] >= _USUAL_SHARE * len(steps_s):
        return float(lengths[usual])
    middle = float(np.median(steps_s))
    nearest = min(_ROUND, key=lambda period: abs(period - middle))
    return nearest if abs(nearest - middle) <= 0.03 * nearest else float(f"{middle:.3g}")


def longest_gap_in_a_run(steps: Steps, period_s: float) -> float:
    """The longest step that is no stop, seconds, at least a period.

    Breaks are stops, and so are gaps of a length that only follows breaks. What else is not much longer than a period
    is lost or late rows. A longer gap is a stop, unless there are so many, of all lengths up to it, that the machine
    would hardly be watched.
    """
    free = np.sort(steps.seconds[~steps.after_break])
    periods, free_periods = np.rint(steps.seconds / period_s), np.rint(free / period_s)
    limit = LOST_ROWS
    for many in range(2, LOST_ROWS + 1):
        if (periods == many).any() and not (free_periods == many).any():
            limit = many - 1
            break
    longest = max(float(free[free_periods <= limit].max(initial=period_s)), period_s)
    longer = free[free > longest]
    for at, gap in enumerate(longer.tolist()):
        if gap > 2 * longest or len(longer) - at <= _TOO_OFTEN * len(steps.seconds):
            break
        longest = gap
    return longest


def sampling_text(schema: Schema) -> str:
    """One line for people: how often rows come, and what counts as a stop."""

    def how(key: str) -> str:
        return "found" if key in schema.learned else "given"

    gap = duration(schema.stop_gap_s)
    return (
        f"a row every {duration(schema.period_s)} ({how(PERIOD)}); a gap longer than {gap} is a stop "
        f"({'learned' if STOP_GAP in schema.learned else 'given'})"
    )


def _alike(given: float, *found: float) -> bool:
    return any(abs(given - one) <= _SAME * one for one in found)


def _lost_rows_s(steps: Steps, period_s: float, stop_gap_s: float) -> float:
    """Up to this a gap that follows no break is lost rows, though this history has none such; 0: it has such stops."""
    free = steps.seconds[~steps.after_break]
    shortest = float(free[free > stop_gap_s].min(initial=np.inf))
    bridged = min((LOST_ROWS + 0.5) * period_s, shortest - 0.5 * period_s)
    return bridged if bridged > stop_gap_s else 0.0
