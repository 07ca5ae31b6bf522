"""Summaries of machines: what their states say without a model."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from sheetbreak.wire.state_core import Core


class Summary(NamedTuple):
    """What a machine's core says without a model."""

    last_us: int | None
    state: str
    """"warning", "stopped", "warming up" (never scored) or "quiet"."""
    grade: str | None
    alert_id: str | None = None
    """Of the alert that is open."""


def summarise(parts: Mapping[bytes, bytes]) -> dict[str, Summary]:
    """Of every machine whose core can be read."""
    found = {}
    for key, value in parts.items():
        stem, _, part = key.rpartition(b"\0")
        if part == b"core":
            try:
                core = msgspec.msgpack.decode(value, type=Core)
                state = "warning" if core.open else "stopped" if core.was_broken else "quiet"
                state = state if core.trailing_count or core.open else "warming up"
                found[stem.decode()] = Summary(core.last_us, state, core.grade, core.open[0] if core.open else None)
            except ValueError:  # msgspec's errors among them
                continue
    return found
