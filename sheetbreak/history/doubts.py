"""Doubts about a history: what is not as expected, where, how often, and what to do; told all at once or one by one."""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from sheetbreak.errors import DataError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Doubt:
    """One finding about a history, with its number."""

    kind: str
    """A word with hyphens that scripts can look for: "bad-cells", "text-column", "time-repeats" …"""
    place: str
    """File, line and column of the first: "mill.csv line 812, column x17"."""
    what: str
    remedy: str
    """What to do; empty where nothing has to be done."""
    count: int = 1
    """Cells, rows or columns, as `what` says."""
    fatal: bool = False
    """Without it nothing can be made of the file: every command but `inspect` stops here."""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}" + (f"; {self.remedy}" if self.remedy else "")


Tell = Callable[[Doubt], None]


@dataclass(slots=True)
class Doubts:
    """Collects doubts in the order found. Unless `keeps_going`, the first fatal one is raised as DataError.

    tell: called with each that is not fatal.
    """

    tell: Tell | None = None
    keeps_going: bool = False
    found: list[Doubt] = field(default_factory=list)

    def add(self, doubt: Doubt, cause: Exception | None = None) -> None:
        """Take a doubt. Raises DataError from `cause` if it is fatal and this does not keep going."""
        self.found.append(doubt)
        if doubt.fatal and not self.keeps_going:
            raise DataError(str(doubt)) from cause
        if self.tell is not None and not doubt.fatal:
            self.tell(doubt)


def log_doubt(doubt: Doubt) -> None:
    """One log line, as a monitor tells it."""
    event = "event=doubt kind=%s count=%d place=%r what=%r remedy=%r"
    log.warning(event, doubt.kind, doubt.count, doubt.place, doubt.what, doubt.remedy)


def warn_of(doubt: Doubt) -> None:
    """One line for a person, on standard error."""
    print(f"warning: {doubt}", file=sys.stderr)
