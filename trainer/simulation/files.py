"""Files of simulated machines: rows in the format of the ProcessMiner CSV, and the cause of every break."""

import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from sheetbreak.errors import DataError
from trainer.output.files import replaced
from trainer.simulation.causes import NO_CAUSE
from trainer.simulation.mill import Machine
from trainer.simulation.plant import SENSORS
from trainer.simulation.schedule import ROWS_PER_DAY

START = datetime(2026, 1, 5)  # noqa: DTZ001 - the format has no zone; a Monday, the same for every seed
MINUTES_PER_ROW = 24 * 60 // ROWS_PER_DAY
COLUMNS = tuple(f"x{number}" for number in range(1, 62))


class CauseRow(NamedTuple):
    """One line of the causes file: its columns. What a break without a precursor does not have is empty."""

    machine: str
    row: int
    """Of the break: row number in the simulated CSV, first = 0."""
    time: str
    cause: str
    sensors: str = ""
    """Names, separated by blanks."""
    precursor_row: int | str = ""
    """Row number of the machine's first row that shows it."""
    precursor_minutes: int | str = ""


def causes_path(out: Path) -> Path:
    """`mill.csv` → `mill.causes.csv`."""
    return out.with_name(out.name.removesuffix(".csv") + ".causes.csv")


def write_mill(machines: Sequence[Machine], out: Path) -> tuple[int, int]:
    """Write `out` and its causes, in the order of time. Returns the numbers of rows and of breaks.

    Raises DataError when a file cannot be written; what was there before then stays.
    """
    if not out.name:
        raise DataError(f"cannot write {out}: Is a directory; name a file in it, such as mill.csv")
    several = len(machines) > 1
    running = np.stack([machine.schedule.running for machine in machines], axis=1)
    row_at = np.cumsum(running).reshape(running.shape) - 1
    rows = int(running.sum())
    causes = sorted(_causes(machines, row_at), key=lambda cause: cause.row)
    try:
        with replaced(causes_path(out)) as causes_file, replaced(out) as rows_file:
            writer = csv.writer(causes_file, lineterminator="\n")
            writer.writerows([CauseRow._fields, *causes])
            rows_file.write(",".join(["time", *["machine"] * several, "y", *COLUMNS]) + "\n")
            lines = _lines(machines, named=several)
            rows_file.writelines(tqdm(lines, "writing", rows, unit="row", disable=not sys.stderr.isatty()))
    except OSError as cause:
        reason = cause.strerror or str(cause)
        raise DataError(f"cannot write {out}: {reason}; name a file in a folder that takes it") from cause
    return rows, len(causes)


def _causes(machines: Sequence[Machine], row_at: npt.NDArray[np.intp]) -> Iterator[CauseRow]:
    """Machine by machine; row_at: (slots, machines), row numbers in the CSV."""
    for number, machine in enumerate(machines):
        for found in machine.schedule.breaks:
            where = (machine.name, int(row_at[found.slot, number]), _clock(found.slot))
            if found.cause is None:
                yield CauseRow(*where, NO_CAUSE)
            else:
                minutes = (found.slot - found.start) * MINUTES_PER_ROW
                sensors = " ".join(found.cause.sensors)
                start = int(row_at[found.start, number])
                yield CauseRow(*where, found.cause.name, sensors, start, minutes)


def _lines(machines: Sequence[Machine], *, named: bool) -> Iterator[str]:
    """All rows of all machines in the order of time; at the same time, in the order of the machines."""
    rendered = [_machine_lines(machine, named=named) for machine in machines]
    for at_once in zip(*rendered, strict=True):
        yield from filter(None, at_once)


def _machine_lines(machine: Machine, *, named: bool) -> Iterator[str]:
    """One machine's rows; an empty text for each sampling period in which it stood.

    Sensors have the decimals that show a ten-thousandth of their spread: a fixed number of them never gives
    an exponent, and hides that exp() may differ between platforms in the last bit.
    """
    formats = {sensor.name: f"%.{_decimals(sensor.spread)}f" for sensor in SENSORS}
    formats |= {"x28": "%d", "x61": "%d"}
    pattern = ",".join(formats[column] for column in COLUMNS) + "\n"
    name = f"{machine.name}," if named else ""
    running = machine.schedule.running.tolist()
    grades = machine.schedule.grade.tolist()
    breaks = {found.slot for found in machine.schedule.breaks}
    for slot, runs in enumerate(running):
        if not runs:
            yield ""
            continue
        broken = slot in breaks
        stops = broken and not all(running[slot + 1 : slot + 2])  # x61, an outcome
        cells = machine.values[slot].tolist()
        cells.insert(COLUMNS.index("x28"), grades[slot])
        yield f"{_clock(slot)},{name}{broken:d}," + pattern % (*cells, stops)


def _clock(slot: int) -> str:
    """`1/5/26 0:00`, as the ProcessMiner file writes it."""
    moment = START + timedelta(minutes=slot * MINUTES_PER_ROW)
    return f"{moment.month}/{moment.day}/{moment:%y} {moment.hour}:{moment:%M}"


def _decimals(spread: float) -> int:
    power_of_ten = int(f"{spread:e}".partition("e")[2])
    return max(0, 4 - power_of_ten)
