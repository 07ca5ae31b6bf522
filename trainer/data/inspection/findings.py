"""Findings of an inspection: doubts about sensors, labels and grades that the reader of a history does not tell."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sheetbreak.history.doubts import Doubt
from sheetbreak.history.joining import History
from sheetbreak.missing import Missing
from sheetbreak.rows import BROKEN, UNKNOWN, RowBatch, by_machine, grade_name
from sheetbreak.times import format_time
from trainer.data.health import STUCK_ROWS, missing_share, straight_share, unchanged_share
from trainer.data.inspection.guesses.names import TAG, hint
from trainer.data.inspection.guesses.roles import Roles
from trainer.data.inspection.sensors import (
    Odd,
    Step,
    find_absurd,
    find_sentinels,
    find_step,
    number_text,
    same_as,
    sure_sentinels,
)
from trainer.data.inspection.tables import Table
from trainer.data.labels import Floats, Ints, label_rows, mostly_broken

_NOTABLE = 0.01
"""Share of a sensor's rows from which on hanging is told, and missing values are."""
_INTERPOLATED = 0.2
_REFUSED = 0.2
"""A row that lacks more of its sensors is refused by the monitor."""
_OTHER_LEVEL = 20.0
"""Widths of their middle halves by which machines' levels of one sensor do not differ."""
_FEW_ROWS = 2000
"""A history with fewer rows is short: of the trailing day and of breaks there is too little in it."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One sensor of a history."""

    name: str
    unit: str
    missing: float
    """Share of the rows without a value."""
    stuck: float
    """Share of the rows in stretches of one value."""
    interpolated: float
    """Of the rows at which it moves, the share on exact straight lines."""
    least: float
    median: float
    most: float
    sentinels: tuple[Odd, ...]
    absurd: Odd | None
    steps: tuple[Step, ...]
    """Of each machine by itself; rows are the history's."""
    same_as: str

    @property
    def constant(self) -> bool:
        """Whether it has but one value."""
        return self.least == self.most

    @property
    def remarks(self) -> list[str]:
        """What is odd about it, in a few words each, worst first."""
        found = [f"{number_text(odd.value)} in {odd.count:,} rows" for odd in self.sentinels]
        found += [f"{self.absurd.value:.4g} among others"] if self.absurd else []
        found += [f"level {step.before:.4g} → {step.after:.4g}" for step in self.steps[:1]]
        found += ["no value"] if self.missing == 1 else ["constant"] if self.constant else []
        found += [f"missing {self.missing:.1%}"] if _NOTABLE <= self.missing < 1 else []
        found += [f"hangs {self.stuck:.0%}"] if self.stuck >= _NOTABLE and not self.constant else []
        found += [f"interpolated {self.interpolated:.0%}"] if self.interpolated >= _INTERPOLATED else []
        found += [f"as {self.same_as}"] if self.same_as else []
        return found


def profile_sensors(history: History, table: Table, roles: Roles) -> list[Sensor]:
    """Every sensor of the history as read, and what its cells hold beside readings."""
    schema, values = history.schema, history.rows.values
    labels = label_rows(history.rows, schema)
    missing, stuck = missing_share(values), unchanged_share(values, labels.run)
    straight = straight_share(values, labels.run)
    columns = {column.name: column for column in table.columns}
    broken = roles.labels.broken if roles.labels is not None else None
    same = same_as([(name, values[:, i]) for i, name in enumerate(schema.sensors)])
    machines = in_time(history.rows)
    found = []
    for i, name in enumerate(schema.sensors):
        own = values[:, i]
        raw = columns[name].numbers
        sentinels = find_sentinels(raw, broken)
        known = own[~np.isnan(own)]
        least, median, most = np.percentile(known, [0, 50, 100]) if len(known) else (np.nan,) * 3
        found.append(
            Sensor(
                name=name,
                unit=schema.units.get(name, ""),
                missing=float(missing[i]),
                stuck=float(stuck[i]),
                interpolated=float(straight[i]),
                least=float(least),
                median=float(median),
                most=float(most),
                sentinels=tuple(sentinels),
                absurd=find_absurd(raw, sentinels),
                steps=tuple(find_steps(own, machines)),
                same_as=same.get(name, ""),
            )
        )
    return found


def sentinels_to_write(roles: Roles, known: Missing) -> list[float]:
    """Sentinels that the plant file should name: known ones, that no sensor holds as a reading of its own."""
    broken = roles.labels.broken if roles.labels is not None else None
    found = sure_sentinels((column.numbers for column in roles.sensors), broken)
    return [value for value in found if value not in known.sentinels]


def sensor_doubts(sensors: Sequence[Sensor], history: History, table: Table, written: Sequence[float]) -> list[Doubt]:
    """What is odd about sensors, each kind once for each sensor that it stops, else once for all."""
    doubts: list[Doubt] = []
    for sensor in sensors:
        for odd in sensor.sentinels:
            known = odd.value in written or odd.value in Missing.of(history.schema.missing).sentinels
            what = f"{number_text(odd.value)} stands in {odd.count:,} rows, far from all other values"
            remedy = "taken as missing: the plant file says so under values.missing"
            if not known:
                remedy = (
                    f'if it means "no reading", add it to the plant file: values.missing = ["{number_text(odd.value)}"]'
                )
            doubts.append(Doubt("sentinel-like", table.place(odd.row, sensor.name), what, remedy, odd.count))
        if sensor.absurd:
            odd = sensor.absurd
            what = f"{odd.value:.6g} is more than a hundred times its usual spread away from {sensor.median:.6g}"
            remedy = "mend the cell or leave it blank, unless the sensor does read that"
            doubts.append(Doubt("absurd-value", table.place(odd.row, sensor.name), what, remedy, odd.count))
        doubts += [step_doubt(sensor.name, step, history) for step in sensor.steps]
    several = {
        "constant": ("never changes", "nothing to do: what never changes tells nothing, and does no harm"),
        "same": ("hold what another sensor holds, row by row", "keep one: name the others under columns.ignore"),
    }
    groups = {
        "constant": [s.name for s in sensors if s.constant],
        "same": [f"{s.name} (as {s.same_as})" for s in sensors if s.same_as],
    }
    for kind, names in groups.items():
        if names:
            what, remedy = several[kind]
            what = what if kind != "constant" or len(names) == 1 else "never change"
            doubts.append(Doubt(f"sensor-{kind}", f"sensor {_few(names)}", what, remedy, len(names)))
    doubts += _hanging(sensors)
    return doubts


def row_doubts(history: History) -> list[Doubt]:
    """Doubts about rows and labels as a whole."""
    rows, schema = history.rows, history.schema
    doubts = []
    if not len(rows):
        return []
    lacking = np.isnan(rows.values).mean(axis=1) > _REFUSED
    if lacking.any():
        first = int(np.argmax(lacking))
        what = f"{lacking.sum():,} rows lack more than a fifth of their sensors: the monitor refuses such rows"
        remedy = f"sensors that are often missing ({_few(_often_missing(history, lacking))}) go to columns.ignore"
        doubts.append(Doubt("rows-lacking", history.place(first), what, remedy, int(lacking.sum())))
    if schema.broken is None or (rows.broken == UNKNOWN).all():
        what = "no column says where the sheet broke: a model can be trained, not judged"
        remedy = (
            "name the column of breaks in the plant file under columns.broken, with broken_values if it holds words"
        )
        doubts.append(Doubt("no-labels", history.name, what, remedy, len(rows)))
    elif not (rows.broken == BROKEN).any():
        what = f"not one of {len(rows):,} rows is labelled as a break: nothing can be judged"
        remedy = "check columns.broken and columns.broken_values, or give a longer history"
        doubts.append(Doubt("no-breaks", f"{history.name}, column {schema.broken}", what, remedy, len(rows)))
    elif (swapped := mostly_broken(rows)) is not None:
        what, _, remedy = swapped.partition("; ")
        doubts.append(Doubt("mostly-broken", f"{history.name}, column {schema.broken}", what, remedy, len(rows)))
    if schema.time is None:
        what = f"no column holds times: rows are numbered, {schema.period_s:g} s apart, and stops do not show"
        remedy = "name the column under columns.time, with sampling.time_format if its format is not recognised"
        doubts.append(Doubt("no-times", history.name, what, remedy, len(rows)))
    if (long := long_table(history)) is not None:
        doubts.append(long)
    if len(rows) < _FEW_ROWS:
        what = f"{len(rows):,} rows are few: three days of two-minute rows at least, better weeks, train a model"
        doubts.append(Doubt("few-rows", history.name, what, "export a longer history", len(rows)))
    return doubts


def long_table(history: History) -> Doubt | None:
    """What to tell of a table with a tag and its value in each row, which looks like one sensor of many machines."""
    rows, schema = history.rows, history.schema
    names = np.array(rows.machines)
    machines = np.unique(names)
    if schema.machine is None or len(schema.sensors) != 1 or len(machines) < 2:
        return None
    found = [np.nanpercentile(own, [25, 50, 75]) for m in machines if len(own := _known(rows.values[names == m, 0]))]
    if not found:
        return None
    low, middle, high = np.array(found).T
    apart = len(found) > 2 and np.ptp(middle) > _OTHER_LEVEL * np.median(high - low)
    if not (apart or hint(schema.machine, TAG)):
        return None
    shown = ", ".join(machines[:4].tolist())
    what = f"{len(machines)} names ({shown}…) and one value a row: these are tags, hardly machines with one sensor each"
    remedy = "export a row for each time with a column for each tag"
    return Doubt("long-table", f"{history.name}, column {schema.machine}", what, remedy, len(rows))


def _known(values: Floats) -> Floats:
    known: Floats = values[~np.isnan(values)]
    return known


def grade_counts(history: History) -> dict[str, int]:
    """Rows of each grade, the most frequent first."""
    counts: dict[str, int] = {}
    for grade in history.rows.grades:
        if grade is not None:
            counts[grade] = counts.get(grade, 0) + 1
    return dict(sorted(counts.items(), key=lambda one: -one[1]))


def grade_doubts(roles: Roles, table: Table) -> list[Doubt]:
    """Two spellings of one grade: those that are taken as one, and those that are not."""
    if roles.grade is None or roles.grade.texts is None:
        return []
    doubts: list[Doubt] = []
    taken: dict[str | None, list[str]] = {}
    loose: dict[str, list[str]] = {}
    texts = {text: seen for text, seen in roles.grade.texts.items() if text}
    for text in texts:
        taken.setdefault(grade_name(text), []).append(text)
        plain = (grade_name(text) or "").casefold()
        loose.setdefault("".join(sign for sign in plain if sign.isalnum()), []).append(text)
    for name, spellings in taken.items():
        if len(spellings) > 1:
            rare = min(spellings, key=lambda text: texts[text].count)
            what = f"{_quoted(spellings)} are one grade, {name}"
            doubts.append(_grade_doubt("grade-spellings", what, "", texts[rare].line, texts[rare].count, roles, table))
    for spellings in loose.values():
        if len({grade_name(text) for text in spellings}) > 1:
            rare = min(spellings, key=lambda text: texts[text].count)
            what = f"{_quoted(spellings)} look like two spellings of one grade, and are taken as two"
            remedy = "write them alike in the export"
            doubts.append(_grade_doubt("grade-alike", what, remedy, texts[rare].line, texts[rare].count, roles, table))
    return doubts


def _grade_doubt(kind: str, what: str, remedy: str, line: int, count: int, roles: Roles, table: Table) -> Doubt:
    assert roles.grade is not None
    return Doubt(kind, table.line_place(line, roles.grade.name), what, remedy, count)


def in_time(rows: RowBatch) -> dict[str, Ints]:
    """Each machine's rows by their places, in the order of time."""
    found = {}
    for machine, places in by_machine(rows).items():
        own = np.array(places, np.int64)
        found[machine] = own[np.argsort(rows.times_us[own], kind="stable")]
    return found


def find_steps(values: Floats, machines: Mapping[str, Ints]) -> Iterator[Step]:
    """The steps of a sensor's level, of each machine by itself. machines: their rows, from `in_time`."""
    for machine, order in machines.items():
        if (step := find_step(values[order])) is not None:
            yield replace(step, row=int(order[step.row]), machine=machine if len(machines) > 1 else "")


def step_doubt(name: str, step: Step, history: History) -> Doubt:
    """What is told of a sensor whose level steps. step: its row is one of the history's."""
    rows = history.rows
    moment = format_time(int(rows.times_us[step.row])) if history.schema.time is not None else f"row {step.row}"
    why = f" ({step.units})" if step.units else ""
    what = f"its level went from {step.before:.5g} to {step.after:.5g} for good at {moment}{why}"
    remedy = "make both parts one unit, or train on the rows after it"
    if not step.units:
        remedy = "if it was moved, recalibrated or given another unit, train on the rows after it"
    place = f"{history.place(step.row)}, column {name}" + (f", machine {step.machine}" if step.machine else "")
    after = np.flatnonzero(rows.times_us >= rows.times_us[step.row])
    count = sum(rows.machines[i] == step.machine for i in after) if step.machine else len(after)
    return Doubt("level-step", place, what, remedy, count)


def _hanging(sensors: Sequence[Sensor]) -> list[Doubt]:
    doubts = []
    stuck = sorted((s for s in sensors if s.stuck >= _NOTABLE and not s.constant), key=lambda s: -s.stuck)
    if stuck:
        what = f"the same value for {STUCK_ROWS} rows and more, in up to {stuck[0].stuck:.0%} of its rows"
        remedy = "fine for a setpoint; else the sensor hung or the historian keeps only changes"
        names = [f"{s.name} {s.stuck:.0%}" for s in stuck]
        doubts.append(Doubt("sensor-stuck", f"sensor {_few(names)}", what, remedy, len(stuck)))
    drawn = sorted((s for s in sensors if s.interpolated >= _INTERPOLATED), key=lambda s: -s.interpolated)
    if drawn:
        what = "values that lie on straight lines to the last digit: interpolated, not measured"
        remedy = "export raw values: an interpolated one knows the next measurement before it was made"
        names = [f"{s.name} {s.interpolated:.0%}" for s in drawn]
        doubts.append(Doubt("sensor-interpolated", f"sensor {_few(names)}", what, remedy, len(drawn)))
    return doubts


def _often_missing(history: History, lacking: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> list[str]:
    share = np.isnan(history.rows.values[lacking]).mean(axis=0)
    return [history.schema.sensors[i] for i in np.argsort(-share) if share[i] > 0.5] or ["several"]


def _quoted(texts: Sequence[str]) -> str:
    return " and ".join(f'"{text}"' for text in texts[:4])


def _few(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
