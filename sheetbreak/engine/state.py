"""State of a machine between two rows, and results of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from sheetbreak.engine.admission import Clock, Past
from sheetbreak.engine.alerts import AlertEvent, AlertState, Warned
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.odds import UNKNOWN_ODDS, Odds
from sheetbreak.engine.scores import TopSensor
from sheetbreak.engine.thresholds import Steering, Trailing, begin_steering
from sheetbreak.engine.windows import Memory, cold_memory
from sheetbreak.errors import RowError

Floats = npt.NDArray[np.float64]
Missing = Literal["hold", "model"]
"""What stands in for a missing value when its row is scored: the last one, or what the model makes of the others."""
SCORED, RESTARTING, WARMING_UP, STOPPED, DEAD_LETTER = "scored", "restarting", "warming_up", "stopped", "dead_letter"


@dataclass(frozen=True, slots=True)
class State:
    """One machine between two rows; a value, never changed in place."""

    model: str
    """The version whose scores `trailing` holds; under another one it starts anew."""
    clock: Clock
    memory: Memory
    trailing: Trailing
    alert: AlertState
    grade: str | None = None
    """The last one known; a feed may name it at its changes alone."""
    steering: Steering | None = None
    """Where the wheel of a steered threshold stands."""
    odds: Odds = UNKNOWN_ODDS
    """What is known of its warnings."""
    prints: bytes = b""
    """Fingerprints of the last rows taken."""
    aside: "State | None" = None
    """The state before a jump of the clock that may have been odd: gone on with when the clock is right again."""
    aside_rows: int = 0
    """Rows taken since it was set aside."""

    @property
    def past(self) -> Past:
        """What the next rows are held against."""
        return Past(self.clock, self.aside.clock if self.aside else None, self.aside_rows, self.prints)


@dataclass(slots=True)
class Results:
    """What became of a batch's rows; arrays and lists have one entry a row, dictionaries where there is something."""

    outcome: list[str]
    score: Floats
    """NaN where the row was not scored, as in `threshold`."""
    threshold: Floats
    rarity: Floats
    """The share of the machine's last scores that are as high; NaN where that is not known."""
    over: npt.NDArray[np.bool_]
    contributions: Floats
    """(rows, sensors) each sensor's part in the score; NaN where the row was not scored."""
    imputed: dict[int, tuple[str, ...]] = field(default_factory=dict)
    top: dict[int, Sequence[TopSensor]] = field(default_factory=dict)
    """For rows over the threshold, and those at which an alert is open."""
    alerts: list[tuple[int, AlertEvent]] = field(default_factory=list)
    rejects: list[tuple[int, RowError]] = field(default_factory=list)
    breaks: list[tuple[int, Warned]] = field(default_factory=list)
    """Rows at which a break starts, and whether it was warned of."""
    stops: list[tuple[int, str]] = field(default_factory=list)
    """Rows before which a run ended, or might have, and why: "break", "clock", "gap", "short-gap", "lost-rows"."""
    cold_starts: list[tuple[int, str]] = field(default_factory=list)
    """Rows at which a machine is cold, and why: "new", "clock"."""


def cold_state(model: Artifact) -> State:
    """The state of a machine never seen."""
    threshold = model.manifest.threshold
    trailing, steering = Trailing(threshold.trailing_rows), begin_steering(threshold)
    memory = cold_memory(model.features)
    return State(model.version, Clock(), memory, trailing, AlertState(), None, steering, model.manifest.odds)
