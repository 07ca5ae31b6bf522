"""Silences of shelved machines: Alertmanager holds their alerts and calls nobody, until the shelf ends.

What is there is compared with what should be, so that a desk that was killed, or its successor, makes none a second
time and leaves none behind. Silences that people made are theirs and stay.
"""

import sqlite3
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

from desk.notify.alertmanager import Alertmanager
from desk.notify.messages import NAME
from desk.store.alarms import shelved_machines
from sheetbreak.cli.act import rows_clock
from sheetbreak.times import EPOCH, format_time

_OURS = "sheetbreak desk: "
"""How the comment of each begins."""
_LEAST_MS = 600_000
"""A shelf that is over by the wall clock, and not yet by the rows', goes on so long at a time."""
_LAST_MS = 253_402_300_799_999
"""The end of the year 9999: no clock goes on, and a shelf until then, of rows that are behind, would end later."""


class Shelf(NamedTuple):
    """A machine that is shelved."""

    machine: str
    ends_ms: int
    """On the wall clock: the rows may be on another one."""
    by: str
    comment: str
    """Which shelving it is: the same for the same, whichever desk says so."""

    @property
    def identity(self) -> tuple[str, str]:
        """The same as long as nobody says otherwise."""
        return self.machine, self.comment

    def as_silence(self, now_ms: int) -> dict[str, Any]:
        """As Alertmanager takes it."""
        matchers = [
            {"name": name, "value": value, "isRegex": False, "isEqual": True}
            for name, value in (("alertname", NAME), ("machine", self.machine))
        ]
        return {
            "matchers": matchers,
            "startsAt": _wall(now_ms),
            "endsAt": _wall(self.ends_ms if self.ends_ms > now_ms else now_ms + _LEAST_MS),
            "createdBy": self.by,
            "comment": self.comment,
        }


def shelves(db: sqlite3.Connection, *, now_ms: int) -> list[Shelf]:
    """The machines that are shelved by their rows' own time."""
    found = []
    for said, row_us in shelved_machines(db):
        assert said.until_us is not None
        behind_us = rows_clock(now_ms * 1000, row_us) - now_ms * 1000  # 0 where rows are of now
        text = f"{_OURS}shelved at {format_time(said.time_us)} until {format_time(said.until_us)} by the rows' clock"
        comment = f"{text}: {said.comment}" if said.comment else text
        found.append(Shelf(said.machine, (said.until_us - behind_us) // 1000, said.by, comment))
    return found


def keep_silences(alertmanager: Alertmanager, wanted: Iterable[Shelf], *, now_ms: int) -> None:
    """Make those that are wanted and not there, end those of ours that are not wanted. Raises OSError, ValueError."""
    missing, over = {one.identity: one for one in wanted}, list[str]()
    for silence in alertmanager.silences(alertname=NAME):
        machine, comment = _machine_of(silence), str(silence.get("comment", ""))
        if silence["status"]["state"] == "expired" or machine is None or not comment.startswith(_OURS):
            continue
        if missing.pop((machine, comment), None) is None:
            over.append(str(silence["id"]))
    for shelf in missing.values():  # before another one of its machine ends: no alert slips through between them
        alertmanager.silence(shelf.as_silence(now_ms))
    for silence_id in over:
        alertmanager.end_silence(silence_id)


def _machine_of(silence: dict[str, Any]) -> str | None:
    """Of a silence of one machine's alerts, as we make them."""
    matched = {one["name"]: str(one["value"]) for one in silence["matchers"] if not one["isRegex"]}
    return matched.get("machine") if matched.keys() == {"alertname", "machine"} else None


def _wall(at_ms: int) -> str:
    return (EPOCH + timedelta(milliseconds=min(at_ms, _LAST_MS))).isoformat()
