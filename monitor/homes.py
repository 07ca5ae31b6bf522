"""Homes: the partition that each machine's rows come in, and machines that come in several."""

import logging
from collections.abc import Iterable, Mapping

from sheetbreak.times import SAY_AGAIN_S

_NAMED = 3
_MOST = 100_000
"""Machines whose partition is remembered: a sender of ever new names cannot fill memory."""

log = logging.getLogger(__name__)


class Homes:
    """Tells, once a minute at most, of machines whose rows come in several partitions: none of them is ever warm."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._scattered: dict[str, set[int]] = {}
        self._said_at = float("-inf")
        self._new = False

    def see(self, machines: Mapping[int, Iterable[str]], *, now_s: float) -> None:
        """Take in the machines of a batch, by partition. now_s: monotonic seconds."""
        for partition, names in machines.items():
            for name in names:
                if self._seen.setdefault(name, partition) != partition and self._has_room(name):
                    homes = self._scattered.setdefault(name, {self._seen[name]})
                    self._new = self._new or partition not in homes
                    homes.add(partition)
        if len(self._seen) > _MOST:
            self._seen.clear()  # learned again with the next rows
        if self._new and now_s - self._said_at >= SAY_AGAIN_S:
            self._new, self._said_at = False, now_s
            log.error("event=rows-scattered machines=%d note=%r", len(self._scattered), self._note())

    def _has_room(self, name: str) -> bool:
        return name in self._scattered or len(self._scattered) < _MOST

    def _note(self) -> str:
        first = list(self._scattered.items())[:_NAMED]
        named = "; ".join(f"{name} comes in partitions {in_words(homes)}" for name, homes in first)
        return f"{named}; key rows by machine: each partition starts it anew, and most of its rows are not scored"


def in_words(numbers: Iterable[int]) -> str:
    """0, 1, 2, 5 as "0–2, 5"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
