"""Start time of a replay whose rows must not be late: now, or after the rows that a topic holds already."""

import msgspec

from sheetbreak.errors import DataError
from sheetbreak.rows import Schema
from sheetbreak.streams.open import scheme_of
from sheetbreak.times import parse_time


def onward_us(now_us: int, to: str, schema: Schema) -> int:
    """The first row's time: now, or as a stop after the last row of the topic where that is later.

    A replay faster than 1x runs ahead of the clock. One that began at "now" again would send times that its
    machines have seen, which are refused. Raises DataError where `to` is no topic.
    """
    last_values = scheme_of(to, option="--to").last_values
    if last_values is None:
        raise DataError(f"--times onward goes on after the rows of a topic; --to {to} is none, use --times now")
    times = [time_us for value in last_values(to, _is_row) if (time_us := _time_us(value)) is not None]
    gap_us = round((schema.stop_gap_s + schema.period_s) * 1e6)
    # In whole seconds: plants do not stamp rows with microseconds.
    return max([now_us, *((time_us + gap_us) // 1_000_000 * 1_000_000 for time_us in times)])


class _Row(msgspec.Struct):
    time: str


_decode = msgspec.json.Decoder(_Row).decode


def _time_us(value: bytes) -> int | None:
    """A wire row's time; None for what is no row."""
    try:
        return parse_time(_decode(value).time)
    except (msgspec.MsgspecError, ValueError):
        return None


def _is_row(value: bytes) -> bool:
    return _time_us(value) is not None
