"""Operators: their actions on the states of machines, between two rows.

On Kafka a batch's actions come before its rows. From a file an action waits until a row of its machine has reached its
time; what waits is kept with the machines' states, so that a crash loses and repeats none.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sheetbreak.engine.model import Artifact
from sheetbreak.engine.odds import REMEMBERED, judged
from sheetbreak.engine.state import Acknowledged, State, cold_state
from sheetbreak.errors import RowError
from sheetbreak.rows import RowBatch, by_machine
from sheetbreak.streams.protocol import Record, Snapshot
from sheetbreak.times import format_time
from sheetbreak.wire.actions import Action, decode_action, refuse_action

_KEY = b"\0action\0"
"""Before the line of an action that waits; no machine's part of state has such a key."""
_RIGHT = {"true": True, "false": False}
Refused = Callable[[Record, RowError], None]

log = logging.getLogger(__name__)


class Waiting(NamedTuple):
    """An action that is to be done."""

    action: Action
    record: Record

    @property
    def key(self) -> bytes:
        """Under which it is kept."""
        return _KEY + b"%d" % self.record.offset


Agenda = Mapping[str, Sequence[Waiting]]
"""By machine, the actions whose time no row has reached, in the order in which they will be done."""


@dataclass(slots=True)
class PlacedActions:
    """A partition's actions of one batch: which come before which row, and what is kept of those that wait."""

    due: list[tuple[int, Waiting]] = field(default_factory=list)
    """Row of the partition's before which it is done, in order; as many as there are rows: behind the last."""
    agenda: Agenda = field(default_factory=dict)
    """After the batch."""
    snapshots: list[Snapshot] = field(default_factory=list)


def waiting_in(parts: Mapping[bytes, bytes], partition: int) -> Agenda:
    """The actions that wait, of what was kept of a partition; one that cannot be read is told and left out."""
    waiting = []
    for key, value in parts.items():
        if key.startswith(_KEY):
            try:
                waiting.append(Waiting(decode_action(value), Record(value, partition, int(key[len(_KEY) :]), None)))
            except (ValueError, RowError) as cause:
                log.warning("event=action-dropped partition=%d key=%r reason=%r", partition, key[:60], str(cause))
    return _by_machine(sorted(waiting, key=lambda one: one.record.offset))


def place_actions(
    records: Iterable[Record], rows: RowBatch, agenda: Agenda, *, partition: int, by_time: bool, refused: Refused
) -> PlacedActions:
    """The actions among these records, and those that waited, against a partition's rows. Bad ones are `refused`."""
    new = list[Waiting]()
    for record in records:
        try:
            new.append(Waiting(decode_action(record.value), record))
        except RowError as error:
            refused(record, error.alone())
    if not by_time:
        return PlacedActions([(0, one) for one in new])
    if not new and not agenda:
        return PlacedActions()
    merged = _by_machine([*(one for waiting in agenda.values() for one in waiting), *new])
    due, left, times_us = list[tuple[int, Waiting]](), dict[str, Sequence[Waiting]](), rows.times_us.tolist()
    places = by_machine(rows)
    for machine, waiting in merged.items():
        reached = 0
        for place in places.get(machine, ()):
            while reached < len(waiting) and waiting[reached].action.time_us <= times_us[place]:
                due.append((place, waiting[reached]))
                reached += 1
        if reached < len(waiting):
            left[machine] = waiting[reached:]
    done, fresh = {one.record.offset for _, one in due}, {one.record.offset for one in new}
    snapshots = [Snapshot(partition, one.key, one.record.value) for one in new if one.record.offset not in done]
    snapshots += [Snapshot(partition, one.key, None) for _, one in due if one.record.offset not in fresh]
    return PlacedActions(sorted(due, key=_by_place), left, snapshots)


def obey(state: State | None, action: Action, model: Artifact) -> State:
    """The machine's state after an action; None: it was never seen. Raises RowError for what cannot be done."""
    state = cold_state(model) if state is None else state
    orders, now = state.orders, state.alert.open
    match action.action:
        case "acknowledge":
            if now is not None and action.alert_id in (None, now.alert_id):
                orders = orders._replace(acknowledged=Acknowledged(now.alert_id, action.by, action.time_us))
        case "shelve":
            orders = orders._replace(shelved_until_us=action.until_us)
        case "unshelve":
            orders = orders._replace(shelved_until_us=None)
        case "mask":
            orders = orders.mask(_sensor(action, model), action.until_us)
            sensors = len(model.manifest.schema.sensors)
            if 2 * len(orders.masks) > sensors:
                raise refuse_action(
                    action,
                    f"more than half of the {sensors} sensors would be out of service, and the rest say too little "
                    "of the sheet; unmask one first",
                )
        case "unmask":
            orders = orders.unmask(_sensor(action, model))
        case "verdict":
            right = _RIGHT.get(action.verdict or "")
            return replace(state, raised=judged(state.raised, action.alert_id or "", right=right))
        case "cause":  # kept on the topic, for `labels`
            return state
    return state if orders == state.orders else replace(state, orders=orders)


def is_idle(state: State | None, action: Action) -> bool:
    """Whether it acknowledges an alert that is not open in the state before it."""
    now = None if state is None else state.alert.open
    return action.action == "acknowledge" and (now is None or action.alert_id not in (None, now.alert_id))


def tell_of_actions(
    actions: Sequence[Action], states: Iterable[Mapping[str, State]], *, idle: Sequence[Action] = ()
) -> None:
    """In the log, with what makes one of no effect. states: after the batch; idle: those that met no open alert."""
    after = {name: state for some in states for name, state in some.items()} if actions else {}
    for action in actions:
        state = after.get(action.machine)
        at_us = None if state is None else state.clock.last_us
        known = () if state is None else [one.alert_id for one in state.raised]
        if action.until_us is not None and at_us is not None and action.until_us <= at_us:
            note = f"it ends at {format_time(action.until_us)}, and the machine's rows are at {format_time(at_us)}"
            log.warning("event=action-over machine=%s action=%s by=%r note=%r", *_named(action), note)
        elif action in idle:
            note = f"alert {action.alert_id} is not open" if action.alert_id else "no alert is open"
            log.warning("event=action-idle machine=%s action=%s by=%r note=%r", *_named(action), note)
        elif action.action == "verdict" and action.alert_id not in known:
            note = f"alert {action.alert_id} is not among the last {REMEMBERED} of this model: the odds do not count it"
            log.info("event=action machine=%s action=%s by=%r note=%r", *_named(action), note)
        else:
            log.info("event=action machine=%s action=%s by=%r", *_named(action))


def _named(action: Action) -> tuple[str, str, str]:
    return action.machine, action.action, action.by


def _sensor(action: Action, model: Artifact) -> str:
    sensors, sensor = model.manifest.schema.sensors, action.sensor
    if sensor not in sensors:
        some = ", ".join(sensors[:10]) + (", …" if len(sensors) > 10 else "")
        raise refuse_action(action, f"the model knows no sensor {sensor!r}; it has {some}")
    return sensor


def _by_machine(waiting: Iterable[Waiting]) -> Agenda:
    found = dict[str, list[Waiting]]()
    for one in waiting:
        found.setdefault(one.action.machine, []).append(one)
    return {
        machine: sorted(some, key=lambda one: (one.action.time_us, one.record.offset))
        for machine, some in found.items()
    }


def _by_place(entry: tuple[int, Waiting]) -> tuple[int, int, int]:
    place, one = entry
    return place, one.action.time_us, one.record.offset
