"""Odds of a warning: how often the last ones came true, beside how often a random hour holds a break."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from sheetbreak.bounds import Rows
from sheetbreak.engine.admission import BROKE, OF_ROWS, RUN, Step
from sheetbreak.engine.alerts import Told
from sheetbreak.engine.thresholds import JUDGED_ROWS
from sheetbreak.rows import UNKNOWN

REMEMBERED = 20
"""Warnings whose outcome is kept: the odds are of now, not of all times."""


class Odds(Struct, frozen=True):
    """What is known of a machine's warnings; a value, of labelled rows alone."""

    outcomes: Annotated[tuple[bool, ...], Meta(max_length=REMEMBERED)] = ()
    """Of the last warnings, oldest first: whether a break followed."""
    scored: Annotated[int, Meta(ge=0)] = 0
    """Labelled rows that had a score..."""
    ahead: Annotated[int, Meta(ge=0)] = 0
    """...and those of them that a break followed within JUDGED_ROWS scored rows."""
    since_break: Annotated[int, Meta(ge=0, le=JUDGED_ROWS)] = 0
    """Scored rows since the last break or the first row, JUDGED_ROWS at most, whether labelled or not."""
    waiting: tuple[Rows, ...] = ()
    """Of each warning that no break has followed yet: scored rows since it opened, oldest first."""

    @property
    def told(self) -> Told | None:
        """None: no warning has been judged yet, or no row was labelled."""
        if not self.outcomes or not self.scored:
            return None
        return Told(sum(self.outcomes), len(self.outcomes), min(self.ahead / self.scored, 1.0))

    def after(self, rows: int, *, labelled: int) -> "Odds":
        """So many scored rows later, `labelled` of them with a label, without a break."""
        if not rows:
            return self
        still = tuple(age + rows for age in self.waiting if age + rows < JUDGED_ROWS)
        outcomes = (self.outcomes + (False,) * (len(self.waiting) - len(still)))[-REMEMBERED:]
        since = min(self.since_break + rows, JUDGED_ROWS)
        return Odds(outcomes, self.scored + labelled, self.ahead, since, still)

    def opened(self) -> "Odds":
        """A warning opens at the last row."""
        return replace(self, waiting=(*self.waiting, 0))

    def broke(self) -> "Odds":
        """The sheet breaks before the next row."""
        outcomes = (self.outcomes + (True,) * len(self.waiting))[-REMEMBERED:]
        return replace(self, outcomes=outcomes, ahead=self.ahead + self.since_break, since_break=0, waiting=())


UNKNOWN_ODDS = Odds()
"""Nothing is known."""


def learn(
    odds: Odds, steps: Sequence[Step], level: Sequence[float], *, events: Mapping[int, bool], labels: Sequence[int]
) -> tuple[Odds, dict[int, Told | None]]:
    """The odds after a machine's steps, and what was known at each event of an alert, by place.

    level: of each step, NaN where it has no score. events: by place, whether a warning opens there. labels: by place;
    of rows without a label nothing is learned.
    """
    told: dict[int, Told | None] = {}  # not dict[int, …](): making the type takes longer than a row
    rows = labelled = 0
    for (place, what, _), now in zip(steps, level, strict=True):
        if what == BROKE:
            odds, rows, labelled = odds.after(rows, labelled=labelled).broke(), 0, 0
        elif what == RUN and now == now:
            rows += 1
            labelled += labels[place] != UNKNOWN
        if place in events and what in OF_ROWS:
            odds, rows, labelled = odds.after(rows, labelled=labelled), 0, 0
            told[place] = odds.told
            if events[place] and labels[place] != UNKNOWN:
                odds = odds.opened()
    return odds.after(rows, labelled=labelled), told
