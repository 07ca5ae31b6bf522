"""Board: what is known of every machine now, folded from the messages as they come.

Seven states, each its own: a machine of which nothing is heard is "not watched" or has "no rows", never quiet. While no
monitor answers, the last warning holds. Not pure: one lock, since the feed writes and the pages read.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from desk.messages import Alert, Arrived, Odds, Score, TopSensor
from sheetbreak.times import parse_time

State = Literal["quiet", "WARNING", "restarting", "warming up", "stopped", "no rows", "not watched"]
RowState = Literal["quiet", "restarting", "warming up", "stopped"]

BUCKET_US = 300_000_000
"""Five minutes: one piece of a swim lane."""
LANE_US = 12 * 3600 * 1_000_000
SEVERITY: Mapping[RowState, int] = {"quiet": 1, "restarting": 2, "warming up": 3, "stopped": 4}
ROW_STATES: Mapping[str, RowState] = {
    "scored": "quiet",
    "restarting": "restarting",
    "warming-up": "warming up",
    "stopped": "stopped",
}
PERIODS_SILENT, SPARE_MS = 3, 15_000
"""So many usual pauses between two rows, and some time for the way, make a silence."""
_UNKNOWN_PAUSE_MS = 120_000.0
_FORGET = 0.02
"""How fast a longest pause is forgotten, a share of it per pause of that length."""


@dataclass(slots=True)
class OpenAlert:
    """An alert that no `closed` has ended."""

    alert_id: str
    opened_us: int
    critical: bool
    message: str
    top: tuple[TopSensor, ...]
    subject: str
    odds: Odds | None
    ratio: float | None


@dataclass(slots=True)
class Pauses:
    """How long it usually is from one message of a machine to the next, on the wall clock."""

    usual_ms: float = 0.0
    last_ms: int | None = None
    recent: deque[int] = field(default_factory=lambda: deque(maxlen=3))

    def note(self, at_ms: int) -> None:
        """A message came. One long silence is an outage and no new rhythm; three in a row are one."""
        if self.last_ms is not None:
            pause = max(at_ms - self.last_ms, 0)
            self.recent.append(pause)
            if self.usual_ms:
                self.usual_ms *= 1 - _FORGET * min(pause / self.usual_ms, 1.0)
            if pause <= self.limit_ms:
                self.usual_ms = max(self.usual_ms, pause)
            if len(self.recent) == 3:
                self.usual_ms = max(self.usual_ms, min(self.recent))
        self.last_ms = at_ms

    @property
    def limit_ms(self) -> float:
        """A longer pause is a silence."""
        return PERIODS_SILENT * (self.usual_ms or _UNKNOWN_PAUSE_MS) + SPARE_MS


@dataclass(slots=True)
class Machine:
    """What was last told of one machine."""

    name: str
    partition: int = 0
    row_state: RowState | None = None
    row_us: int = 0
    changed_us: int = 0
    """When the state of its rows began."""
    closed_us: int = 0
    """When its last alert ended."""
    cold_us: int = -1
    """Its last row while it warmed up: what was open before is not of this state."""
    ratio: float | None = None
    score: float | None = None
    threshold: float | None = None
    masked: tuple[str, ...] = ()
    health: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """As the last row with a score had it."""
    model: str = ""
    heard_ms: int = 0
    pauses: Pauses = field(default_factory=Pauses)
    alerts: dict[str, OpenAlert] = field(default_factory=dict)
    lane: dict[int, RowState] = field(default_factory=dict)
    """By number of the bucket."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One machine's tile."""

    machine: str
    state: State
    held: State | None
    """While nothing is heard: what was last known."""
    since_us: int
    row_us: int
    silent_ms: int
    ratio: float | None
    score: float | None
    threshold: float | None
    alert: OpenAlert | None
    masked: tuple[str, ...]
    health: Mapping[str, tuple[str, ...]]
    """Sensors by what is wrong with them, such as "drifted"."""
    lane: Mapping[int, RowState]

    @property
    def urgency(self) -> int:
        """What the shift must look at comes first; the others keep their places, where a shift looks for them."""
        if self.state == "WARNING":
            return 0 if self.alert is not None and self.alert.critical else 1
        return {"not watched": 2, "no rows": 3}.get(self.state, 4)


class Board:
    """All machines. `utc_offset_s` is the plant's, as the last alert told it; None: none did."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.monitor_waits: Callable[[], bool] = lambda: False
        """Whether a monitor is known to have answered every row."""
        self.monitor_stands: Callable[[], bool] = lambda: False
        """Whether rows are known to wait, of which no monitor has answered any for long."""
        self._machines: dict[str, Machine] = {}
        self._partitions: dict[int, int] = {}
        """When something was last heard of each, on the wall clock."""
        self.utc_offset_s: int | None = None

    def take(self, arrived: Iterable[Arrived], *, now_ms: int | None) -> None:
        """Fold messages in. now_ms: the desk's clock, where they have just come; None while it reads old ones."""
        with self._lock:
            for one in arrived:
                if not isinstance(one.message, Score | Alert):
                    continue
                machine = self._machines.setdefault(one.message.machine, Machine(one.message.machine))
                machine.partition = one.partition
                machine.heard_ms = max(machine.heard_ms, one.at_ms if now_ms is None else now_ms)
                self._partitions[one.partition] = max(self._partitions.get(one.partition, 0), machine.heard_ms)
                if isinstance(one.message, Score):
                    machine.pauses.note(one.at_ms)
                    _take_score(machine, one.message)
                else:
                    self._take_alert(machine, one.message)

    def _take_alert(self, machine: Machine, alert: Alert) -> None:
        time_us = parse_time(alert.time)
        if alert.kind == "closed":
            machine.alerts.pop(alert.alert_id, None)
            machine.closed_us = max(machine.closed_us, time_us)
        elif parse_time(alert.opened_at) > machine.cold_us:
            machine.alerts[alert.alert_id] = OpenAlert(
                alert.alert_id, parse_time(alert.opened_at), alert.severity == "critical", alert.message, alert.top,
                alert.subject or "sheet", alert.odds, alert.ratio,
            )  # fmt: skip
        if alert.local_time:
            self.utc_offset_s = offset_s(alert.local_time)

    def put(self, machines: Iterable[Machine], *, utc_offset_s: int | None) -> None:
        """Machines as a store has them, before anything is taken."""
        with self._lock:
            self._machines = {one.name: one for one in machines}
            self._partitions = {}
            for one in self._machines.values():
                self._partitions[one.partition] = max(self._partitions.get(one.partition, 0), one.heard_ms)
            self.utc_offset_s = utc_offset_s

    def standings(self, now_ms: int) -> list[Standing]:
        """Every machine's, the most urgent first."""
        with self._lock:
            found = [self._standing(machine, now_ms) for machine in self._machines.values()]
        return sorted(found, key=lambda one: (one.urgency, _natural(one.machine)))

    def standing(self, name: str, now_ms: int) -> Standing | None:
        """One machine's."""
        with self._lock:
            machine = self._machines.get(name)
            return None if machine is None else self._standing(machine, now_ms)

    def row_us(self, name: str) -> int | None:
        """The time of a machine's newest row: the clock that its actions go by."""
        with self._lock:
            machine = self._machines.get(name)
            return machine.row_us or None if machine is not None else None

    def _standing(self, machine: Machine, now_ms: int) -> Standing:
        alert = min(machine.alerts.values(), key=lambda one: (not one.critical, one.opened_us), default=None)
        known: State = "WARNING" if alert is not None else machine.row_state or "warming up"
        silent_ms = max(now_ms - machine.heard_ms, 0)
        state, held = known, None
        limit_ms = SPARE_MS if self.monitor_stands() else machine.pauses.limit_ms
        if silent_ms > limit_ms:
            others_heard = now_ms - self._partitions[machine.partition] <= limit_ms
            state, held = ("no rows" if others_heard or self.monitor_waits() else "not watched"), known
        return Standing(
            machine=machine.name,
            state=state,
            held=held,
            since_us=alert.opened_us if alert is not None else max(machine.changed_us, machine.closed_us),
            row_us=machine.row_us,
            silent_ms=silent_ms,
            ratio=machine.ratio,
            score=machine.score,
            threshold=machine.threshold,
            alert=alert,
            masked=machine.masked,
            health=machine.health,
            lane=dict(machine.lane),
        )


def _take_score(machine: Machine, score: Score) -> None:
    time_us = parse_time(score.time)
    state = ROW_STATES[score.state]
    if state != machine.row_state:
        machine.changed_us = time_us
    if score.state == "warming-up":
        machine.cold_us = time_us
        machine.alerts = {name: one for name, one in machine.alerts.items() if one.opened_us > time_us}
    machine.row_state, machine.row_us, machine.model = state, time_us, score.model
    machine.ratio, machine.score, machine.threshold = score.ratio, score.score, score.threshold
    machine.masked = score.masked
    if score.score is not None:
        machine.health = score.health
    bucket = time_us // BUCKET_US
    before = machine.lane.get(bucket)
    if before is None:
        for old in [one for one in machine.lane if not bucket - LANE_US // BUCKET_US <= one <= bucket]:
            del machine.lane[old]
    if before is None or SEVERITY[state] > SEVERITY[before]:
        machine.lane[bucket] = state


def offset_s(local_time: str) -> int | None:
    """Seconds east of UTC of a time with its offset."""
    try:
        offset = datetime.fromisoformat(local_time).utcoffset()
    except ValueError:
        return None
    return None if offset is None else round(offset.total_seconds())


def _natural(name: str) -> list[tuple[int, str]]:
    """pm2 before pm10."""
    parts: list[str] = []
    for char in name:
        if parts and parts[-1].isdigit() == char.isdigit():
            parts[-1] += char
        else:
            parts.append(char)
    return [(len(part) if part.isdigit() else 0, part) for part in parts]
