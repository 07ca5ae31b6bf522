"""Files of public plants: what a folder holds, their numbers and their checksums."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sheetbreak.errors import DataError
from sheetbreak.rows import INTACT, RowBatch, Schema

TENNESSEE_PERIOD_S = 180.0
BATADAL = Schema(
    period_s=3600.0,
    stop_gap_s=5400.0,
    lead_rows=0,
    time="DATETIME",
    broken="ATT_FLAG",
    time_format="%d/%m/%y %H",
)

Floats = npt.NDArray[np.float64]


def plants_in(folder: Path) -> list[Path]:
    """The folder, or those in it, that hold a plant. Raises DataError saying what is needed where none does."""
    some = [folder, *sorted(one for one in folder.iterdir() if one.is_dir())] if folder.is_dir() else []
    found = [one for one in some if data_file(one, "d00") or pair_in(one)]
    if not found:
        raise DataError(
            f"{folder}: no folder with train.csv, test.csv and schema.toml, with dataset03.csv and test_dataset.csv, "
            "or with d00.dat and d00_te.dat; docs/benchmarks.md says where to get the public ones"
        )
    return found


def pair_in(folder: Path) -> tuple[Path, Path, Path | None] | None:
    """Training rows, rows to judge, and their schema file, where that is not known."""
    if all((folder / name).is_file() for name in ("dataset03.csv", "test_dataset.csv")):
        return folder / "dataset03.csv", folder / "test_dataset.csv", None
    if all((folder / name).is_file() for name in ("train.csv", "test.csv", "schema.toml")):
        return folder / "train.csv", folder / "test.csv", folder / "schema.toml"
    return None


def data_file(folder: Path, name: str) -> Path | None:
    """The file of numbers of that name, plain or gzipped."""
    return next((path for path in (folder / f"{name}.dat", folder / f"{name}.dat.gz") if path.is_file()), None)


def read_numbers(path: Path) -> Floats:
    """(rows, columns) of a file of numbers between blanks, plain or gzipped. Raises DataError naming file and line."""
    try:
        text = _content(path).decode("ascii")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as cause:
        raise DataError(f"{path}: {cause}; a text of numbers is expected, plain or gzipped: fetch it again") from cause
    lines: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            lines.append([float(cell) for cell in line.split()])
        except ValueError as cause:
            raise DataError(f"{path} line {number}: {cause}; numbers between blanks are expected") from cause
        if len(lines[-1]) != len(lines[0]):
            raise DataError(f"{path} line {number}: {len(lines[-1])} numbers, line 1 has {len(lines[0])}")
    if not lines:
        raise DataError(f"{path}: no row; numbers between blanks are expected")
    return np.array(lines)


def batch_of(parts: list[Floats], machines: list[str]) -> RowBatch:
    """Rows one after the other, each part a machine of its own, at the period of Tennessee Eastman."""
    rows = sum(len(part) for part in parts)
    times = np.concatenate([np.arange(len(part)) for part in parts]) * int(TENNESSEE_PERIOD_S * 1e6)
    names = [name for name, part in zip(machines, parts, strict=True) for _ in range(len(part))]
    return RowBatch(names, times, np.concatenate(parts), [None] * rows, np.full(rows, INTACT, np.int8))


def checksums(folder: Path) -> Iterator[str]:
    """A line a file: of what a gzipped one holds, since another gzip packs the same bytes in other ones."""
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        yield f"sha256 {hashlib.sha256(_content(path)).hexdigest()}  {folder.name}/{path.name.removesuffix('.gz')}"


def _content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
