"""Inspection: files read, a plant file guessed, the history read with it, and every doubt on the way, at once."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sheetbreak.errors import DataError
from sheetbreak.history.doubts import Doubt, Doubts
from sheetbreak.history.joining import History
from sheetbreak.history.reader import PROCESSMINER, PROCESSMINER_COLUMNS, known_columns, read_history
from sheetbreak.history.schema_file import load_schema
from sheetbreak.history.times.sampling import PERIOD, STOP_GAP
from sheetbreak.missing import Missing
from sheetbreak.rows import BROKEN, Dialect, Schema
from trainer.data.health import Gaps, find_gaps
from trainer.data.inspection.findings import (
    Sensor,
    grade_counts,
    grade_doubts,
    profile_sensors,
    row_doubts,
    sensor_doubts,
    sentinels_to_write,
)
from trainer.data.inspection.guesses.guess import guess_plant, role_doubts
from trainer.data.inspection.guesses.plant_file import Entry, Plant, plant_toml
from trainer.data.inspection.guesses.roles import Roles, find_roles
from trainer.data.inspection.tables import Table, read_table
from trainer.data.inspection.times import lines_at_the_edges
from trainer.data.oddities import ended, far, other_periods

RANK = (
    *("ragged-line", "not-utf8", "header-again", "bad-time", "not-a-label", "no-machine", "time-repeats"),
    *("time-goes-back", "time-runs-ahead", "files-contradict", "no-sensors", "long-table", "no-times", "no-labels"),
    *("no-breaks", "mostly-broken", "numbers-two-ways", "time-format", "labels-guessed", "outcome-like"),
    *("column-marked", "state-like", "names-again"),
    *("rows-lacking", "other-period", "not-numbers", "text-or-sensor"),
    *(
        "level-step",
        "absurd-value",
        "sentinel-like",
        "far-cells",
        "unknown-word",
        "no-number",
        "no-break-word",
        "sensor-ended",
        "sensor-missing",
    ),
    *("index-like", "index-column", "time-zone", "few-rows"),
    *("sensor-interpolated", "sensor-stuck", "sensor-same", "grade-alike"),
)
"""Kinds of doubt, those first that lose rows or mislead a model most; others follow, in the order found."""


_FAR_KINDS = frozenset({"level-step", "absurd-value", "sentinel-like"})
"""Kinds that say already why a sensor has cells far from the others."""
_TOLD_BETTER = frozenset({"sentinel"})
"""Kinds of the reader's doubts that an inspection tells of its own, with line and value."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What an inspection found."""

    table: Table
    roles: Roles
    history: History
    plant: Plant
    """The plant file that was guessed."""
    toml: str
    """Its text."""
    sensors: tuple[Sensor, ...]
    gaps: Gaps
    grades: Mapping[str, int]
    doubts: tuple[Doubt, ...]
    """The most important first."""

    @property
    def broken_rows(self) -> int:
        """Rows labelled as a break."""
        return int((self.history.rows.broken == BROKEN).sum())

    @property
    def breaks(self) -> int:
        """Stretches of such rows, by machine."""
        rows = self.history.rows
        machines = np.unique(np.array(rows.machines, dtype=object).astype(str), return_inverse=True)[1]
        order = np.argsort(machines, kind="stable")
        broken = (rows.broken == BROKEN)[order]
        first = np.ones(len(order), np.bool_)
        first[1:] = (np.diff(machines[order]) != 0) | ~broken[:-1]
        return int((broken & first).sum())


def inspect_files(paths: Sequence[Path], given: Schema | None = None) -> Inspection:
    """Read files or folders whole and say what is in them. given: a plant file that stands, its gaps are filled.

    Raises DataError, with the place, where they hold no table.
    """
    said = given.csv if given is not None else Dialect()
    table = read_table(paths, said=said, known=[*known_columns(given)] if given is not None else ())
    if not len(table.lines):
        where = f"{table.layouts[0].name} line {table.layouts[0].first_line}"
        raise DataError(
            f"{where}: no line is as wide as the header ({len(table.layouts[0].header)} cells); mend either"
        )
    if given is None and {c.name for c in table.columns} - {"machine"} == PROCESSMINER_COLUMNS:
        machine = "machine" if any(c.name == "machine" for c in table.columns) else None
        given = replace(PROCESSMINER, machine=machine)
    day_first = table.layouts[0].numbers.decimal == "," or table.layouts[0].separator == ";"
    roles = find_roles(table.columns, day_first=day_first, given=given)
    if edges := lines_at_the_edges(table, roles.times, roles.labels.column if roles.labels else None):
        table = read_table(paths, said=said, known=[*known_columns(given)] if given is not None else (), without=edges)
        roles = find_roles(table.columns, day_first=day_first, given=given)
    if not roles.sensors:
        where = f"{table.layouts[0].name} line {table.layouts[0].header_line}"
        raise DataError(f"{where}: no numeric column is left to be a sensor")
    plant: Plant = guess_plant(table, roles, given)
    doubts = Doubts(keeps_going=True)
    try:
        history = read_history(paths, schema_of(plant, table.name), doubts=doubts)
    except DataError as cause:  # a sampling that the rows contradict: told as one doubt of many
        found_again = Doubts(keeps_going=True)
        history = read_history(paths, schema_of(_without_sampling(plant), table.name), doubts=found_again)
        what, _, remedy = str(cause).partition("; ")
        doubts = replace(
            found_again, found=[Doubt("sampling", table.name, what, remedy, fatal=True), *found_again.found]
        )
    sensors = profile_sensors(history, table, roles)
    written = sentinels_to_write(roles, Missing())
    of_sensors = [*sensor_doubts(sensors, history, table, written)]
    told = {doubt.column for doubt in of_sensors if doubt.kind in _FAR_KINDS}
    found = [
        *(doubt for doubt in doubts.found if doubt.kind not in _TOLD_BETTER),
        *role_doubts(table, roles, given),
        *row_doubts(history),
        *of_sensors,
        *(doubt for sensor, doubt in far(history) if sensor not in told),
        *other_periods(history),
        *(doubt for _, doubt in ended(history)),
        *grade_doubts(roles, table),
    ]
    plant = _with_sampling(plant, history)
    return Inspection(
        table=table,
        roles=roles,
        history=history,
        plant=plant,
        toml=plant_toml(plant, title=f"Guessed by sheetbreak inspect from {table.name}."),
        sensors=tuple(sensors),
        gaps=find_gaps(history.rows, history.schema),
        grades=grade_counts(history),
        doubts=tuple(sorted(found, key=_rank)),
    )


def schema_of(plant: Plant, name: str) -> Schema:
    """The schema that the plant file's own text gives, so that what is written is what was tried."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plant.toml"
        path.write_text(plant_toml(plant, title=name), encoding="utf-8")
        return load_schema(path)


def _with_sampling(plant: Plant, history: History) -> Plant:
    """The plant file with the period that the rows have; the stop gap is shown, and learned at each training."""
    schema = history.schema
    why = "found from the rows" if schema.time is not None else "no column holds times: set it"
    sampling = {
        PERIOD: Entry(schema.period_s, why),
        STOP_GAP: Entry(schema.stop_gap_s, "learned at each training; a longer gap is a stop", shown=True),
    }
    return {**plant, "sampling": sampling | dict(plant["sampling"])}


def _without_sampling(plant: Plant) -> Plant:
    sampling = {key: entry for key, entry in plant["sampling"].items() if key not in (PERIOD, STOP_GAP)}
    return {**plant, "sampling": sampling}


def _rank(doubt: Doubt) -> tuple[bool, int]:
    return not doubt.fatal, RANK.index(doubt.kind) if doubt.kind in RANK else len(RANK)
