"""Which rows are taken, refused, or a stop: by time, label and missing values alone, before anything is computed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sheetbreak.errors import RowError
from sheetbreak.rows import BROKEN, Schema
from sheetbreak.times import format_time

NEVER = 1 << 30
CLOCK_SET_BACK_ROWS = 5
"""So many late rows in a row, ascending among themselves, mean that the machine's clock was set back."""

FOLD, REST = "fold", "rest"
GAP, SET_BACK, BROKE = "the machine stopped", "the clock was set back", "the sheet broke"
"""Steps: a row to fold, a row of a broken sheet (not scored), and three reasons why a run ended before a row."""


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


class Arrivals(NamedTuple):
    """Columns of a batch, of all machines, as Python's own numbers."""

    times_us: Sequence[int]
    labels: Sequence[int]
    sparse: Sequence[bool]
    """Rows in which too many sensors are missing."""


@dataclass(slots=True)
class Stretch:
    """Consecutive rows of one machine that are folded together: from the state before, or from a cold start."""

    cold: bool
    steps: list[tuple[int, str]] = field(default_factory=list)
    """(row, what), in order."""
    rows: list[int] = field(default_factory=list)
    """The rows to fold, and for each the rows since the last stop."""
    since_restart: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Taken:
    """One machine's rows of a batch, decided upon."""

    stretches: list[Stretch]
    rejects: list[tuple[int, RowError]]
    resting: list[int]
    """Rows of a broken sheet."""
    clock: Clock
    """After them."""


def take(
    machine: str, clock: Clock, places: Sequence[int], arrivals: Arrivals, *, schema: Schema, break_is_stop: bool
) -> Taken:
    """Decide of each of a machine's rows, named by their places in the batch, in the order they came."""
    gap_us = round(schema.stop_gap_s * 1e6)
    last, since, was_broken, late, late_us = clock
    stretch = Stretch(cold=False)
    stretches, rejects, resting = [stretch], list[tuple[int, RowError]](), list[int]()
    for place in places:
        if arrivals.sparse[place]:
            rejects.append((place, _too_sparse(machine)))
            continue
        time_us, broken = arrivals.times_us[place], arrivals.labels[place] == BROKEN
        if last is not None and time_us <= last:
            if time_us < last:
                late, late_us = (late + 1 if late and time_us > late_us else 1), time_us
            if time_us == last or late < CLOCK_SET_BACK_ROWS:
                rejects.append((place, _not_later(machine, time_us, last)))
                continue
            stretch = Stretch(cold=True, steps=[(place, SET_BACK)])
            stretches.append(stretch)
            since, was_broken = NEVER, False
        elif last is not None and time_us - last > gap_us:
            stretch.steps.append((place, GAP))
            since = 0
        if broken and not was_broken:
            stretch.steps.append((place, BROKE))
        last, was_broken, late = time_us, broken, 0
        if broken and schema.lead_rows:
            stretch.steps.append((place, REST))
            resting.append(place)
            since = 0 if break_is_stop else since
        else:
            stretch.steps.append((place, FOLD))
            stretch.rows.append(place)
            stretch.since_restart.append(since)
            since = min(since + 1, NEVER)
    return Taken(stretches, rejects, resting, Clock(last, since, was_broken, late, late_us))


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
