"""Oddities of a history, told before a training: cells far from the rest, levels that step for good, sensors that end,
rows that come at another period.
"""

from collections.abc import Iterator

import numpy as np

from sheetbreak.history.doubts import Doubt, warn_of
from sheetbreak.history.joining import History
from sheetbreak.history.times.sampling import find_period
from sheetbreak.times import duration
from trainer.data.far_cells import APART, FAR, MANY, cells_apart, drop_outs, numbers_apart
from trainer.data.inspection.findings import find_steps, in_time, long_table, step_doubt
from trainer.data.inspection.guesses.status import few_whole, state_of
from trainer.data.inspection.sensors import number_text

_SHOWN = 5
"""Sensors of one kind that are told one by one."""


def tell_of_sensors(history: History, *, rows: int | None = None) -> None:
    """Warn of what `odd_sensors` finds: a command that fits models to a history calls this first."""
    for doubt in odd_sensors(history, rows=rows):
        warn_of(doubt)


def odd_sensors(history: History, *, rows: int | None = None) -> Iterator[Doubt]:
    """A doubt a sensor, the worst first, those beyond the fifth in one. rows: so many of the history's first ones."""
    if (long := long_table(history)) is not None:
        yield long
    yield from _few(_states(history, rows), "state-like", "hold states too")
    yield from other_periods(history, rows=rows)
    yield from _few(ended(history, rows=rows), "sensor-ended", "have no values in the last rows, too")
    yield from _few(far(history, rows=rows), "far-cells", "have cells far from their other values, too")
    yield from _few(_steps(history, rows), "level-step", "have a level that steps for good, too")


def other_periods(history: History, *, rows: int | None = None) -> Iterator[Doubt]:
    """Where rows come at another period than most do, for a tenth of a machine's rows at least."""
    some, period_s = history.rows.take(slice(rows)), history.schema.period_s
    for order in in_time(some).values() if history.schema.time is not None else ():
        steps = np.diff(some.times_us[order]) / 1e6
        parts = [(part, find_period(steps[part])) for part in np.array_split(np.arange(len(steps)), 10)]
        other = [(part, s) for part, s in parts if s is not None and not period_s / 1.5 < s < 1.5 * period_s]
        if other:
            part, found = other[0]
            count = sum(len(one) for one, _ in other)
            what = (
                f"from about here rows come every {duration(found)}, {count:,} of them; most every {duration(period_s)}"
            )
            remedy = "train on the rows of the period that the machine has now: half-lives and horizons count rows"
            yield Doubt("other-period", history.place(int(order[part[0]])), what, remedy, count)


def ended(history: History, *, rows: int | None = None) -> list[tuple[str, Doubt]]:
    """By sensor, those that have no value in the last rows, a tenth of them at least: live they will have none."""
    found, known = [], ~np.isnan(history.rows.values[:rows])
    for i in np.flatnonzero(known.any(axis=0) & ~known[-max(len(known) // 10, 1) :].any(axis=0)).tolist():
        last = int(np.flatnonzero(known[:, i])[-1])
        what = f"its last value stands here: none in the {len(known) - 1 - last:,} rows that follow"
        remedy = "if it is gone for good, add it to columns.ignore: a sensor without values counts as normal"
        sensor = history.schema.sensors[i]
        place = f"{history.place(last)}, column {sensor}"
        found.append((sensor, Doubt("sensor-ended", place, what, remedy, len(known) - 1 - last)))
    return found


def far(history: History, *, rows: int | None = None) -> list[tuple[str, Doubt]]:
    """By sensor, those with cells that are absurd, readings that failed, or far and so many that they blind a model."""
    values, sensors = history.rows.values[:rows], history.schema.sensors
    known = ~np.isnan(values).all(axis=0) if len(values) else np.zeros(len(sensors), np.bool_)
    if not known.any():
        return []
    far, apart = (np.zeros(values.shape, np.bool_) for _ in range(2))
    repeated = numbers_apart(values)  # many of them would widen what the others are held against
    rest = np.where(repeated, np.nan, values)
    far[:, known], apart[:, known] = cells_apart(rest[:, known], FAR, APART)
    apart |= repeated
    single, lasting = drop_outs(values, usual=[*in_time(history.rows.take(slice(rows))).values()])
    failed = single | lasting
    blinding = (apart & ~failed).mean(axis=0) >= MANY
    far[:, blinding] = apart[:, blinding]
    far |= failed
    counts, found = far.sum(axis=0), []
    for i in np.argsort(-counts, kind="stable")[: int((counts > 0).sum())].tolist():
        first, count = int(np.argmax(far[:, i])), int(counts[i])
        low, high = np.nanpercentile(rest[:, i], [5, 95])
        shown = number_text(values[first, i])
        more = f", as are {count - 1:,} cells more" if count > 1 else ""
        how = "far" if blinding[i] or failed[first, i] else "absurdly far"
        what = f"{shown} is {how} from its other values, of which most lie between {low:.4g} and {high:.4g}{more}"
        what += ": so many make a model see faults of this sensor late" if blinding[i] else ""
        if not blinding[i]:
            what += _taken_for(single=bool(single[first, i]), lasting=bool(lasting[first, i]))
        remedy = "mend such cells or leave them blank, unless the sensor does read that"
        if (values[far[:, i], i] == values[first, i]).all():
            remedy = f'if it is no reading, name it in --schema: values.missing = ["{shown}"]'
        place = f"{history.place(first)}, column {sensors[i]}"
        found.append((sensors[i], Doubt("far-cells", place, what, remedy, count)))
    return found


def _taken_for(*, single: bool, lasting: bool) -> str:
    if single:
        return ", each in a row by itself: no reading, and not learned from"
    if lasting:
        return ", while all other sensors read as usual: no reading, and not learned from"
    return ": taken for no spread"


def _states(history: History, rows: int | None) -> list[tuple[str, Doubt]]:
    """Sensors that tell the state of another one by their name, and hold a few codes."""
    values, sensors, found = history.rows.values[:rows], history.schema.sensors, []
    for i, name in enumerate(sensors):
        if (of := state_of(name, sensors)) and few_whole(values[:, i]):
            what = f"tells the state of {of} with a few codes, and is no reading"
            place = f"{history.name}, column {name}"
            found.append((name, Doubt("state-like", place, what, "add it to columns.ignore in --schema", len(values))))
    return found


def _steps(history: History, rows: int | None) -> list[tuple[str, Doubt]]:
    """Of each machine by itself."""
    some = history.rows.take(slice(rows))
    machines = in_time(some)
    return [
        (sensor, step_doubt(sensor, step, history))
        for i, sensor in enumerate(history.schema.sensors)
        for step in find_steps(some.values[:, i], machines)
    ]


def _few(found: list[tuple[str, Doubt]], kind: str, what: str) -> Iterator[Doubt]:
    yield from (doubt for _, doubt in found[:_SHOWN])
    more = list(dict.fromkeys(sensor for sensor, _ in found[_SHOWN:]))
    if more:
        named = ", ".join(more[:_SHOWN]) + ("…" if len(more) > _SHOWN else "")
        yield Doubt(kind, f"sensors {named}", what, "sheetbreak inspect lists them all", len(more))
