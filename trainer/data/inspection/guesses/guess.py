"""The guess: a plant file from the roles of the columns, each line with its reason, and the doubts that it leaves."""

from collections.abc import Sequence

from sheetbreak.history.doubts import Doubt
from sheetbreak.history.layout import Layout
from sheetbreak.missing import Missing, word_in
from sheetbreak.rows import Dialect, Schema
from trainer.data.inspection.findings import sentinels_to_write
from trainer.data.inspection.guesses.plant_file import Entry
from trainer.data.inspection.guesses.roles import Roles
from trainer.data.inspection.sensors import number_text
from trainer.data.inspection.tables import Table
from trainer.data.inspection.times import Times

_LONG_LIST = 8
_MOST = 0.5


def guess_plant(table: Table, roles: Roles, given: Schema | None = None) -> dict[str, dict[str, Entry]]:
    """Table → key → entry of a plant file; what a schema file gave stands."""
    columns: dict[str, Entry] = {}
    sampling: dict[str, Entry] = {}
    times = roles.times
    if times is not None:
        names = times.names
        columns["time"] = Entry(names[0] if len(names) == 1 else names)
        if (given is not None and given.time_format is not None) or _is_of_all_files(times, table):
            sampling["time_format"] = Entry(times.format, _format_why(times.also))
        zone = given.timezone if given is not None and given.timezone != "UTC" else times.zone.zone
        sampling["timezone"] = Entry(zone, times.zone.why)
    for key in ("period_s", "stop_gap_s"):
        if given is not None and key not in given.learned:
            sampling[key] = Entry(getattr(given, key), "given")
    if given is not None and given.ambiguous != "infer":
        sampling["ambiguous"] = Entry(given.ambiguous)
    if given is not None and given.lead_rows != 2:
        sampling["lead_rows"] = Entry(given.lead_rows)
    if roles.labels is not None:
        columns["broken"] = Entry(roles.labels.column.name, "" if roles.labels.plain else roles.labels.why)
        if not roles.labels.plain:
            columns["broken_values"] = Entry(roles.labels.values, "every other text means that the sheet holds")
    if roles.machine is not None:
        columns["machine"] = Entry(roles.machine.name, _values_why(len(roles.machine.texts or {}), "machine"))
    if roles.grade is not None:
        columns["grade"] = Entry(roles.grade.name, _values_why(len(roles.grade.texts or {}), "grade"))
    if roles.ignored:
        columns["ignore"] = Entry(list(roles.ignored), _ignored_why(roles))
    missing = [*(given.missing if given is not None else ()), *roles.words]
    numbers = [number_text(value) for value in sentinels_to_write(roles, Missing.of(missing))]
    values = {"missing": Entry([*missing, *numbers], "no reading, beside the words that are known")}
    units = {**table.units, **(given.units if given is not None else {})}
    return {
        "columns": columns,
        "sampling": sampling,
        "csv": _csv(table),
        "values": values if missing or numbers else {},
        "units": {c.name: Entry(units[c.name]) for c in roles.sensors if c.name in units},
    }


def role_doubts(table: Table, roles: Roles, given: Schema | None = None) -> list[Doubt]:
    """What is not sure about the guess."""
    doubts = list(table.doubts)
    times, labels = roles.times, roles.labels
    if times is not None:
        name = " and ".join(times.names)
        if times.also:
            what = f"dates like {times.format} could be {times.also} as well"
            remedy = f'the first was taken; if it is wrong, write sampling.time_format = "{times.also}"'
            doubts.append(Doubt("time-format", table.place(0, name), what, remedy, len(times.local_us)))
        if not times.zone.sure and (given is None or given.timezone == "UTC"):
            what = f"{times.zone.why}: taken as UTC"
            remedy = 'if they are local, write the mill\'s zone: sampling.timezone = "Europe/Helsinki"'
            doubts.append(Doubt("time-zone", table.place(0, name), what, remedy, len(times.local_us)))
    if labels is not None and not labels.sure:
        texts = labels.column.texts or {}
        place = table.line_place(texts[labels.values[0]].line, labels.column.name) if labels.values else table.name
        rows = int(labels.broken.sum())
        what = f"taken for the labels, because {labels.why}"
        remedy = "if that is no break, mend columns.broken and columns.broken_values"
        doubts.append(Doubt("labels-guessed", place, what, remedy, rows))
    for column in roles.sensors:
        words = {text: seen for text, seen in column.words.items() if word_in(text) in roles.words}
        if words:
            shown = ", ".join(f'"{text[:30]}"' for text in dict.fromkeys(map(word_in, words)))
            count, line = sum(seen.count for seen in words.values()), min(seen.line for seen in words.values())
            what = f"{shown} among numbers: no word that is known for a missing value"
            remedy = "taken as missing: the plant file says so under values.missing"
            doubts.append(Doubt("unknown-word", table.line_place(line, column.name), what, remedy, count))
    for name, why in roles.doubtful.items():
        kind, what, _ = _ignored_doubt(why)
        remedy = f'add "{name}" to columns.ignore, unless it is a sensor'
        doubts.append(Doubt(kind, f"{table.name}, column {name}", what, remedy, 1))
    for name, why in roles.ignored.items():
        kind, what, remedy = _ignored_doubt(why)
        doubts.append(Doubt(kind, f"{table.name}, column {name}", what, remedy, 1))
    return doubts


def _ignored_doubt(why: str) -> tuple[str, str, str]:
    """Kind, what and remedy of a column that is left out."""
    kinds = (
        ("a row number", "index-like"),
        ("a time as a number", "index-like"),
        ("a count", "index-like"),
        ("an outcome", "outcome-like"),
        ("a state", "state-like"),
        ("no value", "sensor-missing"),
        ("marked", "column-marked"),
        ("empty", "column-empty"),
        ("times", "column-times"),
        ("text", "column-text"),
    )
    if why.startswith("a state") and ", always " not in why:
        remedy = "no sensor; readings beside a bad state are taken as they are: leave them blank in the export"
        return "state-like", why.replace("a state: of", "the state of", 1), remedy
    kind = next((kind for start, kind in kinds if why.startswith(start)), "column-text")
    remedies = {
        "index-like": "left out: no sensor. Take it off columns.ignore if it is one",
        "state-like": "left out: no sensor",
        "outcome-like": "left out: a model must not see what is known only afterwards",
        "sensor-missing": "left out: rows that lack much are refused. Take it off columns.ignore to keep it",
        "column-marked": "if they are, export them without the mark",
        "column-text": "left out; if it names the grade, write columns.grade",
    }
    return kind, why, remedies.get(kind, "left out")


def _csv(table: Table) -> dict[str, Entry]:
    """The dialect of a text file; a workbook and Parquet have none, nor have files that are not all written alike."""
    layout, said = table.layouts[0], table.said
    again = {"same_names": Entry("number", "columns of one name, from the left")}
    return _dialect(table, layout, said) | (again if any(one.again for one in table.layouts) else {})


def _dialect(table: Table, layout: Layout, said: Dialect) -> dict[str, Entry]:
    if len({(one.separator, one.numbers, one.encoding, one.header_line) for one in table.layouts}) > 1:
        return {}
    if table.kinds[0] in ("xlsx", "xlsm", "xls", "parquet"):
        return {"sheet": Entry(said.sheet)} if said.sheet else {}
    found = {
        "separator": Entry(layout.separator),
        "decimal": Entry(layout.numbers.decimal),
        "encoding": Entry(layout.encoding),
    }
    if layout.numbers.thousands:
        found["thousands"] = Entry(layout.numbers.thousands)
    above = layout.header_line - 1
    if above:
        found["skip_rows"] = Entry(above, "lines above the header")
    return found


def _is_of_all_files(times: Times, table: Table) -> bool:
    """Whether each file writes its times in this format; else it is left out, and recognised in each of them."""
    of_file = (times.readable[table.files == file] for file in range(len(table.layouts)))
    return all(own.mean() > _MOST for own in of_file if len(own))


def _format_why(also: str) -> str:
    return f"could be {also} as well" if also else ""


def _values_why(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"


def _ignored_why(roles: Roles) -> str:
    reasons: dict[str, list[str]] = {}
    for name, why in roles.ignored.items():
        reasons.setdefault(why.partition(":")[0], []).append(name)
    if len(roles.ignored) > _LONG_LIST:
        return "; ".join(f"{len(names)} {why}" for why, names in reasons.items())
    return "; ".join(f"{_and(names)}: {why}" for why, names in reasons.items())


def _and(names: Sequence[str]) -> str:
    return ", ".join(names)
