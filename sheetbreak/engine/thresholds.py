"""Level that a score is held against: fixed, a quantile of the machine's own last scores, or one steered to a rate.

Each grade may have a level of its own.
"""

import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sheetbreak.bounds import NotNegative, Positive, Share, SomeRows
from sheetbreak.engine.admission import BROKE, GAP, OF_ROWS, RUN, SET_BACK, Step
from sheetbreak.rows import UNKNOWN, Text

NO_SCORE = float("nan")

TRAILING_ROWS = 1440
"""Scored rows that the trailing quantile looks back on: two days at 2 minutes."""
TRAILING_MIN_ROWS = 240
"""Until the trailing window holds this many scores the fixed level serves."""
JUDGED_ROWS = 30
"""An alarm is known to be false when so many scored rows have passed without a break."""
_GAIN, _BLIND_GAIN = 0.4, 0.1
"""How far one false alarm turns the wheel: by a factor of exp(-gain). Less where the feed names no breaks."""
_BLIND_FACTOR = 1.35
"""Without labels true alarms count too: so many times the rate that is asked for is steered to."""
_LEAST_SHARE, _MOST_SHARE = 0.003, 0.2
_MOST_TURN = 10.0
"""As an exponent: by more the share would go from one of these to the other at once, as it does by this."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate of false alarms to steer to."""

    per_day: Positive
    """False alarms an operating day."""
    rows_per_day: Positive
    """Rows of an operating day."""
    share: Share = 0.06
    """Where a machine that was never seen begins: see Steering."""


class Steering(NamedTuple):
    """Where a machine's wheel stands."""

    share: float
    """The level is the quantile 1 - share of the machine's last scores."""
    waiting: tuple[int, ...] = ()
    """Of each alarm of which it is not known yet whether it is false: scored rows since it opened, oldest first."""

    def with_alarms(self, younger: tuple[int, ...]) -> "Steering":
        """The same with alarms that opened since."""
        return Steering(self.share, self.waiting + younger)


@dataclass(frozen=True, slots=True)
class Threshold:
    """What the trainer chose: a level, and for `trailing` the quantile that adapts it."""

    level: NotNegative
    """The fixed level, in units of the score."""
    policy: Text
    """The policy as the user named it, with its parameter: "trailing:0.985", "quantile:.99"."""
    quantile: Share | None = None
    """For a trailing threshold: the quantile of the last scores, 0 to 1. Of a steered one: where it begins."""
    trailing_rows: SomeRows = TRAILING_ROWS
    min_rows: SomeRows = TRAILING_MIN_ROWS
    grade_levels: dict[Text, Positive] = field(default_factory=dict)
    """Of a grade that has a level of its own, above 0; the others have `level`. A trailing window holds scores of the
    grade divided by own level / level, and its quantile is multiplied by that: one window a machine, whatever it makes.
    """
    rate: Rate | None = None
    """The quantile is steered to this rate of false alarms."""


class Trailing:
    """The last scores of one machine: in order of time (a ring) and sorted. float32, for a state of a few kB.

    `copy` before adding: a machine's state is a value.
    """

    __slots__ = ("count", "ordered", "ring", "rows")

    def __init__(self, rows: int, ring: Iterable[float] = (), *, count: int = 0) -> None:
        self.rows = rows
        self.ring = array("f", ring)
        self.count = count
        """Scores ever added; the next one goes to place count % rows."""
        self.ordered = array("f", sorted(self.ring))
        """The same scores, ascending."""

    def __len__(self) -> int:
        return len(self.ring)

    def copy(self) -> "Trailing":
        """An independent copy."""
        twin = Trailing.__new__(Trailing)
        twin.rows, twin.count = self.rows, self.count
        twin.ring, twin.ordered = self.ring[:], self.ordered[:]
        return twin

    def add(self, score: float) -> None:
        """Add a score; the oldest goes once `rows` are held."""
        place = self.count % self.rows
        if len(self.ring) < self.rows:
            self.ring.append(score)
        else:
            del self.ordered[bisect_left(self.ordered, self.ring[place])]
            self.ring[place] = score
        insort(self.ordered, self.ring[place])
        self.count += 1

    def rarity(self, score: float) -> float:
        """The share of scores, this one counted too, that are as high: 1 / 201 where it is higher than 200 others."""
        held = len(self.ordered)
        return (held - bisect_left(self.ordered, score) + 1) / (held + 1)

    def quantile(self, q: float) -> float:
        """The q-quantile, linear between neighbours as numpy's default (Hyndman and Fan, type 7)."""
        ordered = self.ordered
        last = len(ordered) - 1
        place = q * last
        below = int(place)
        low = ordered[below]
        return low if below == last else low + (ordered[below + 1] - low) * (place - below)


def level_now(
    threshold: Threshold, trailing: Trailing, grade: str | None = None, *, share: float | None = None
) -> float:
    """The level that the next score, of a row of this grade, is held against.

    share: where the wheel of a steered threshold stands.
    """
    if threshold.quantile is None or len(trailing.ring) < threshold.min_rows:
        return threshold.grade_levels.get(grade, threshold.level) if grade else threshold.level
    level = trailing.quantile(threshold.quantile if share is None else 1 - share)
    return level * _ratio(threshold, grade) if threshold.grade_levels else level


def begin_steering(threshold: Threshold) -> Steering | None:
    """The wheel of a machine that was never seen; None where nothing is steered."""
    return Steering(threshold.rate.share) if threshold.rate else None


class Wheel:
    """Steers a machine's share from row to row, so that false alarms come at the rate that is asked for.

    Every scored row: share *= exp(gain * (rate a row - alarms now known to be false)). An alarm that nothing follows
    turns the share down by exp(-gain) at once; the rows between turn it up again.
    """

    __slots__ = ("_quiet", "_wanted", "share", "waiting")

    def __init__(self, rate: Rate, steering: Steering) -> None:
        self.share, self.waiting = steering.share, list(steering.waiting)
        self._wanted = rate.per_day / rate.rows_per_day
        self._quiet = self._factor(0, labelled=False), self._factor(0, labelled=True)  # of all rows but a few

    def turn(self, *, labelled: bool) -> None:
        """A scored row goes by. labelled: whether the feed says if the sheet broke at it."""
        factor = self._quiet[labelled]
        if self.waiting:
            older = [rows + 1 for rows in self.waiting]
            self.waiting = [rows for rows in older if rows < JUDGED_ROWS]
            if len(self.waiting) < len(older):
                factor = self._factor(len(older) - len(self.waiting), labelled=labelled)
        self.share = min(max(self.share * factor, _LEAST_SHARE), _MOST_SHARE)

    def _factor(self, false: int, *, labelled: bool) -> float:
        """How far a row turns it at which so many alarms are known to be false."""
        wanted = self._wanted
        turn = _GAIN * (wanted - false) if labelled else _BLIND_GAIN * (wanted * _BLIND_FACTOR - false)
        return math.exp(max(-_MOST_TURN, min(turn, _MOST_TURN)))

    @property
    def steering(self) -> Steering:
        """Where it stands, as a value."""
        return Steering(self.share, tuple(self.waiting))


def comparable(threshold: Threshold, score: float, grade: str | None) -> float:
    """The score as the trailing window holds it, whatever the grade."""
    return score / _ratio(threshold, grade) if threshold.grade_levels else score


def _ratio(threshold: Threshold, grade: str | None) -> float:
    """How much higher scores of this grade are than the others."""
    return threshold.grade_levels[grade] / threshold.level if grade in threshold.grade_levels else 1.0


class Levels(NamedTuple):
    """What a machine's scores were held against, step by step."""

    level: "array[float]"
    """NaN where the step has no score."""
    rarity: "array[float]"
    """NaN too until the trailing window holds min_rows scores. See Trailing.rarity."""
    over: list[int]
    """The steps whose score is over the level."""
    breaks: list[int]
    """The steps at which a break begins."""
    changes: list[int]
    """The steps with another grade than the last one known."""
    trailing: Trailing
    """After the steps, as is `grade`."""
    grade: str | None
    steering: Steering | None
    """Without the alarms of these steps: they are not known here."""


def hold_levels(
    steps: Sequence[Step],
    scores: Sequence[float | None],
    grades: Sequence[str | None],
    *,
    threshold: Threshold,
    restart_rows: int,
    trailing: Trailing,
    grade: str | None,
    steering: Steering | None,
    labels: Sequence[int],
) -> Levels:
    """Hold each step's score against the level that the scores before it give.

    scores, grades, labels: by place. restart_rows: of so many rows after a stop the trailing level leaves the scores
    out. trailing, grade, steering: as they were before; where a row names no grade, it goes on as it was. labels:
    needed where the threshold is steered; then there are at most JUDGED_ROWS steps: what opens in them counts later.
    """
    trailing = trailing.copy()
    wheel = Wheel(threshold.rate, steering) if threshold.rate and steering else None
    min_rows, graded = threshold.min_rows, bool(threshold.grade_levels)
    level, rarity = array("d"), array("d")
    over: list[int] = []  # not list[int](): making the type takes longer than a row
    breaks: list[int] = []
    changes: list[int] = []
    for i, (place, what, since_restart) in enumerate(steps):
        score = None
        if what in OF_ROWS:
            named = grades[place]
            if named is not None and named != grade:
                if grade is not None:
                    changes.append(i)
                grade = named
            score = scores[place] if what == RUN else None
        elif what == BROKE:
            breaks.append(i)
        elif what == SET_BACK:  # what is known of scores and grade is of another time
            trailing, grade = Trailing(threshold.trailing_rows), None
        if score is None:
            if wheel and what not in OF_ROWS and may_be_break(what, place, labels):
                wheel.waiting.clear()
            level.append(NO_SCORE)
            rarity.append(NO_SCORE)
            continue
        now = level_now(threshold, trailing, grade, share=wheel.share if wheel else None)
        level.append(now)
        if score > now:
            over.append(i)
        alike = comparable(threshold, score, grade) if graded else score
        rarity.append(trailing.rarity(alike) if len(trailing.ring) >= min_rows else NO_SCORE)
        if since_restart >= restart_rows:
            trailing.add(alike)
        if wheel:
            wheel.turn(labelled=labels[place] != UNKNOWN)
    return Levels(level, rarity, over, breaks, changes, trailing, grade, wheel.steering if wheel else None)


def may_be_break(what: str, place: int, labels: Sequence[int]) -> bool:
    """Whether an alarm before this end of a run may have been true: a feed without labels shows a break as a gap."""
    return what == BROKE or (what == GAP and labels[place] == UNKNOWN)
