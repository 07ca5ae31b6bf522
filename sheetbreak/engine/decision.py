"""A machine's scores held against its level, and the alert they make: all of the engine that knows no sensor.

The engine runs it over the scores of the model; a trainer runs it over scores that are known, to choose from many
thresholds and policies.
"""

from sheetbreak.engine.alerts import (
    IDLE,
    AlertEvent,
    AlertPolicy,
    AlertState,
    Judged,
    change_grade,
    judge,
    pass_by,
    stop,
)
from sheetbreak.engine.thresholds import Threshold, Trailing, comparable, level_now


class Judging:
    """One machine's rows on their way through a batch, from the state before it."""

    __slots__ = ("_policy", "_threshold", "alert", "grade", "trailing")

    def __init__(
        self, threshold: Threshold, policy: AlertPolicy, *, trailing: Trailing, alert: AlertState, grade: str | None
    ) -> None:
        """trailing: is added to, so a copy of the state's."""
        self._threshold, self._policy = threshold, policy
        self.trailing, self.alert, self.grade = trailing, IDLE if alert == IDLE else alert, grade

    def begin_cold(self) -> None:
        """The clock was set back: what is known of scores and grade is of another time."""
        self.trailing, self.grade = Trailing(self._threshold.trailing_rows), None

    def take(self, grade: str | None) -> None:
        """A row comes, of this grade; None: the feed does not say, so that it goes on as it was."""
        if grade != self.grade and grade is not None:
            if self.grade is not None:
                self.alert = change_grade(self._policy, self.alert)
            self.grade = grade

    def pass_by(self) -> None:
        """It has no score."""
        self.alert = pass_by(self.alert)

    @property
    def idle(self) -> bool:
        """Whether a row that is not over changes nothing."""
        return self.alert is IDLE  # whether it is equal would take as long as all the rest

    def hold(self, score: float, *, counts: bool) -> tuple[float, bool]:
        """It has one: the level that it is held against, and whether it is over.

        counts: False on restarting rows, whose scores the trailing level leaves out.
        """
        level = level_now(self._threshold, self.trailing, self.grade)
        if counts:
            self.trailing.add(comparable(self._threshold, score, self.grade))
        return level, score > level

    def weigh(self, row: Judged, *, may_open: bool) -> AlertEvent | None:
        """What comes of a row that is over, or that comes while not idle."""
        alert, event = judge(self._policy, self.alert, row, may_open=may_open)
        self.alert = IDLE if alert == IDLE else alert
        return event

    def stop(self, machine: str, *, time_us: int, model: str, why: str) -> AlertEvent | None:
        """The run ended before the row to come."""
        self.alert, event = stop(self._policy, self.alert, machine, time_us=time_us, model=model, why=why)
        return event
