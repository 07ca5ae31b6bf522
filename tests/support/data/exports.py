"""Exports as mills make them, out of a simulated history: a title, cp1252, decimal commas, words, local time, units."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.support.data.workbook import workbook

Cell = str | float | datetime
_SIMULATED_START = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Export:
    """A table as a mill's historian gives it to a spreadsheet."""

    title: Sequence[str]
    header: Sequence[str]
    units: Sequence[str]
    rows: list[list[Cell]] = field(default_factory=list)


def mill_export(
    simulated: Path,
    *,
    zone: str = "Europe/Helsinki",
    start: datetime = datetime(2026, 10, 20, tzinfo=UTC),
    sensors: int = 61,
) -> Export:
    """A simulated history as the export that took thirteen refused runs to be read: see the module's first line.

    start: of its first row, which may lie so that a clock change is in it. Sensors are x1, x2, … of the simulation.
    """
    with simulated.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith("x") and name not in ("x28", "x61")][:sensors]
    export = Export(
        title=["Bericht Papiermaschine 4; Werk Süd", f"Zeitzone: lokal; {len(rows)} Zeilen"],
        header=["Zeitstempel", "Zustand", "Sorte", *[f"PM4 {name} Ø" for name in names], "Bemerkung"],
        units=["", "", "", *["bar" if i % 2 else "°C" for i in range(len(names))], ""],
    )
    for number, row in enumerate(rows):
        moment = datetime.strptime(row["time"], "%m/%d/%y %H:%M").replace(tzinfo=UTC) - _SIMULATED_START + start
        cells: list[Cell] = [float(row[name]) for name in names]
        if number % 47 == 3:
            cells[number % 5] = "Bad"
        if number % 211 == 7:
            cells[5 + number % 3] = "Kein Wert"
        broken = row["y"] == "1"
        remark = 'Störung "Naßpartie";\nSieb gereinigt' if broken else ""
        local = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        export.rows.append([local, "Abriss" if broken else "ok", f"S{row['x28']}", *cells, remark])
    return export


def write_csv_export(path: Path, export: Export, *, encoding: str = "cp1252") -> Path:
    """`;` between cells, commas in numbers, 25.10.2026 03:58, a title and units."""

    def text(cell: Cell) -> str:
        if isinstance(cell, datetime):
            return f"{cell:%d.%m.%Y %H:%M}"
        return cell if isinstance(cell, str) else repr(cell).replace(".", ",")

    out = io.StringIO()
    for line in export.title:
        out.write(line + "\r\n")
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerows([export.header, export.units, *[[text(cell) for cell in row] for row in export.rows]])
    path.write_bytes(out.getvalue().encode(encoding))
    return path


def write_workbook(path: Path, export: Export) -> Path:
    """The same as .xlsx: times are dates of the workbook, numbers are numbers."""
    rows = [[line] for line in export.title] + [export.header, export.units, *export.rows]
    path.write_bytes(workbook({"Export": rows}))
    return path
