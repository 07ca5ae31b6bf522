"""Oddities of a history's sensors, told before a training: cells far from the rest, levels that step for good."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sheetbreak.history.doubts import Doubt
from sheetbreak.history.reader import History
from sheetbreak.rows import by_machine
from trainer.data.far_cells import far_cells
from trainer.data.inspection.findings import step_doubt
from trainer.data.inspection.sensors import find_step

_SHOWN = 5
"""Sensors of one kind that are told one by one."""


def odd_sensors(history: History, *, rows: int | None = None) -> Iterator[Doubt]:
    """A doubt a sensor, the worst first, those beyond the fifth in one. rows: so many of the history's first ones."""
    yield from _few(_far(history, rows), "far-cells", "have cells absurdly far from their other values, too")
    yield from _few(_steps(history, rows), "level-step", "have a level that steps for good, too")


def _far(history: History, rows: int | None) -> list[tuple[str, Doubt]]:
    values, sensors = history.rows.values[:rows], history.schema.sensors
    known = ~np.isnan(values).all(axis=0) if len(values) else np.zeros(len(sensors), np.bool_)
    far = np.zeros(values.shape, np.bool_)
    far[:, known] = far_cells(values[:, known])
    counts, found = far.sum(axis=0), []
    for i in np.argsort(-counts, kind="stable")[: int((counts > 0).sum())].tolist():
        first, count = int(np.argmax(far[:, i])), int(counts[i])
        low, high = np.nanpercentile(values[:, i], [5, 95])
        more = f", as are {count - 1:,} cells more" if count > 1 else ""
        what = f"{values[first, i]:g} is absurdly far from its other values, of which most lie between {low:.4g} and "
        what += f"{high:.4g}{more}: taken for no spread"
        remedy = "mend such cells or leave them blank, unless the sensor does read that"
        if (values[far[:, i], i] == values[first, i]).all():
            remedy = f'if it is no reading, name it in --schema: values.missing = ["{values[first, i]:g}"]'
        place = f"{history.place(first)}, column {sensors[i]}"
        found.append((sensors[i], Doubt("far-cells", place, what, remedy, count)))
    return found


def _steps(history: History, rows: int | None) -> list[tuple[str, Doubt]]:
    """Of each machine by itself."""
    some = history.rows.take(slice(rows))
    found, machines = [], by_machine(some)
    for machine, places in machines.items():
        order = np.array(places)[np.argsort(some.times_us[places], kind="stable")]
        for i, sensor in enumerate(history.schema.sensors):
            if (step := find_step(some.values[order, i])) is not None:
                doubt = step_doubt(sensor, replace(step, row=int(order[step.row])), history)
                named = f"{doubt.place}, machine {machine}" if len(machines) > 1 else doubt.place
                found.append((sensor, replace(doubt, place=named)))
    return found


def _few(found: list[tuple[str, Doubt]], kind: str, what: str) -> Iterator[Doubt]:
    yield from (doubt for _, doubt in found[:_SHOWN])
    more = list(dict.fromkeys(sensor for sensor, _ in found[_SHOWN:]))
    if more:
        named = ", ".join(more[:_SHOWN]) + ("…" if len(more) > _SHOWN else "")
        yield Doubt(kind, f"sensors {named}", what, "sheetbreak inspect lists them all", len(more))
