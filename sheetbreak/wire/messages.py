"""Messages that go out: scores, alerts and dead letters as UTF-8 JSON, one object a message."""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from sheetbreak.engine.alerts import AlertEvent, Told, ratio_of
from sheetbreak.engine.scores import TopSensor
from sheetbreak.engine.state import SCORED, Results
from sheetbreak.errors import RowError
from sheetbreak.rows import RowBatch, Schema
from sheetbreak.times import EPOCH, MICROSECOND, format_time, format_times
from sheetbreak.wire.topics import ALERTS, DEAD_LETTERS, SCORES

DEAD_LETTER_BYTES = 256 * 1024
"""A dead letter keeps this much of the record, and says when that is not all of it."""
_MESSAGE_CHARS = 2000
"""Of an error's text at most: it may quote what the sender wrote."""

_STATE = {"warming_up": "warming-up"}


class Plant(NamedTuple):
    """What of a plant stands in messages for people."""

    zone: tzinfo = UTC
    units: Mapping[str, str] = MappingProxyType({})
    """By sensor."""

    @classmethod
    def of(cls, schema: Schema) -> "Plant":
        """A schema's."""
        return cls(ZoneInfo(schema.timezone), schema.units)

    def local_time(self, time_us: int) -> str:
        """ISO 8601 on the plant's clock, with its offset from UTC."""
        return (EPOCH + time_us * MICROSECOND).astimezone(self.zone).isoformat()


ANY_PLANT = Plant()


class _Top(msgspec.Struct):
    sensor: str
    share: float
    observed: float
    expected: float
    spreads: float
    unit: str | msgspec.UnsetType = msgspec.UNSET


class _ScoreMessage(msgspec.Struct, kw_only=True):
    topic: str = SCORES
    machine: str
    time: str
    state: str
    score: float | None = None
    threshold: float | None = None
    ratio: float | None = None
    over: bool = False
    rarity: float | None = None
    model: str
    imputed: Sequence[str]
    top: list[_Top] | msgspec.UnsetType = msgspec.UNSET
    masked: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    """Left out where operators took no sensor out of service."""
    health: Mapping[str, Sequence[str]] | msgspec.UnsetType = msgspec.UNSET
    """{"drifted": sensors}; left out where there is none."""
    grade: str | msgspec.UnsetType = msgspec.UNSET
    """Left out where it is the last one known, or none is."""


_encoder = msgspec.json.Encoder()


def encode_scores(rows: RowBatch, results: Results, *, model: str, plant: Plant = ANY_PLANT) -> list[bytes]:
    """The score messages of all rows, in order; those of rejected rows mean nothing."""
    columns = (results.score, results.threshold, results.rarity, results.over)
    numbers = zip(*(column.tolist() for column in columns), strict=True)
    times = format_times(rows.times_us)
    return [
        _encode_score(results, place, machine=machine, time=time, numbers=some, model=model, plant=plant)
        for place, (machine, time, some) in enumerate(zip(rows.machines, times, numbers, strict=True))
    ]


def encode_score(rows: RowBatch, results: Results, place: int, *, model: str, plant: Plant = ANY_PLANT) -> bytes:
    """The score message of one row that was taken."""
    return _encode_score(
        results,
        place,
        machine=rows.machines[place],
        time=format_time(rows.times_us[place]),
        numbers=(
            float(results.score[place]),
            float(results.threshold[place]),
            float(results.rarity[place]),
            bool(results.over[place]),
        ),
        model=model,
        plant=plant,
    )


def _encode_score(
    results: Results,
    place: int,
    *,
    machine: str,
    time: str,
    numbers: tuple[float, float, float, bool],
    model: str,
    plant: Plant,
) -> bytes:
    """numbers: score, level, rarity, over."""
    score, level, rarity, over = numbers
    outcome = results.outcome[place]
    message = _ScoreMessage(
        machine=machine,
        time=time,
        state=outcome if outcome == SCORED else _STATE.get(outcome, outcome),
        model=model,
        imputed=results.imputed.get(place, ()),
        masked=results.masked.get(place, msgspec.UNSET),
        grade=results.grades.get(place, msgspec.UNSET),
    )
    if score == score:
        message.score, message.threshold, message.ratio, message.over = score, level, ratio_of(score, level), over
        message.rarity = rarity if rarity == rarity else None
    drifted = results.drifted.get(place)
    if drifted:
        message.health = {"drifted": drifted}
    top = results.top.get(place) if over else None
    if top:
        message.top = _tops(top, plant)
    return _encoder.encode(message)


def encode_alert(event: AlertEvent, *, plant: Plant = ANY_PLANT) -> bytes:
    """The message of an alert's opening, update or end."""
    ordered: dict[str, Any] = {}
    if event.acknowledged is not None:
        by, time_us = event.acknowledged
        ordered["acknowledged"] = {"by": by, "time": format_time(time_us)}
    if event.shelved_until_us is not None:
        ordered["shelved_until"] = format_time(event.shelved_until_us)
    return _encoder.encode(
        {
            "topic": ALERTS,
            "alert_id": event.alert_id,
            "kind": event.kind,
            "machine": event.machine,
            "time": format_time(event.time_us),
            "local_time": plant.local_time(event.time_us),
            "opened_at": format_time(event.opened_us),
            "score": event.score,
            "threshold": event.threshold,
            "ratio": event.ratio,
            "severity": event.severity,
            "top": _tops(event.top, plant),
            "model": event.model,
            "quality": {"imputed": event.imputed, "masked": event.masked},
            "rarity": event.rarity,
            "odds": event.odds and _odds(event.odds),
            "message": event.message,
            **ordered,
        }
    )


def encode_dead_letter(record: bytes, error: RowError, *, source: Mapping[str, Any]) -> bytes:
    """The message of a record that is not a row; `source` says where it was read."""
    return _encoder.encode(
        {
            "topic": DEAD_LETTERS,
            "reason": error.reason,
            "error": "RowError",
            "message": str(error)[:_MESSAGE_CHARS],
            "source": source,
            "record_base64": base64.b64encode(record[:DEAD_LETTER_BYTES]).decode("ascii"),
            "truncated": len(record) > DEAD_LETTER_BYTES,
        }
    )


def _odds(odds: Told) -> dict[str, Any]:
    told = odds._asdict()
    return told if odds.judged else {name: told[name] for name in ("hits", "of", "base")}


def _tops(top: Sequence[TopSensor], plant: Plant) -> list[_Top]:
    units = plant.units
    return [_Top(t.sensor, t.share, t.observed, t.expected, t.spreads, units.get(t.sensor, msgspec.UNSET)) for t in top]
