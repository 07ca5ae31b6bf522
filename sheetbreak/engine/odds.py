"""Odds of a warning: how often the last ones came true, beside how often a random hour holds a break.

A break that follows says that a warning was right, and so may an operator, whose word counts for more: a break that was
prevented does not come. What is known without operators stays as it is beside it, in the order in which warnings open.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import replace

from sheetbreak.bounds import Count, Rows
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
    scored: Count = 0
    """Labelled rows that had a score..."""
    ahead: Count = 0
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


class Raised(NamedTuple):
    """A warning that was opened, as long as a verdict on it counts."""

    alert_id: str
    labelled: bool
    """Whether its row had a label: then its outcome is among those of the odds, or it waits for one."""
    right: bool | None = None
    """What an operator said; None: nobody did, or was sure."""


def judged(raised: Sequence[Raised], alert_id: str, *, right: bool | None) -> tuple[Raised, ...]:
    """The warnings with a verdict on one of them, which is the last that counts."""
    return tuple(one._replace(right=right) if one.alert_id == alert_id else one for one in raised)


def precision(raised: Sequence[Raised]) -> float | None:
    """The share of right ones among those that operators judged; None where they judged none."""
    verdicts = [one.right for one in raised if one.right is not None]
    return sum(verdicts) / len(verdicts) if verdicts else None


def told_with(odds: Odds, raised: Sequence[Raised]) -> Told | None:
    """What is known of a machine's warnings, by operators' verdicts where there are any.

    Outcomes are in the order of opening, the warnings that wait behind them: the last are those of the last raised.
    """
    verdicts = sum(one.right is not None for one in raised)
    if not verdicts or not odds.scored:
        return odds.told
    outcomes: list[bool | None] = [*odds.outcomes, *[None] * len(odds.waiting)]
    labelled = sum(one.labelled for one in raised)
    older = len(outcomes) - labelled
    own = iter([None] * -older + outcomes[max(older, 0) :])
    known = [(hit, False) for hit in outcomes[: max(older, 0)]]
    for one in raised:
        outcome = next(own) if one.labelled else None
        known.append((outcome, False) if one.right is None else (one.right, True))
    last = [(hit, by_operator) for hit, by_operator in known if hit is not None][-REMEMBERED:]
    base = min(odds.ahead / odds.scored, 1.0)
    return Told(sum(hit for hit, _ in last), len(last), base, sum(by_operator for _, by_operator in last))


class Learned(NamedTuple):
    """What is known after a machine's steps."""

    odds: Odds
    told: dict[int, Told | None]
    """At each event of an alert, by place."""
    raised: tuple[Raised, ...]
    """The last REMEMBERED warnings."""


def learn(
    odds: Odds,
    steps: Sequence[Step],
    level: Sequence[float],
    *,
    raised: tuple[Raised, ...] = (),
    events: Mapping[int, str],
    labels: Sequence[int],
) -> Learned:
    """What is known after a machine's steps.

    level: of each step, NaN where it has no score. events: by place, the id of the warning that opens there, or "".
    labels: by place; of rows without a label no outcome is learned.
    """
    told: dict[int, Told | None] = {}  # not dict[int, …](): making the type takes longer than a row
    rows = labelled = 0
    for (place, what, _), now in zip(steps, level, strict=True):
        if what == BROKE:
            odds, rows, labelled = odds.after(rows, labelled=labelled).broke(), 0, 0
        elif what == RUN and now == now:
            rows += 1
            labelled += labels[place] != UNKNOWN
        if events and place in events and what in OF_ROWS:
            odds, rows, labelled = odds.after(rows, labelled=labelled), 0, 0
            told[place] = told_with(odds, raised)
            if events[place]:
                has_label = labels[place] != UNKNOWN
                raised = (*raised, Raised(events[place], has_label))[-REMEMBERED:]
                odds = odds.opened() if has_label else odds
    return Learned(odds.after(rows, labelled=labelled), told, raised)
