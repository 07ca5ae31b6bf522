"""State of a machine between two rows, and results of a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from sheetbreak.engine.admission import Clock, Past
from sheetbreak.engine.alerts import AlertEvent, AlertState, Warned
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.odds import UNKNOWN_ODDS, Odds, Raised
from sheetbreak.engine.scores import TopSensor
from sheetbreak.engine.smoothing import RecentScores
from sheetbreak.engine.thresholds import Steering, Trailing, begin_steering
from sheetbreak.engine.windows import Memory, cold_memory
from sheetbreak.errors import RowError
from sheetbreak.rows import RowBatch

Floats = npt.NDArray[np.float64]
Missing = Literal["hold", "model"]
"""What stands in for a missing value when its row is scored: the last one, or what the model makes of the others."""
SCORED, RESTARTING, WARMING_UP, STOPPED, DEAD_LETTER = "scored", "restarting", "warming_up", "stopped", "dead_letter"


class Acknowledged(NamedTuple):
    """An alert that somebody has seen."""

    alert_id: str
    by: str
    time_us: int


class Orders(NamedTuple):
    """What operators said of a machine that still holds. Times are on the rows' clock, and end what they end."""

    acknowledged: Acknowledged | None = None
    shelved_until_us: int | None = None
    masks: tuple[tuple[str, int | None], ...] = ()
    """Sensors out of service, by name, and until when; None: until that is taken back."""

    def mask(self, sensor: str, until_us: int | None) -> "Orders":
        """With the sensor out of service, whatever was said of it before."""
        return self._replace(masks=tuple(sorted([*self.unmask(sensor).masks, (sensor, until_us)], key=_by_sensor)))

    def unmask(self, sensor: str) -> "Orders":
        """With the sensor in service."""
        return self._replace(masks=tuple(mask for mask in self.masks if mask[0] != sensor))

    def shelved_until(self, time_us: int) -> int | None:
        """The end of a shelf that the machine is on at this time."""
        until_us = self.shelved_until_us
        return until_us if until_us is not None and time_us < until_us else None

    def holding(self, time_us: int, alert_id: str | None) -> "Orders":
        """Those that hold on after a row of this time, with this alert open."""
        if self == NO_ORDERS:
            return self
        seen = self.acknowledged if self.acknowledged and self.acknowledged.alert_id == alert_id else None
        masks = tuple(mask for mask in self.masks if mask[1] is None or time_us < mask[1])
        return Orders(seen, self.shelved_until(time_us), masks)

    def told(self, event: AlertEvent) -> AlertEvent:
        """The event, saying what operators said of it."""
        seen, until_us = self.acknowledged, self.shelved_until(event.time_us)
        if seen is not None and seen.alert_id == event.alert_id:
            event = replace(event, acknowledged=(seen.by, seen.time_us))
        return event if until_us is None else replace(event, shelved_until_us=until_us)


NO_ORDERS = Orders()


def _by_sensor(mask: tuple[str, int | None]) -> str:
    return mask[0]


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
    orders: Orders = NO_ORDERS
    """What operators said of it."""
    recent_scores: RecentScores = ()
    """Of a model whose scores are smoothed."""
    raised: tuple[Raised, ...] = ()
    """The last warnings, for verdicts on them."""

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
    drifted: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """A scored row's sensors far from where training rows had them: what they do now is learned as normal."""
    masked: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """A row's sensors that operators took out of service: their readings count as normal."""
    grades: dict[int, str] = field(default_factory=dict)
    """A row's grade, where it is another than the last one known."""


def masked_cells(
    states: Mapping[str, State], places: Mapping[str, Sequence[int]], rows: RowBatch, sensors: Sequence[str]
) -> npt.NDArray[np.bool_] | None:
    """(rows, sensors) the cells of sensors out of service; None where there is none."""
    found = None
    for machine, own in places.items():
        for sensor, until_us in states[machine].orders.masks:
            if sensor in sensors:
                found = np.zeros((len(rows), len(sensors)), np.bool_) if found is None else found
                found[own, sensors.index(sensor)] = True if until_us is None else rows.times_us[own] < until_us
    return found if found is not None and found.any() else None


def cold_state(model: Artifact) -> State:
    """The state of a machine never seen."""
    threshold = model.manifest.threshold
    trailing, steering = Trailing(threshold.trailing_rows), begin_steering(threshold)
    memory = cold_memory(model.features)
    return State(model.version, Clock(), memory, trailing, AlertState(), None, steering, model.manifest.odds)
