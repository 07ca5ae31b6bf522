"""The printed page of an inspection: 80 columns, what is most important first."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

from sheetbreak.cli.screen import cut
from sheetbreak.history.doubts import Doubt
from sheetbreak.rows import UNKNOWN
from sheetbreak.times import EPOCH, duration
from trainer.data.inspection.findings import Sensor
from trainer.data.inspection.inspection import Inspection
from trainer.output.text import wrap

_LABEL = 10
_MOST_SENSORS = 25
_MOST_GRADES = 12
_MOST_ALIKE, _MOST_PLACES = 4, 40
"""Doubts of one kind that are shown one by one; a file with a hundred bad sensors has one line for the others."""


SETTLED = ("left out", "taken as missing", "nothing to do")
"""How remedies begin that have been applied."""


def page(found: Inspection, *, write: str | None = None) -> str:
    """The page. write: the plant file that was written, for the commands at its end."""
    parts = [_heading, _doubts, _sensors, _grades, _settled]
    printed = [list(part(found)) for part in parts] + [list(_next(found, write))]
    return "\n\n".join("\n".join(lines) for lines in printed if lines) + "\n"


def _heading(found: Inspection) -> Iterator[str]:
    rows, schema, table = found.history.rows, found.history.schema, found.table
    yield from wrap(f"{table.name}: {len(rows):,} rows, {len(table.columns)} columns", indent="  ")
    lost = table.below - len(rows)
    yield from _fact("read as", ", ".join(_layout(found)))
    times = found.roles.times
    if times is not None and len(rows):
        first, last = (_clock(int(t), schema.timezone) for t in (rows.times_us.min(), rows.times_us.max()))
        name = " and ".join(times.names)
        yield from _fact("time", f"column {name}, {times.format}; {first} to {last}, {schema.timezone}")
    gaps = found.gaps
    text = f"one every {duration(schema.period_s)}"
    if len(gaps.minutes):
        hours = duration(float(gaps.minutes.sum()) * 60)
        text += f"; {len(gaps.minutes):,} gaps longer than {duration(schema.stop_gap_s)}, which count as stops: "
        text += f"{hours} in all, {int(gaps.after_break.sum()):,} of them after a break"
    else:
        text += f"; no gap longer than {duration(schema.stop_gap_s)}, which would count as a stop"
    yield from _fact("rows", text + (f"; {lost:,} lines give no row" if lost > 0 else ""))
    yield from _fact("labels", _labels(found))
    machines = len(set(rows.machines))
    if found.roles.machine is not None:
        yield from _fact("machines", f"column {found.roles.machine.name}: {machines}")
    if found.roles.grade is not None:
        yield from _fact("grades", f"column {found.roles.grade.name}: {len(found.grades)}")
    odd = sum(bool(sensor.remarks) for sensor in found.sensors)
    text = f"{len(found.sensors)}, {odd or 'none'} of them with a remark"
    yield from _fact("sensors", text)
    if found.roles.ignored:
        yield from _fact("left out", ", ".join(found.roles.ignored))


def _labels(found: Inspection) -> str:
    rows, labels = found.history.rows, found.roles.labels
    if labels is None or not len(rows):
        return "none found"
    unknown = int((rows.broken == UNKNOWN).sum())
    text = f"column {labels.column.name}"
    if not labels.plain:
        text += ", " + " or ".join(f'"{value}"' for value in labels.values) + " means a break"
    text += f": {found.broken_rows:,} rows, {found.breaks:,} breaks"
    return text + (f"; {unknown:,} rows without a label" if unknown else "")


def _layout(found: Inspection) -> Iterator[str]:
    layout, kind = found.table.layouts[0], found.table.kinds[0]
    if len(found.table.layouts) > 1:
        yield f"{len(found.table.layouts)} files"
    if kind in ("xlsx", "xlsm", "xls", "parquet"):
        yield kind
    else:
        yield layout.encoding
        yield f"separator {layout.separator!r}"
        yield f"decimal {layout.numbers.decimal!r}"
        if layout.numbers.thousands:
            yield f"thousands {layout.numbers.thousands!r}"
    if layout.header_line > 1:
        yield f"header in line {layout.header_line}"
    if layout.units_line:
        yield f"units in line {layout.units_line}"


def _doubts(found: Inspection) -> Iterator[str]:
    open_ones = [doubt for doubt in found.doubts if not _is_settled(doubt)]
    if not open_ones:
        yield "Nothing is doubtful."
        return
    yield f"What to look at, the most important first ({len(open_ones)}):"
    for number, (doubt, others) in enumerate(_few_of_each_kind(open_ones), start=1):
        count = f" ({doubt.count:,})" if doubt.count > 1 else ""
        yield ""
        yield from wrap(f"{number:>3}. {doubt.kind}{count}: {doubt.place}", indent="     ")
        yield from wrap(f"     {doubt.what}", indent="     ")
        if doubt.remedy:
            yield from wrap(f"     → {doubt.remedy}", indent="       ")
        yield from _others(others, indent="     ")


def _settled(found: Inspection) -> Iterator[str]:
    settled = [doubt for doubt in found.doubts if _is_settled(doubt)]
    if not settled:
        return
    yield f"Settled by the plant file, or without harm ({len(settled)}):"
    for doubt, others in _few_of_each_kind(settled):
        remedy = f"; {doubt.remedy}" if doubt.remedy else ""
        yield from wrap(f"  {doubt.kind}: {doubt.place}: {doubt.what}{remedy}", indent="    ")
        yield from _others(others, indent="    ")


def _is_settled(doubt: Doubt) -> bool:
    """Whether nothing is left to be done about it."""
    return not doubt.fatal and (not doubt.remedy or doubt.remedy.startswith(SETTLED))


def _few_of_each_kind(doubts: Sequence[Doubt]) -> Iterator[tuple[Doubt, Sequence[Doubt]]]:
    """The first of each kind, and with the last of them those that are not shown."""
    by_kind: dict[str, list[Doubt]] = {}
    for doubt in doubts:
        by_kind.setdefault(doubt.kind, []).append(doubt)
    for doubt in doubts:
        alike = by_kind[doubt.kind]
        if any(doubt is one for one in alike[:_MOST_ALIKE]):
            yield doubt, alike[_MOST_ALIKE:] if doubt is alike[min(_MOST_ALIKE, len(alike)) - 1] else []


def _others(doubts: Sequence[Doubt], *, indent: str) -> Iterator[str]:
    """Doubts that are not shown one by one, by their places alone."""
    if not doubts:
        return
    named = ", ".join(f"{doubt.column or doubt.place} ({doubt.count:,})" for doubt in doubts[:_MOST_PLACES])
    more = len(doubts) - _MOST_PLACES
    text = f"{indent}… and {len(doubts):,} of this kind more: {named}"
    yield from wrap(text + (f" and {more:,} more; --json lists them all" if more > 0 else ""), indent=indent + "  ")


def _sensors(found: Inspection) -> Iterator[str]:
    odd = [sensor for sensor in found.sensors if sensor.remarks]
    if not odd:
        return
    width = min(max(len(sensor.name) for sensor in odd), 24)
    yield "Sensors with a remark:"
    yield f"  {'':<{width}} {'least':>10} {'median':>10} {'most':>10}"
    for sensor in odd[:_MOST_SENSORS]:
        yield from _sensor(sensor, width)
    if len(odd) > _MOST_SENSORS:
        yield f"  … and {len(odd) - _MOST_SENSORS} more; --json lists them all"


def _sensor(sensor: Sensor, width: int) -> Iterator[str]:
    figures = " ".join(f"{value:>10.4g}" if value == value else f"{'-':>10}" for value in _figures(sensor))
    start = f"  {cut(sensor.name, width):<{width}} {figures}  "
    yield from wrap(start + ", ".join(sensor.remarks), indent=" " * len(start))


def _figures(sensor: Sensor) -> Sequence[float]:
    return sensor.least, sensor.median, sensor.most


def _grades(found: Inspection) -> Iterator[str]:
    if not found.grades:
        return
    yield "Grades, rows of each:"
    shown = list(found.grades.items())[:_MOST_GRADES]
    text = "  " + ", ".join(f"{grade} {count:,}" for grade, count in shown)
    more = len(found.grades) - len(shown)
    yield from wrap(text + (f" and {more} more" if more > 0 else ""), indent="  ")


def _next(found: Inspection, write: str | None) -> Iterator[str]:
    stops = [doubt for doubt in found.doubts if doubt.fatal]
    if stops:
        yield from wrap(f"Training stops at {len(stops)} of these, the first ones, until they are mended.", indent="")
        return
    names = " ".join(shlex.quote(str(source.path)) for source in found.history.sources)
    if write is None:
        yield "To write the plant file that was guessed, add --write plant.toml"
        return
    yield f"Written: {write}. Read it, then:"
    yield f"  sheetbreak train {names} --schema {shlex.quote(write)}"
    yield f"  sheetbreak monitor {shlex.quote(str(found.history.sources[-1].path))}"


def _clock(time_us: int, timezone: str) -> str:
    """What a clock at the mill shows."""
    return f"{(EPOCH + timedelta(microseconds=time_us)).astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}"


def _fact(label: str, text: str) -> Iterator[str]:
    yield from wrap(f"  {label:<{_LABEL}}{text}", indent=" " * (_LABEL + 2))
