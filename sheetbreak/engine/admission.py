"""Admission: which rows are scored, refused, or a stop, by time, label and missing values alone. The first stage."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sheetbreak.engine.features import MAX_MISSING_SHARE
from sheetbreak.errors import RowError
from sheetbreak.rows import BROKEN, RowBatch, Schema
from sheetbreak.times import format_time

NEVER = 1 << 30
CLOCK_SET_BACK_ROWS = 5
"""So many late rows in a row, ascending among themselves, mean that the machine's clock was set back."""

RUN, REST = OF_ROWS = "run", "rest"
GAP, SET_BACK, BROKE = "the machine stopped", "the clock was set back", "the sheet broke"
"""What a step is: a row to score, a row of a broken sheet (not scored), and three reasons why a run ended before a
row. After SET_BACK the machine is as cold as one never seen."""

Step = tuple[int, str, int]
"""(row, what, rows since the machine's last stop), the row by its place in the batch."""


class Clock(NamedTuple):
    """What a machine's next row is held against."""

    last_us: int | None = None
    """Time of the last row taken."""
    since_restart: int = NEVER
    """Rows since the last stop; large when there was none."""
    was_broken: bool = False
    late: int = 0
    """Late rows in a row, ascending among themselves, and the time of the last of them."""
    late_us: int = 0


NEVER_SEEN = Clock()


class Stretch(NamedTuple):
    """Rows to score of one machine between two settings of its clock: from what is remembered, or from a cold start."""

    cold: bool
    places: list[int]
    since_restart: list[int]
    """Of each row: rows since the last stop."""


class Admitted(NamedTuple):
    """One machine's rows of a batch, decided upon."""

    steps: list[Step]
    """Of the rows that are not refused, in order; the end of a run comes as a step of its own before its row."""
    stretches: list[Stretch]
    """The first one goes on from the machine's state."""
    rejects: list[tuple[int, RowError]]
    clock: Clock
    """After the rows."""


def admit(
    clocks: Mapping[str, Clock],
    places: Mapping[str, Sequence[int]],
    rows: RowBatch,
    *,
    schema: Schema,
    break_is_stop: bool,
) -> dict[str, Admitted]:
    """Decide of each machine's rows, named by their places in the batch, in the order they came.

    clocks: of the machines that were seen before.
    """
    sparse = np.isnan(rows.values).mean(axis=1) > MAX_MISSING_SHARE
    columns = rows.times_us.tolist(), (rows.broken == BROKEN).tolist(), sparse.tolist()
    rules = round(schema.stop_gap_s * 1e6), schema.lead_rows > 0, break_is_stop
    return {
        machine: _admit(machine, clocks.get(machine, NEVER_SEEN), own, columns, rules)
        for machine, own in places.items()
    }


def _admit(
    machine: str,
    clock: Clock,
    places: Sequence[int],
    columns: tuple[Sequence[int], Sequence[bool], Sequence[bool]],
    rules: tuple[int, bool, bool],
) -> Admitted:
    """One machine's. columns: times, whether the sheet is broken, whether too many sensors are missing, by place."""
    (times_us, breaks, sparse), (gap_us, breaks_rest, break_is_stop) = columns, rules
    last, since, was_broken, late, late_us = clock
    steps: list[Step] = []
    rejects: list[tuple[int, RowError]] = []
    stretch = Stretch(False, [], [])
    stretches = [stretch]
    for place in places:
        if sparse[place]:
            rejects.append((place, _too_sparse(machine)))
            continue
        time_us, broken = times_us[place], breaks[place]
        if last is not None and time_us <= last:
            if time_us < last:
                late, late_us = (late + 1 if late and time_us > late_us else 1), time_us
            if time_us == last or late < CLOCK_SET_BACK_ROWS:
                rejects.append((place, _not_later(machine, time_us, last)))
                continue
            steps.append((place, SET_BACK, since))
            stretch = Stretch(True, [], [])
            stretches.append(stretch)
            since, was_broken = NEVER, False
        elif last is not None and time_us - last > gap_us:
            steps.append((place, GAP, since))
            since = 0
        if broken and not was_broken:
            steps.append((place, BROKE, since))
        last, was_broken, late = time_us, broken, 0
        if broken and breaks_rest:
            steps.append((place, REST, since))
            since = 0 if break_is_stop else since
        else:
            steps.append((place, RUN, since))
            stretch.places.append(place)
            stretch.since_restart.append(since)
            since = min(since + 1, NEVER)
    return Admitted(steps, stretches, rejects, Clock(last, since, was_broken, late, late_us))


def _not_later(machine: str, time_us: int, last_us: int) -> RowError:
    reason = "repeated" if time_us == last_us else "late"
    message = (
        f"{machine}: {reason} row: {format_time(time_us)} is not later than the machine's last row, "
        f"{format_time(last_us)}; send each machine's rows once and in order"
    )
    return RowError(message, reason=reason, machine=machine)


def _too_sparse(machine: str) -> RowError:
    return RowError(
        f"{machine}: more than a fifth of the sensors is missing; a score would say more about the gaps than the sheet"
        "; mend the feed, or use the model of this plant",
        reason="too-many-missing",
        machine=machine,
    )
