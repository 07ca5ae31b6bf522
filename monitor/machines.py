"""Machines: whose states a monitor holds in memory, how many that were never scored, and which are long silent.

A sender may name a new machine in every row, and a mill takes machines out of service: without bounds both grow
memory, metrics and the state topic for ever. docs/decisions/0010-machines-that-come-and-go.md says why it is done so.
"""

import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from monitor.operators import Agenda
from monitor.scoring import ScoredBatch
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.state import State
from sheetbreak.streams.protocol import Snapshot
from sheetbreak.wire.state import StateCodec

MAX_NEW = 10_000
"""Machines never scored that are remembered: a fleet at its first start, or a sender's ever new names."""
SILENT_DAYS = 30
SETTLED_ROWS = 30
"""A machine whose model has no warm-up is no newcomer after so many scored rows."""
_SWEEP_EVERY_S = 60.0
_AT_ONCE = 500
"""Names in a query; SQLite takes 999 on old builds."""

log = logging.getLogger(__name__)

Key = tuple[int, str]
"""Partition and machine."""


class Machines:
    """The states of the machines of our partitions, as last committed. One thread."""

    def __init__(
        self,
        codec: StateCodec,
        *,
        clock: Callable[[], float],
        max_new: int = MAX_NEW,
        silent_days: float = SILENT_DAYS,
    ) -> None:
        """clock: monotonic seconds."""
        self._codec, self._clock = codec, clock
        self._max_new, self._silent_s = max_new, silent_days * 86_400
        self._states: dict[int, dict[str, State]] = {}
        self.agendas: dict[int, Agenda] = {}
        """By partition, operators' actions that wait for a row of their time."""
        self._arrived: OrderedDict[Key, float] = OrderedDict()
        """When each one's last rows came, the longest silent first."""
        self._new: OrderedDict[Key, None] = OrderedDict()
        """Those never scored, the longest silent first."""
        self._leaving: dict[int, dict[str, list[bytes]]] = {}
        """Keys of what the stream keeps of forgotten machines: deleted with the partition's next commit."""
        self._asleep = Asleep()
        self._swept_at = clock()
        self._told = False

    @property
    def partitions(self) -> tuple[int, ...]:
        """Ours."""
        return tuple(self._states)

    def take_over(
        self, partition: int, states: Mapping[str, State], model: Artifact, *, agenda: Agenda = MappingProxyType({})
    ) -> list[str]:
        """A partition is ours, with these states and actions that wait. Returns machines that are forgotten at once."""
        self._states[partition] = {}
        self.agendas[partition] = agenda
        return self._adopt(partition, states, model)

    def drop(self, partition: int) -> list[str]:
        """A partition is not ours any more. Returns its machines."""
        gone = list(self._states.pop(partition, {}))
        self.agendas.pop(partition, None)
        for machine in gone:
            self._arrived.pop((partition, machine), None)
            self._new.pop((partition, machine), None)
        self._leaving.pop(partition, None)
        self._asleep.drop(partition)
        return gone

    def states_of(self, partition: int, machines: Iterable[str]) -> Mapping[str, State]:
        """The states that these machines go on from; sleeping ones among them. Changes nothing."""
        known = self._states.get(partition, {})
        parts = self._asleep.get(partition, (machine for machine in machines if machine not in known))
        return {**known, **self._codec.load(parts)} if parts else known

    def deletions(self, scored: ScoredBatch) -> list[Snapshot]:
        """What is to be deleted with this batch of machines that were forgotten, unless it brings them back."""
        written = {snapshot.key for snapshot in scored.snapshots}
        return [
            Snapshot(partition, key, None)
            for partition in scored.states
            for keys in self._leaving.get(partition, {}).values()
            for key in keys
            if key not in written
        ]

    def committed(self, scored: ScoredBatch, model: Artifact) -> list[str]:
        """The batch stands. Returns the machines that are forgotten now."""
        gone = []
        self.agendas.update(scored.agendas)
        for partition, states in scored.states.items():
            self._leaving.pop(partition, None)
            gone += self._adopt(partition, states, model)
        return gone

    def sweep(self) -> list[str]:
        """Now and then: those silent for so long leave memory, to be restored on their next row. Returns them."""
        now_s = self._clock()
        if now_s - self._swept_at < _SWEEP_EVERY_S:
            return []
        self._swept_at = now_s
        gone = []
        while self._arrived:
            key, at_s = next(iter(self._arrived.items()))
            if now_s - at_s < self._silent_s or not self._put_to_sleep(key):
                break
            gone.append(key[1])
        if gone:
            log.info("event=machines-asleep count=%d machines=%s", len(gone), _shown(gone))
        return gone

    def _adopt(self, partition: int, states: Mapping[str, State], model: Artifact) -> list[str]:
        known, now_s, warm_up_rows = self._states[partition], self._clock(), model.features.warm_up_rows
        for machine, state in states.items():
            key = partition, machine
            if _is_settled(state, warm_up_rows):
                self._new.pop(key, None)
            elif machine not in known or key in self._new:
                self._new[key] = None
                self._new.move_to_end(key)
            if machine not in known:
                self._asleep.discard(partition, machine)
            known[machine] = state
            self._arrived[key] = now_s
            self._arrived.move_to_end(key)
        return self._forget_the_oldest()

    def _forget_the_oldest(self) -> list[str]:
        gone = []
        while len(self._new) > self._max_new:
            key, _ = self._new.popitem(last=False)
            self._forget(key)
            gone.append(key[1])
        if gone and not self._told:
            self._told = True
            text = "event=too-many-machines never-scored=%d limit=%d machines=%s note=%r"
            note = "the longest silent are forgotten; does a feed name its rows, not its machines? else --max-machines"
            log.warning(text, len(self._new) + len(gone), self._max_new, _shown(gone), note)
        return gone

    def _forget(self, key: Key) -> None:
        partition, machine = key
        state = self._states[partition].pop(machine)
        self._arrived.pop(key, None)
        self._leaving.setdefault(partition, {})[machine] = self._codec.keys(machine, state)

    def _put_to_sleep(self, key: Key) -> bool:
        """False: the disk does not take it now; it stays."""
        partition, machine = key
        if key in self._new:
            del self._new[key]
            self._forget(key)
            return True
        try:
            self._asleep.put(partition, machine, self._codec.dump(machine, None, self._states[partition][machine]))
        except sqlite3.Error as cause:
            log.warning("event=machine-kept-awake machine=%s reason=%r", machine, str(cause))
            return False
        del self._states[partition][machine], self._arrived[key]
        return True

    def close(self) -> None:
        """Let go of the sleeping."""
        self._asleep.close()


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


def _is_settled(state: State, warm_up_rows: int) -> bool:
    warm = warm_up_rows > 0 and state.memory.features.rows >= warm_up_rows
    return warm or state.trailing.count >= SETTLED_ROWS


def _shown(machines: list[str]) -> str:
    return ",".join(repr(machine[:60]) for machine in machines[:5]) + (",…" if len(machines) > 5 else "")
