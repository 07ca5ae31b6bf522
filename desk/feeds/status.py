"""Status of a feed: told by its thread, shown on every page."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from desk.messages import Arrived, Message, decode


@dataclass(slots=True)
class Status:
    """Each field is one assignment, so that readers need no lock."""

    source: str
    answers: bool = False
    """Whether the source can be read now."""
    reason: str = "not reached yet"
    """Why it cannot."""
    live: bool = False
    """False while the desk reads what was written before it started."""
    behind: int = 0
    """Messages that are still to be read then."""
    ended: bool = False
    """The pipe's writer is gone."""
    missing: tuple[str, ...] = ()
    """Topics that are not there."""
    monitor_waits: bool = False
    """A monitor is there and has answered every row: a machine that is silent sends none."""
    monitor_stands: bool = False
    """Rows wait, and for long no monitor has answered any: no machine is watched, however long it is usually silent."""
    notify_problem: str = ""
    """Why Alertmanager is not told."""
    notifies: bool | None = None
    """Whether this desk is the one that hands alerts to Alertmanager, and that takes them; None: it is not to."""
    foreign: int = 0
    """Records that are no message of a monitor."""
    foreign_last: str = ""

    def read(self, value: bytes) -> Message | None:
        """The message of a record; one that is none is counted and told."""
        try:
            return decode(value)
        except ValueError as error:
            self.foreign += 1
            self.foreign_last = str(error)[:500]
            return None


class Take(Protocol):
    """What a feed hands its messages to, with where reading goes on."""

    def __call__(self, arrived: Sequence[Arrived], positions: Mapping[tuple[str, int], int], *, live: bool) -> None: ...


class Feed(Protocol):
    """A source of messages."""

    status: Status

    def run(self, take: Take, stop: threading.Event) -> None:
        """Read until told to stop; a source that is away is waited for."""
