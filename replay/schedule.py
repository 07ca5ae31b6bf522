"""Schedule of a replay: the rows of a history with faults and copies, paced, once or for ever."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from replay.encoding import Encode
from replay.faults import Fault, check_faults, damage_values, garble, is_garbage, sending_order
from replay.history import History
from replay.pacing import BLOCK_ROWS, paced
from sheetbreak.errors import DataError


class Message(NamedTuple):
    """One record to send."""

    machine: str
    """Also the key."""
    value: bytes
    """Without a newline."""


class Block(NamedTuple):
    """What is due now."""

    messages: list[Message]
    time_us: int
    """The latest row's time as sent, shifts included."""


@dataclass(frozen=True, slots=True)
class Sendings:
    """The records of one pass, in the order in which they are sent."""

    rows: npt.NDArray[np.intp]
    """Positions in the history."""
    moments_us: npt.NDArray[np.int64]
    """Ascending, by the history's own times; a late row goes out with the row that overtook it."""
    garbage: npt.NDArray[np.bool_]


def damaged(history: History, faults: Sequence[Fault]) -> History:
    """The history with the faults of sensors in it. Raises DataError for a fault that strikes nothing."""
    check_faults(faults, history.numbers, history.schema.sensors)
    values = damage_values(
        history.rows.values,
        faults,
        numbers=history.numbers,
        machines=history.rows.machines,
        sensors=history.schema.sensors,
        deviations=history.deviations,
    )
    return replace(history, rows=replace(history.rows, values=values))


def sendings(history: History, faults: Sequence[Fault]) -> Sendings:
    """One pass over the history with the faults of records in it."""
    rows = sending_order(faults, numbers=history.numbers, machines=history.rows.machines)
    moments_us = np.maximum.accumulate(history.rows.times_us[rows])
    return Sendings(rows, moments_us, is_garbage(faults, history.numbers[rows]))


def copy_names(history: History, machines: int | None) -> list[str]:
    """pm1…pmN; empty when no copies are asked for. Raises DataError when there is no one machine to copy."""
    if machines is None:
        return []
    found = sorted(set(history.rows.machines))
    if len(found) > 1:
        names = ", ".join(found[:5]) + ("…" if len(found) > 5 else "")
        raise DataError(f"--machines copies a file of one machine, and this one has {names}; use --machine NAME")
    return [f"pm{number}" for number in range(1, machines + 1)]


def blocks(
    history: History,
    one_pass: Sendings,
    encode: Encode,
    *,
    copies: Sequence[str],
    speed: float,
    begins_us: int | None,
    loop: bool,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[Block]:
    """What to send, as soon as it is due: the first row at once, the others by their own times and the speed.

    begins_us: the first row's time as sent; None: its own. With `loop` a pass follows the other, one sampling
    period after it, so that times always ascend.
    """
    rows, first_us = history.rows, int(history.rows.times_us[0])
    shift_us = 0 if begins_us is None else begins_us - first_us
    started_s = clock()
    for number in itertools.count() if loop else range(1):
        passed_us = number * history.span_us
        due = paced(
            one_pass.moments_us + passed_us,
            origin_us=first_us,
            started_s=started_s,
            speed=speed,
            clock=clock,
            sleep=sleep,
            most=math.ceil(BLOCK_ROWS / max(1, len(copies))),
        )
        for part in due:
            messages: list[Message] = []
            for row, garbage in zip(one_pass.rows[part].tolist(), one_pass.garbage[part].tolist(), strict=True):
                machines = copies or [rows.machines[row]]
                records = encode(row, int(rows.times_us[row]) + shift_us + passed_us, machines)
                if garbage:
                    records = [garble(record, int(history.numbers[row])) for record in records]
                messages += map(Message, machines, records)
            yield Block(messages, int(one_pass.moments_us[part][-1]) + shift_us + passed_us)
