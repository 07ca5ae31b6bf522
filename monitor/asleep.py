"""Sleeping machines: the states of those long silent, as bytes in a temporary database on disk until their next row."""

import sqlite3
from collections.abc import Iterable, Mapping

_AT_ONCE = 500
"""Names in a query; SQLite takes 999 on old builds."""


class Asleep:
    """Parts of states by partition and machine. What the stream keeps stays the truth: this is a copy, lost with us."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("")  # a private file that goes with the process; a few MB of it stay in memory
        self._rows.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE parts (partition INTEGER, machine TEXT, key BLOB, value BLOB,"
            " PRIMARY KEY (partition, machine, key)) WITHOUT ROWID;"
        )
        self._count: dict[int, int] = {}
        """Machines by partition: most of the time there are none, and nothing is asked."""

    def put(self, partition: int, machine: str, parts: Mapping[bytes, bytes]) -> None:
        """Keep a machine's state. Raises sqlite3.Error, with nothing kept, where the disk does not take it."""
        with self._rows:
            self._rows.executemany(
                "INSERT INTO parts VALUES (?, ?, ?, ?)", [(partition, machine, *part) for part in parts.items()]
            )
        self._count[partition] = self._count.get(partition, 0) + 1

    def get(self, partition: int, machines: Iterable[str]) -> dict[bytes, bytes]:
        """The parts of those of `machines` that sleep."""
        if not self._count.get(partition):
            return {}
        names, found = list(set(machines)), dict[bytes, bytes]()
        for first in range(0, len(names), _AT_ONCE):
            some = names[first : first + _AT_ONCE]
            asked = ", ".join("?" * len(some))
            query = f"SELECT key, value FROM parts WHERE partition = ? AND machine IN ({asked})"  # noqa: S608 - only "?"
            found.update(self._rows.execute(query, (partition, *some)))
        return found

    def discard(self, partition: int, machine: str) -> None:
        """It is awake again, or gone."""
        if not self._count.get(partition):
            return
        with self._rows:
            gone = self._rows.execute("DELETE FROM parts WHERE partition = ? AND machine = ?", (partition, machine))
        if gone.rowcount:
            self._count[partition] -= 1

    def drop(self, partition: int) -> None:
        """The partition is another monitor's now."""
        if self._count.pop(partition, 0):
            with self._rows:
                self._rows.execute("DELETE FROM parts WHERE partition = ?", (partition,))

    def close(self) -> None:
        """Give the file back."""
        self._rows.close()
