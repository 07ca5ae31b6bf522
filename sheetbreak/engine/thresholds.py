"""When is a score too high: a fixed level, or a quantile of the machine's own last scores; of each grade, if asked."""

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sheetbreak.engine.ranges import NotNegative, Positive, Share, SomeRows, Text

TRAILING_ROWS = 1440
"""Scored rows that the trailing quantile looks back on: two days at 2 minutes."""
TRAILING_MIN_ROWS = 240
"""Until the trailing window holds this many scores the fixed level serves."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """What the trainer chose: a level, and for `trailing` the quantile that adapts it."""

    level: NotNegative
    """The fixed level, in units of the score."""
    policy: Text
    """The policy as the user named it, with its parameter: "trailing:0.985", "quantile:.99"."""
    quantile: Share | None = None
    """For a trailing threshold: the quantile of the last scores, 0 to 1."""
    trailing_rows: SomeRows = TRAILING_ROWS
    min_rows: SomeRows = TRAILING_MIN_ROWS
    grade_levels: dict[Text, Positive] = field(default_factory=dict)
    """Of a grade that has a level of its own, above 0; the others have `level`. A trailing window holds scores of the
    grade divided by own level / level, and its quantile is multiplied by that: one window a machine, whatever it makes.
    """


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

    def quantile(self, q: float) -> float:
        """The q-quantile, linear between neighbours as numpy's default (Hyndman and Fan, type 7)."""
        place = q * (len(self.ordered) - 1)
        below = int(place)
        low = self.ordered[below]
        if below + 1 == len(self.ordered):
            return low
        return low + (self.ordered[below + 1] - low) * (place - below)


def level_now(threshold: Threshold, trailing: Trailing, grade: str | None = None) -> float:
    """The level that the next score, of a row of this grade, is held against."""
    if threshold.quantile is None or len(trailing) < threshold.min_rows:
        return threshold.grade_levels.get(grade, threshold.level) if grade else threshold.level
    level = trailing.quantile(threshold.quantile)
    return level * _ratio(threshold, grade) if threshold.grade_levels else level


def comparable(threshold: Threshold, score: float, grade: str | None) -> float:
    """The score as the trailing window holds it, whatever the grade."""
    return score / _ratio(threshold, grade) if threshold.grade_levels else score


def _ratio(threshold: Threshold, grade: str | None) -> float:
    """How much higher scores of this grade are than the others."""
    return threshold.grade_levels[grade] / threshold.level if grade in threshold.grade_levels else 1.0


def trailing_levels(scores: Sequence[float], quantiles: Sequence[float], threshold: Threshold) -> list[list[float]]:
    """For every score in turn, the level that each of several quantiles would have given: what a trainer chooses from.

    One pass over the scores of one machine, whatever the number of quantiles. Before `min_rows`: the fixed level.
    """
    trailing = Trailing(threshold.trailing_rows)
    levels = []
    for score in scores:
        ready = len(trailing) >= threshold.min_rows
        levels.append([trailing.quantile(q) if ready else threshold.level for q in quantiles])
        trailing.add(score)
    return levels
