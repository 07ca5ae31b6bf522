"""Admission: which rows are scored, refused, or a stop, by time, label and missing values alone. The first stage."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sheetbreak.engine.features import MAX_MISSING_SHARE
from sheetbreak.errors import RowError
from sheetbreak.rows import BROKEN, UNKNOWN, RowBatch, Schema, fingerprints
from sheetbreak.times import format_time

NEVER = 1 << 30
CLOCK_SET_BACK_ROWS = 5
"""So many late rows in a row, ascending among themselves, mean that the machine's clock was set back."""
KEPT_ROWS = 120
"""What was before a clock was set back is kept for so many rows: by then the machine is warm again."""
RESENT_ROWS = 120
"""Of so many last rows a fingerprint is kept: 240 bytes."""
SHORT_GAP_PERIODS = 10
"""A gap up to this long that follows no break may be lost or late rows: it is counted and told."""

RUN, REST = OF_ROWS = "run", "rest"
GAP, SET_BACK, BROKE = "the machine stopped", "the clock was set back", "the sheet broke"
"""What a step is: a row to score, a row of a broken sheet (not scored), and three reasons why a run ended before a
row. After SET_BACK the machine is as cold as one never seen."""

Step = tuple[int, str, int]
"""(row, what, rows since the machine's last stop), the row by its place in the batch."""

ON, KEEP, COLD, COLD_AGAIN, BACK = "on", "keep", "cold", "cold again", "back"
"""How a stretch begins: on from the state; the same, with the state before it set aside; cold, with the state before it
set aside; cold, with what is aside left there; on from the state that was set aside."""
SHORT_GAP, LOST_ROWS, LONG_GAP = "short-gap", "lost-rows", "gap"
"""Why a row came long after the one before: perhaps rows were lost; they were, and it is no stop; a stop."""


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


class Past(NamedTuple):
    """What a machine's rows are held against."""

    clock: Clock = Clock()
    aside: Clock | None = None
    """Of the state that was set aside: before a jump forward, which may have been one odd clock, or before one back."""
    aside_rows: int = 0
    """Rows taken since."""
    prints: bytes = b""
    """Fingerprints of the last rows taken, at most RESENT_ROWS."""


class Stretch(NamedTuple):
    """Consecutive steps of one machine that go on from one state."""

    begins: str
    before: Clock
    """As it was before the first step."""
    steps: list[Step]
    places: list[int]
    """Of the rows to score."""
    since_restart: list[int]
    """Of each of them: rows since the last stop."""

    @property
    def cold(self) -> bool:
        """Whether it begins as a machine never seen."""
        return self.begins in (COLD, COLD_AGAIN)

    def and_then(self, other: "Stretch") -> "Stretch":
        """Both as one."""
        together = self.steps + other.steps, self.places + other.places, self.since_restart + other.since_restart
        return Stretch(self.begins, self.before, *together)

    def part(self, some: slice) -> "Stretch":
        """Some of its rows to score."""
        return self._replace(places=self.places[some], since_restart=self.since_restart[some])


class Admitted(NamedTuple):
    """One machine's rows of a batch, decided upon."""

    stretches: list[Stretch]
    """One, unless a clock jumps."""
    rejects: list[tuple[int, RowError]]
    past: Past
    """After the rows."""
    gaps: list[tuple[int, str]]
    """Rows that come long after the one before, and why."""

    @property
    def steps(self) -> list[Step]:
        """Of the rows that are not refused, in order; the end of a run comes as a step of its own before its row."""
        if len(self.stretches) == 1:
            return self.stretches[0].steps
        return [step for stretch in self.stretches for step in stretch.steps]

    def before(self, end: int) -> "Admitted":
        """The steps of the rows up to a place, itself not among them."""
        stretches = [one._replace(steps=one.steps[: bisect_left(one.steps, (end,))]) for one in self.stretches]
        return self._replace(stretches=stretches)

    def without_doubts(self) -> "Admitted":
        """The same for rows after which none come: a jump shortly before their end begins no stretch."""
        stretches = list[Stretch]()
        for stretch in self.stretches:
            if stretch.begins != KEEP:
                stretches.append(stretch)
                continue
            stretches[-1] = stretches[-1].and_then(stretch)
        return self._replace(stretches=stretches)


class _Rules(NamedTuple):
    gap_us: int
    lost_us: int
    short_us: int
    breaks_rest: bool
    break_is_stop: bool


class _Columns(NamedTuple):
    """By place."""

    times_us: Sequence[int]
    labels: Sequence[int]
    sparse: Sequence[bool]
    prints: npt.NDArray[np.uint16]


def admit(
    pasts: Mapping[str, Past],
    places: Mapping[str, Sequence[int]],
    rows: RowBatch,
    *,
    schema: Schema,
    break_is_stop: bool,
    masked: npt.NDArray[np.bool_] | None = None,
) -> dict[str, Admitted]:
    """Decide of each machine's rows, named by their places in the batch, in the order they came.

    pasts: of the machines that were seen before. masked: (rows, sensors) cells that nobody misses.
    """
    missed = np.isnan(rows.values if masked is None else np.where(masked, 0.0, rows.values))
    sparse = missed.mean(axis=1) > MAX_MISSING_SHARE
    columns = _Columns(rows.times_us.tolist(), rows.broken.tolist(), sparse.tolist(), fingerprints(rows))
    gap_us = round(schema.stop_gap_s * 1e6)
    lost_us, short_us = round(schema.lost_rows_s * 1e6), round(SHORT_GAP_PERIODS * schema.period_s * 1e6)
    rules = _Rules(gap_us, max(lost_us, gap_us), short_us, schema.lead_rows > 0, break_is_stop)
    return {
        machine: _admit(machine, pasts.get(machine, Past()), own, columns, rules) for machine, own in places.items()
    }


def _admit(machine: str, past: Past, places: Sequence[int], columns: _Columns, rules: _Rules) -> Admitted:
    return _Walk(machine, past, columns, rules).admit(places)


class _Walk:
    """One machine's way through a batch."""

    def __init__(self, machine: str, past: Past, columns: _Columns, rules: _Rules) -> None:
        self._machine, self._past, self._columns, self._rules = machine, past, columns, rules
        self._last, self._since, self._was_broken, self._late, self._late_us = past.clock
        self._aside, self._aside_rows = past.aside, past.aside_rows
        self._stretches, self._jump = [Stretch(ON, past.clock, [], [], [])], 0
        """The stretches, and the one that began with a jump forward which may yet prove an odd clock; 0: none."""
        self._rejects: list[tuple[int, RowError]] = []  # not list[…](): making the type takes longer than a row
        self._taken: list[int] = []
        self._gaps: list[tuple[int, str]] = []
        self._before: list[int] | None = None

    def admit(self, places: Sequence[int]) -> Admitted:
        """Decide of the rows at these places."""
        (times_us, labels, sparse, _), (gap_us, _, _, breaks_rest, break_is_stop) = self._columns, self._rules
        for place in places:
            time_us, broken = times_us[place], labels[place] == BROKEN
            if sparse[place]:
                self._rejects.append((place, _too_sparse(self._machine)))
                continue
            before_us = self._last
            if before_us is not None and time_us <= before_us:
                if not self._clock_was_set(place, time_us, before_us):
                    self._rejects.append((place, _not_later(self._machine, time_us, before_us)))
                    continue
                before_us = self._go_on_from(place, time_us)
            elif self._aside is not None and before_us is not None:
                before_us = self._beside(time_us, before_us)
            if before_us is not None and time_us - before_us > gap_us:
                self._meet_gap(place, time_us - before_us)
            stretch, since = self._stretches[-1], self._since
            if broken and not self._was_broken:
                stretch.steps.append((place, BROKE, since))
            self._last, self._was_broken, self._late = time_us, broken, 0
            self._taken.append(place)
            if broken and breaks_rest:
                stretch.steps.append((place, REST, since))
                self._since = 0 if break_is_stop else since
            else:
                stretch.steps.append((place, RUN, since))
                stretch.places.append(place)
                stretch.since_restart.append(since)
                self._since = min(since + 1, NEVER)
        return self._end()

    def _clock_was_set(self, place: int, time_us: int, last_us: int) -> bool:
        """Count a row that is not later than the last one; whether it shows that the clock was set."""
        if time_us == last_us or self._was_taken(place):
            return False
        in_a_row = self._late + 1 if self._late and time_us > self._late_us else 1
        if in_a_row < CLOCK_SET_BACK_ROWS:
            self._late, self._late_us = in_a_row, time_us
            return False
        return True

    def _go_on_from(self, place: int, time_us: int) -> int | None:
        """A clock was set: go on from the state before the odd row, or cold. The time that the row is held against."""
        if self._aside is not None and _time_of(self._aside) < time_us:
            # The rows refused meanwhile were in time: there is no gap where they were.
            before_us = max(_time_of(self._aside), self._late_us)
            self._take_back()
            return before_us
        again = self._aside is not None and _time_of(self._aside) >= (self._last or 0)
        self._aside = self._aside if again else self._clock()
        self._begin(COLD_AGAIN if again else COLD)
        self._stretches[-1].steps.append((place, SET_BACK, self._since))
        self._aside_rows, self._jump = 0, 0
        self._since, self._was_broken = NEVER, False
        return None

    def _beside(self, time_us: int, last_us: int) -> int:
        """A row in time while a state is set aside: the time that it is held against."""
        aside_us = _time_of(self._aside)
        if last_us <= aside_us < time_us:  # later than all that was before the clock was set back
            self._take_back()
            return aside_us
        self._aside_rows += 1
        if self._aside_rows >= (CLOCK_SET_BACK_ROWS if aside_us < last_us else KEPT_ROWS):
            self._drop_aside()
        return last_us

    def _meet_gap(self, place: int, gap_us: int) -> None:
        """A row long after the one before: a stop, unless rows were lost."""
        known, rules = self._columns.labels[place] != UNKNOWN and not self._was_broken, self._rules
        if known and gap_us <= rules.lost_us:
            self._gaps.append((place, LOST_ROWS))
            return
        short = not self._was_broken and gap_us <= rules.short_us
        self._gaps.append((place, SHORT_GAP if short else LONG_GAP))
        if self._aside is None and self._last is not None:
            self._aside, self._aside_rows = self._clock(), 0
            self._begin(KEEP)
            self._jump = len(self._stretches) - 1
        self._stretches[-1].steps.append((place, GAP, self._since))
        self._since = 0

    def _take_back(self) -> None:
        self._begin(BACK)
        assert self._aside is not None
        self._since, self._was_broken = self._aside.since_restart, self._aside.was_broken
        self._aside, self._jump = None, 0

    def _drop_aside(self) -> None:
        """What was set aside is not needed; a stretch that began for it alone is none."""
        self._aside, self._aside_rows = None, 0
        if self._jump:
            doubtful = self._stretches.pop()  # the last: a clock that is set ends the doubt
            self._stretches[-1], self._jump = self._stretches[-1].and_then(doubtful), 0

    def _begin(self, how: str) -> None:
        self._stretches.append(Stretch(how, self._clock(), [], [], []))

    def _clock(self) -> Clock:
        return Clock(self._last, self._since, self._was_broken)

    def _was_taken(self, place: int) -> bool:
        """Whether a late row is one of the last RESENT_ROWS that were taken, wherever the batch began, sent again."""
        if self._before is None:
            self._before = np.frombuffer(self._past.prints, np.uint16).tolist()
        known = [*self._before, *self._columns.prints[self._taken[-RESENT_ROWS:]].tolist()]
        return int(self._columns.prints[place]) in known[-RESENT_ROWS:]

    def _end(self) -> Admitted:
        prints = self._past.prints + self._columns.prints[self._taken].tobytes()
        clock = Clock(self._last, self._since, self._was_broken, self._late, self._late_us)
        past = Past(clock, self._aside, self._aside_rows, prints[-2 * RESENT_ROWS :])
        return Admitted(self._stretches, self._rejects, past, self._gaps)


def _time_of(clock: Clock | None) -> int:
    assert clock is not None
    assert clock.last_us is not None
    return clock.last_us


def _not_later(machine: str, time_us: int, last_us: int) -> RowError:
    reason = "repeated" if time_us == last_us else "late"
    message = (
        f"{machine}: {reason} row: {format_time(time_us)} is not later than the machine's last row, "
        f"{format_time(last_us)}; send each machine's rows once and in order"
    )
    return RowError(message, reason=reason, machine=machine)


def _too_sparse(machine: str) -> RowError:
    what = "more than a fifth of the sensors is missing; a score would say more about the gaps than the sheet"
    text = f"{machine}: {what}; mend the feed, or use the model of this plant"
    return RowError(text, reason="too-many-missing", machine=machine)
