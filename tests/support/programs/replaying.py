"""Replays of small histories, on a clock that only sleeping moves."""

import itertools
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np

from replay.encoding import wire_encoder
from replay.faults import parse_fault
from replay.history import History
from replay.schedule import Message, blocks, damaged, sendings
from sheetbreak.rows import RowBatch, Schema
from sheetbreak.times import to_us
from sheetbreak.wire.rows import WireDecoder

SENSORS = ("x1", "x2", "x3")
START_US = to_us(datetime(2026, 1, 5, tzinfo=UTC))
MINUTE_US = 60_000_000


class Time:
    """A clock that only sleeping moves, and that can be made to run late."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


def history_of(minutes: list[int], machines: list[str] | None = None, **schema: Any) -> History:
    """Rows at these minutes, in this order."""
    n = len(minutes)
    values = np.random.default_rng(n).normal(size=(n, len(SENSORS))).round(4)
    rows = RowBatch(
        machines=machines or ["pm1"] * n,
        times_us=START_US + np.array(minutes, dtype=np.int64) * MINUTE_US,
        values=values,
        grades=["90"] * n,
        broken=np.zeros(n, dtype=np.int8),
    )
    return History(Schema(sensors=SENSORS, **schema), rows, np.arange(n), np.ones(len(SENSORS)))


def played(
    history: History, *faults: str, time: Time | None = None, count: int | None = None, **options: Any
) -> list[tuple[float, Message]]:
    """Messages as they come out, and when on the clock; `count` of them at most."""
    parsed = [parse_fault(fault) for fault in faults]
    time = time or Time()
    history = damaged(history, parsed)
    settings: dict[str, Any] = {"copies": [], "speed": math.inf, "begins_us": None, "loop": False} | options
    labels = settings.pop("labels", True)
    encode = wire_encoder(history.rows, history.schema, labels=labels)
    to_send = blocks(history, sendings(history, parsed), encode, **settings, clock=time.clock, sleep=time.sleep)
    messages = ((time.now, message) for block in to_send for message in block.messages)
    return list(itertools.islice(messages, count))


def decoded(messages: list[tuple[float, Message]]) -> RowBatch:
    found = WireDecoder(Schema(sensors=SENSORS)).decode([message.value for _, message in messages])
    assert not found.rejects
    return found.rows
