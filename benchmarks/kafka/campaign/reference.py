"""Reference: what an undisturbed run gives for a machine's rows and actions, by the monitor's own scoring.

Which model scored a row, and between which rows an action came, depends on when it was there: both are read from the
answers that are to be checked (a score names its model and the sensors out of service). All else is computed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import msgspec

from monitor.scoring import score_batch
from sheetbreak.artifact import load
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.state import State
from sheetbreak.errors import RowError
from sheetbreak.rows import RowBatch
from sheetbreak.streams.memory import MemoryStream, MemoryTopic
from sheetbreak.streams.open import Opened
from sheetbreak.streams.protocol import Batch, Record
from sheetbreak.times import format_times
from sheetbreak.wire.actions import Action, decode_action
from sheetbreak.wire.rows import WireDecoder
from sheetbreak.wire.state import StateCodec
from sheetbreak.wire.topics import OUTPUTS

_AT_ONCE = 2_000


class Seen(NamedTuple):
    """What a score says of when its row came."""

    model: str
    masked: tuple[str, ...]


@dataclass(slots=True)
class Told:
    """What a machine's rows come to."""

    outputs: list[tuple[str, bytes]] = field(default_factory=list)
    """(topic, message), those of rows, in order."""
    of_actions: list[bytes] = field(default_factory=list)
    """Dead letters of actions, in order."""
    state: State | None = None


def seen_in(scores: Iterable[bytes]) -> dict[str, Seen]:
    """By a row's time, what its first score says."""
    found: dict[str, Seen] = {}
    for message in scores:
        try:
            fields = msgspec.json.decode(message)
            seen = Seen(fields["model"], tuple(fields.get("masked", ())))
            found.setdefault(fields["time"], seen)
        except (ValueError, LookupError, TypeError):  # told as a difference
            continue
    return found


class Reference:
    """Folds machines anew under the models of a folder."""

    def __init__(self, models: Path, *, rows_topic: str, actions_topic: str, first_model: str) -> None:
        """first_model: of rows before the first score."""
        self._load = cache(lambda version: load(models, version))
        self._first = first_model
        schema = self._load(first_model).manifest.schema
        self._decode, self.codec = WireDecoder(schema).decode, StateCodec(schema)
        self._opened = Opened(
            MemoryStream(MemoryTopic()),
            self._decode,
            lambda record: {"topic": rows_topic, "partition": record.partition, "offset": record.offset},
            OUTPUTS,
            action_origin=lambda r: {"topic": actions_topic, "partition": r.partition, "offset": r.offset},
        )

    def times_of(self, rows: Sequence[Record]) -> list[str]:
        """Of rows that are all sound."""
        decoded = self._rows(rows)
        return list(format_times(decoded.times_us))

    def fold(self, machine: str, rows: Sequence[Record], actions: Sequence[Record], seen: dict[str, Seen]) -> Told:
        """Answers and state. rows, actions: the machine's, in order; seen: of its scores, by time."""
        told, model = Told(), self._load(self._first)
        for some, due, version in self._cut(rows, list(actions), seen):
            model = self._load(version)
            self._score(Batch((), actions=due), told, machine, model)
            for _, group in groupby(some, key=attrgetter("partition")):  # a state is of one partition: none mixes two
                home = list(group)
                for first in range(0, len(home), _AT_ONCE):
                    self._score(Batch(home[first : first + _AT_ONCE]), told, machine, model)
        return told

    def state_bytes(self, machine: str, state: State) -> bytes:
        """All parts of a state in one form, whatever parts it was written in."""
        return msgspec.msgpack.encode(sorted(self.codec.dump(machine, None, state).items()))

    def _rows(self, rows: Sequence[Record]) -> RowBatch:
        decoded = self._decode([row.value for row in rows], [row.offset for row in rows])
        assert not decoded.rejects, "the campaign writes sound rows"
        return decoded.rows

    def _cut(
        self, rows: Sequence[Record], actions: list[Record], seen: dict[str, Seen]
    ) -> Iterator[tuple[Sequence[Record], list[Record], str]]:
        """Runs of rows under one model, with the actions that come before each; the last run may have no row."""
        first, version, masks, met = 0, self._first, Masks(), set[str]()
        due: list[Record] = []
        for place, time in enumerate(self.times_of(rows)):
            one = None if time in met else seen.get(time)
            met.add(time)
            if one is None or (one.model == version and one.masked == masks.now):
                continue
            if place > first:
                yield rows[first:place], due, version
            first, version, due = place, one.model, []
            while masks.now != one.masked and actions:
                due.append(actions.pop(0))
                masks.take(due[-1])
        yield rows[first:], due, version
        yield (), actions, version

    def _score(self, batch: Batch, told: Told, machine: str, model: Artifact) -> None:
        if not batch.records and not batch.actions:
            return
        before = {} if told.state is None else {machine: told.state}
        scored = score_batch(
            batch,
            self._opened,
            states_of=lambda _partition, _machines: before,
            history={},
            model=model,
            codec=self.codec,
        )
        for states in scored.states.values():
            told.state = states.get(machine, told.state)
        if batch.actions:
            told.of_actions += [output.value for output in scored.outputs]
        else:
            told.outputs += [(output.topic, output.value) for output in scored.outputs]


class Masks:
    """The sensors that a machine's actions have out of service."""

    def __init__(self) -> None:
        self.now: tuple[str, ...] = ()

    def take(self, record: Record) -> None:
        """One action more; what is refused changes nothing."""
        try:
            action: Action = decode_action(record.value)
        except RowError:
            return
        sensor = action.sensor or ""
        if action.action == "mask" and sensor.startswith("x"):
            self.now = tuple(sorted({*self.now, sensor}))
        elif action.action == "unmask":
            self.now = tuple(one for one in self.now if one != sensor)
