"""Messages as the desk reads them: scores, alerts and dead letters of a monitor, what it does not know left out."""

from typing import Any, Literal, NamedTuple

import msgspec

from sheetbreak.engine.alerts import Told
from sheetbreak.errors import RowError
from sheetbreak.times import EARLIEST_US, LATEST_US, OUT_OF_RANGE, parse_time
from sheetbreak.wire.actions import Action, decode_action


class TopSensor(msgspec.Struct, frozen=True):
    """A sensor's part in a score."""

    sensor: str
    share: float = 0.0
    observed: float | None = None
    expected: float | None = None
    spreads: float | None = None
    unit: str = ""


class Odds(msgspec.Struct, frozen=True):
    """How often the last warnings came true, beside chance."""

    hits: int
    of: int
    base: float
    judged: int = 0
    """Of the `of`: those that operators called true or false."""

    @property
    def words(self) -> str:
        """For people."""
        return Told(self.hits, self.of, self.base, self.judged).of_warnings


class Quality(msgspec.Struct, frozen=True):
    """What the row lacked that an alert is about."""

    imputed: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()


class Score(msgspec.Struct, frozen=True, tag_field="topic", tag="scores"):
    """One row that was taken."""

    machine: str
    time: str
    state: Literal["scored", "restarting", "warming-up", "stopped"]
    score: float | None = None
    threshold: float | None = None
    ratio: float | None = None
    over: bool = False
    model: str = ""
    masked: tuple[str, ...] = ()
    health: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """Sensors by what is wrong with them; absent where nothing is."""
    grade: str | None = None
    """Of a row with another than the one before."""
    top: tuple[TopSensor, ...] = ()


class Alert(msgspec.Struct, frozen=True, tag_field="topic", tag="alerts"):
    """An alert's opening, update or end."""

    alert_id: str
    kind: Literal["opened", "updated", "closed"]
    machine: str
    time: str
    opened_at: str
    severity: Literal["warning", "critical"]
    message: str
    score: float | None = None
    threshold: float | None = None
    ratio: float | None = None
    top: tuple[TopSensor, ...] = ()
    model: str = ""
    local_time: str | None = None
    odds: Odds | None = None
    quality: Quality = Quality()
    shelved_until: str | None = None
    subject: str | None = None


class DeadLetter(msgspec.Struct, frozen=True, tag_field="topic", tag="dead-letters"):
    """A record that was no row."""

    reason: str
    source: dict[str, Any]
    message: str = ""
    record_base64: str = ""
    truncated: bool = False


Message = Score | Alert | DeadLetter | Action


class Arrived(NamedTuple):
    """A message and what is known of its way here."""

    message: Message
    at_ms: int
    """Wall clock at which it was written, or came; ms since 1970 UTC."""
    value: bytes
    partition: int = 0


class _Any(msgspec.Struct):
    topic: str = ""
    action: str = ""


_decoder = msgspec.json.Decoder(Score | Alert | DeadLetter)
_kind = msgspec.json.Decoder(_Any)


def decode(value: bytes) -> Message:
    """The message of a topic or of a line, whichever of the four it is. Raises ValueError, with what was wrong."""
    try:
        if not _kind.decode(value).topic:
            return decode_action(value)
        message: Score | Alert | DeadLetter = _decoder.decode(value)
        times: tuple[str, ...] = (message.time,) if isinstance(message, Score | Alert) else ()
        if isinstance(message, Alert):
            times += (message.opened_at, *filter(None, (message.shelved_until,)))
        for time in times:
            if not EARLIEST_US <= parse_time(time) < LATEST_US:
                raise ValueError(f"{time} {OUT_OF_RANGE}")
        return message
    except RowError as error:
        raise ValueError(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no score, alert, dead letter or action of a monitor: {error}") from error
