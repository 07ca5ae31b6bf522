"""Histories, small ones of made-up machines, for tests of the trainer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, RowBatch, Schema
from sheetbreak.times import format_time

STEP_US = 120_000_000


def schema_of(sensors: int, *, lead_rows: int = 2) -> Schema:
    return Schema(sensors=tuple(f"s{i}" for i in range(sensors)), lead_rows=lead_rows)


def mill_like(
    count: int,
    *,
    sensors: int = 6,
    machines: Sequence[str] = ("pm1",),
    break_every: int | None = 60,
    seed: int = 5,
) -> RowBatch:
    """`count` rows of each machine, interleaved: slow drift, two hidden causes, a break and a 40 minute stop at times.

    In the two rows before a break half of the sensors leave their usual relation. break_every None: no labels.
    """
    draw = np.random.default_rng(seed)
    columns = []
    for number, name in enumerate(machines):
        mixing = draw.normal(size=(2, sensors))
        values = draw.normal(size=(count, 2)) @ mixing + 0.2 * draw.normal(size=(count, sensors))
        values += np.cumsum(0.02 * draw.normal(size=(count, sensors)), axis=0) + 10 * number
        broken = np.full(count, UNKNOWN if break_every is None else INTACT, np.int8)
        steps = np.full(count, STEP_US, np.int64)
        if break_every is not None:
            at = np.arange(break_every - 1 - number, count, break_every)
            broken[at] = BROKEN
            for before in (1, 2):
                values[np.maximum(at - before, 0), ::2] += 3.0
            steps[(at + 1)[at + 1 < count]] = 20 * STEP_US
        columns.append((name, np.cumsum(steps), values, broken))
    order = sorted((int(times[i]), n, i) for n, (_, times, _, _) in enumerate(columns) for i in range(count))
    return RowBatch(
        machines=[columns[n][0] for _, n, _ in order],
        times_us=np.array([time_us for time_us, _, _ in order], np.int64),
        values=np.array([columns[n][2][i] for _, n, i in order]),
        grades=[None] * len(order),
        broken=np.array([columns[n][3][i] for _, n, i in order], np.int8),
    )


SCHEMA_TOML = """
[columns]
time = "time"
broken = "broken"
machine = "machine"
[sampling]
lead_rows = {lead_rows}
"""


def write_csv(path: Path, rows: RowBatch) -> Path:
    """The rows as a CSV that SCHEMA_TOML describes; blank where a value is missing, 0 where a label is."""
    lines = [",".join(["time", "machine", "broken", *(f"s{i}" for i in range(rows.values.shape[1]))])]
    for i, machine in enumerate(rows.machines):
        cells = ["" if np.isnan(value) else repr(float(value)) for value in rows.values[i]]
        lines.append(
            ",".join([format_time(int(rows.times_us[i])), machine, str(int(rows.broken[i] == BROKEN)), *cells])
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def with_values(rows: RowBatch, values: np.ndarray) -> RowBatch:
    return RowBatch(rows.machines, rows.times_us, values, rows.grades, rows.broken)


def with_labels(rows: RowBatch, broken: np.ndarray) -> RowBatch:
    return RowBatch(rows.machines, rows.times_us, rows.values, rows.grades, broken)
