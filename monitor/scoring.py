"""Scoring of one batch: from a stream's records to the outputs and states that are to be committed."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType

from monitor.operators import Agenda, PlacedActions, Waiting, is_idle, obey, place_actions
from sheetbreak.engine.advance import advance
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.state import Missing, Results, State
from sheetbreak.errors import RowError
from sheetbreak.missing import Missing as NoReading
from sheetbreak.rows import RowBatch
from sheetbreak.streams.open import Opened
from sheetbreak.streams.protocol import Batch, Output, Record, Snapshot
from sheetbreak.wire.actions import Action
from sheetbreak.wire.messages import Plant, encode_alert, encode_dead_letter, encode_scores
from sheetbreak.wire.state import StateCodec
from sheetbreak.wire.topics import ALERTS, DEAD_LETTERS, SCORES

PART_ROWS = 2_500
"""Rows advanced at once, about: each takes 6 kB meanwhile, features, rebuilt windows and errors of 59 sensors."""
StatesOf = Callable[[int, Iterable[str]], Mapping[str, State]]
"""Of these machines of a partition (and others): what was last committed."""


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """What a batch comes to; true once it is committed."""

    outputs: list[Output]
    """In the order of the records; a row's alert comes behind its score."""
    snapshots: list[Snapshot]
    states: dict[int, dict[str, State]]
    """The new states, by partition, of the machines seen."""
    results: list[tuple[RowBatch, Results]]
    """One for each call of the engine."""
    rejects: list[RowError]
    """Records that could not be decoded."""
    missing: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By sensor and word: cells that hold no reading."""
    obeyed: list[Action] = field(default_factory=list)
    """Operators' actions that were done; and the errors of those that could not be, dead letters by now."""
    idle: list[Action] = field(default_factory=list)
    """Those of them that met nothing."""
    refused: list[RowError] = field(default_factory=list)
    agendas: dict[int, Agenda] = field(default_factory=dict)
    """By partition of the batch, the actions that wait; none where there were none."""

    def keep(
        self, new: Mapping[str, State], homes: Mapping[str, int], *, known: Mapping[str, State], codec: StateCodec
    ) -> None:
        """Take in new states. homes: each machine's partition; known: its state before."""
        for machine, state in new.items():
            partition = homes[machine]
            parts = codec.dump(machine, known.get(machine), state)
            self.snapshots.extend(Snapshot(partition, key, value) for key, value in parts.items())
            self.states.setdefault(partition, {})[machine] = state


def score_batch(
    batch: Batch,
    opened: Opened,
    *,
    states_of: StatesOf,
    history: Mapping[str, State],
    model: Artifact,
    codec: StateCodec,
    missing: Missing = "hold",
    agendas: Mapping[int, Agenda] = MappingProxyType({}),
) -> ScoredBatch:
    """Decode, advance and encode: every record gets exactly one score or dead letter.

    history: states to start from of machines that have none yet. agendas: by partition, operators' actions that wait.
    Outputs that the stream does not publish are not made.
    """
    values = [record.value for record in batch.records]
    decoded = opened.decode(values, [record.offset for record in batch.records])
    if model.manifest.schema.missing:  # the decoder knows those of the model that the monitor began with
        NoReading.of(model.manifest.schema.missing).blank_sentinels(decoded.rows.values)
    answers = _Answers(batch, opened, model.version, Plant.of(model.manifest.schema))
    for place, error in decoded.rejects:
        answers.bury(place, error)
    scored = ScoredBatch([], [], {}, [], [error for _, error in decoded.rejects], decoded.missing)
    acted = _by_home(batch.actions)
    homes = {} if acted or any(agendas.values()) else _homes(batch, decoded.rows, decoded.index)
    if homes:
        known = _known(homes, states_of)
        start = {**_of(history, homes), **_of(known, homes)} if history else known
        new: dict[str, State] = {}
        for places, rows in _parts(decoded.rows, decoded.index):
            after, results = advance({**start, **new} if new else start, rows, model, missing=missing)
            answers.add(places, rows, results)
            scored.results.append((rows, results))
            new |= after
        scored.keep(new, homes, known=known, codec=codec)
        scored.outputs.extend(answers.in_order())
        return scored

    def refuse(record: Record, error: RowError) -> None:
        scored.refused.append(error)
        answers.refuse(record, error)

    for partition, places, rows in _by_partition(batch, decoded.rows, decoded.index, acted):
        placed = place_actions(
            acted.get(partition, ()),
            rows,
            agendas.get(partition, {}),
            partition=partition,
            by_time=opened.actions_wait,
            refused=refuse,
        )
        ordered = [one.action.machine for _, one in placed.due]
        known = states_of(partition, [*rows.machines, *ordered] if ordered else rows.machines)
        start = {**_of(history, rows.machines, ordered), **_of(known, rows.machines, ordered)} if history else known
        new = {}
        for actions, some in _between(placed, len(rows)):
            for one in actions:
                machine = one.action.machine
                before = new.get(machine, start.get(machine))
                try:
                    new[machine] = obey(before, one.action, model)
                    scored.obeyed.append(one.action)
                    if is_idle(before, one.action):
                        scored.idle.append(one.action)
                except RowError as error:
                    refuse(one.record, error.alone())
            if some == slice(0, 0):
                continue
            part = rows if some == slice(0, len(rows)) else rows.take(some)
            after, results = advance({**start, **new} if new else start, part, model, missing=missing)
            answers.add(places[some], part, results)
            new |= after
            scored.results.append((part, results))
        scored.keep(new, dict.fromkeys(new, partition), known=known, codec=codec)
        scored.states.setdefault(partition, {})
        scored.snapshots.extend(placed.snapshots)
        scored.agendas[partition] = placed.agenda
    scored.outputs.extend(answers.in_order())
    return scored


def _between(placed: PlacedActions, rows: int) -> list[tuple[list[Waiting], slice]]:
    """Actions, and the rows that come after them up to the next ones."""
    if not placed.due:
        return [([], slice(0, rows))]
    firsts = sorted({0, *(place for place, _ in placed.due)})
    ends = [*firsts[1:], rows]
    return [
        ([one for place, one in placed.due if place == first], slice(first, end))
        for first, end in zip(firsts, ends, strict=True)
    ]


class _Answers:
    """The outputs of a batch, by the record that they answer."""

    def __init__(self, batch: Batch, opened: Opened, version: str, plant: Plant) -> None:
        self._records, self._opened, self._version, self._plant = batch.records, opened, version, plant
        self._of: list[list[Output]] = [[] for _ in batch.records]
        self._of_actions: list[Output] = []

    def bury(self, place: int, error: RowError) -> None:
        """Answer a record with a dead letter."""
        if DEAD_LETTERS in self._opened.emit:
            record = self._records[place]
            letter = encode_dead_letter(record.value, error, source=self._opened.origin(record))
            self._of[place].append(Output(DEAD_LETTERS, error.machine.encode(), letter))

    def refuse(self, record: Record, error: RowError) -> None:
        """Answer an operator's action that cannot be done with a dead letter."""
        if DEAD_LETTERS in self._opened.emit:
            origin = self._opened.action_origin or self._opened.origin
            letter = encode_dead_letter(record.value, error, source=origin(record))
            self._of_actions.append(Output(DEAD_LETTERS, error.machine.encode(), letter))

    def add(self, places: list[int], rows: RowBatch, results: Results) -> None:
        """Answer the records at `places`, one a row, with scores, alerts and dead letters."""
        rejected = dict(results.rejects)
        for row, error in rejected.items():
            self.bury(places[row], error)
        if SCORES in self._opened.emit:
            scores = encode_scores(rows, results, model=self._version, plant=self._plant)
            for row, (machine, score) in enumerate(zip(rows.machines, scores, strict=True)):
                if row not in rejected:
                    self._of[places[row]].append(Output(SCORES, machine.encode(), score))
        if ALERTS in self._opened.emit:
            for row, event in results.alerts:
                message = encode_alert(event, plant=self._plant)
                self._of[places[row]].append(Output(ALERTS, event.machine.encode(), message))

    def in_order(self) -> Iterator[Output]:
        """All outputs in the order of the records, behind those of actions."""
        return chain(self._of_actions, *self._of)


def _of(states: Mapping[str, State], *machines: Iterable[str]) -> dict[str, State]:
    return {machine: states[machine] for machine in set(chain(*machines)) if machine in states}


def _by_home(actions: Sequence[Record]) -> dict[int, list[Record]]:
    """Actions by partition."""
    found: dict[int, list[Record]] = {}
    for record in actions:
        found.setdefault(record.partition, []).append(record)
    return found


def _parts(rows: RowBatch, index: list[int]) -> list[tuple[list[int], RowBatch]]:
    """(each row's place among the records, the rows) of what is advanced one after the other: what one part needs is
    free for the next one. All rows of a machine are in one part, as each call costs some 100 µs for every machine;
    where there are few machines the rows are cut instead.
    """
    count = len(rows) // PART_ROWS
    if count < 2:
        return [(index, rows)]
    part_of = {machine: number % count for number, machine in enumerate(dict.fromkeys(rows.machines))}
    if len(part_of) < count:
        mine: list[Sequence[int]] = [
            range(start, min(start + PART_ROWS, len(rows))) for start in range(0, len(rows), PART_ROWS)
        ]
    else:
        parts = [part_of[machine] for machine in rows.machines]
        mine = [[row for row, part in enumerate(parts) if part == number] for number in range(count)]
    return [([index[row] for row in some], rows.take(list(some))) for some in mine]


def _homes(batch: Batch, rows: RowBatch, index: list[int]) -> dict[str, int]:
    """Each machine's partition; nothing where one comes in several: it has a state in each."""
    partitions = [batch.records[place].partition for place in index]
    homes = dict(zip(rows.machines, partitions, strict=True))
    if all(homes[machine] == at for machine, at in zip(rows.machines, partitions, strict=True)):
        return homes
    return {}


def _known(homes: Mapping[str, int], states_of: StatesOf) -> Mapping[str, State]:
    """The states of machines by their partitions."""
    machines: dict[int, list[str]] = {}
    for machine, partition in homes.items():
        machines.setdefault(partition, []).append(machine)
    found = {partition: states_of(partition, names) for partition, names in machines.items()}
    if len(found) == 1:
        return found.popitem()[1]
    return {machine: found[home][machine] for machine, home in homes.items() if machine in found[home]}


def _by_partition(
    batch: Batch, rows: RowBatch, index: list[int], acted: Collection[int]
) -> list[tuple[int, list[int], RowBatch]]:
    """(partition, each row's place among the records, the rows) for each partition that has rows or actions."""
    if not index and not acted:
        return []
    partitions = [batch.records[place].partition for place in index]
    found = sorted({*partitions, *acted})
    if len(found) == 1:
        return [(found[0], index, rows)]
    taken = []
    for partition in found:
        mine = [row for row, of in enumerate(partitions) if of == partition]
        taken.append((partition, [index[row] for row in mine], rows.take(mine)))
    return taken
