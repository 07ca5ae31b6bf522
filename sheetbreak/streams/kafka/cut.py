"""Cutting an output that the broker would not take, so that no row can stop the stream."""

from collections.abc import Callable
from typing import Any

import msgspec

from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.options import DEAD_LETTERS
from sheetbreak.streams.protocol import Output

RECORD_OVERHEAD = 128
"""Bytes of a batch of one record besides key and value: 61 for the batch, some 20 for the record, spare."""


def cut(output: Output, topic: str, limit: int) -> Output:
    """The same message made small enough for `limit` bytes.

    A dead letter keeps the start of the record and says that it is truncated; a score or an alert loses its
    top sensors first, then its lists of what was imputed. Raises DataError where even that does not fit.
    """
    room = limit - RECORD_OVERHEAD - len(output.key)
    message = msgspec.json.decode(output.value)
    steps = (_shorten_record,) if output.topic == DEAD_LETTERS else (_drop_top, _drop_lists)
    for step in steps:
        step(message, room)
        value = msgspec.json.encode(message)
        if len(value) <= room:
            return output._replace(value=value)
    raise DataError(
        f"topic {topic} takes {limit} bytes a record, too few for a message of {output.topic}; "
        "raise its max.message.bytes"
    )


_Step = Callable[[dict[str, Any], int], None]


def _shorten_record(message: dict[str, Any], room: int) -> None:
    record = message.get("record_base64") or ""
    message["truncated"] = True
    message["record_base64"] = ""
    left = max(0, room - len(msgspec.json.encode(message)))
    message["record_base64"] = record[: left // 4 * 4]  # base64 comes in fours


def _drop_top(message: dict[str, Any], _room: int) -> None:
    message["top"] = []


def _drop_lists(message: dict[str, Any], _room: int) -> None:
    for name, value in message.items():
        if isinstance(value, list):
            message[name] = []
        elif isinstance(value, dict):
            message[name] = {key: [] if isinstance(item, list) else item for key, item in value.items()}
