"""`sheetbreak inspect`: what is in a mill's own files, every doubt at once, and a plant file guessed from them."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sheetbreak.cli.options import OptionParser
from sheetbreak.errors import DataError
from sheetbreak.history.schema_file import load_schema
from trainer.output.files import check_targets, write_whole


def main(argv: Sequence[str]) -> int:
    """Print what was found, write the plant file on request. Raises DataError where the files hold no table."""
    parser = OptionParser(
        "sheetbreak inspect",
        "Read a mill's own files whole and say what is in them: times, gaps, labels, grades, sensors, and all that is\n"
        "doubtful, each with its number, its first line and a remedy. --write makes the plant file that train takes.",
        example="sheetbreak inspect export.xlsx --write plant.toml\nsheetbreak train export.xlsx --schema plant.toml\n"
        "sheetbreak monitor export.xlsx",
    )
    files_help = "CSV, gzip or zstd of it, xlsx, Parquet, or a folder of them"
    parser.add_argument("files", type=Path, nargs="+", metavar="FILES", help=files_help)
    parser.add_argument(
        "--schema", type=Path, metavar="FILE", help="a plant file that stands; what it leaves out is guessed"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the plant file there; one that is there is kept beside"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a page")
    options = parser.parse_args(argv)
    check_targets([options.write])
    given = load_schema(options.schema) if options.schema else None

    from trainer.data.inspection.inspection import inspect_files
    from trainer.data.inspection.page import page
    from trainer.data.inspection.record import record

    with _whole(options.files) as files:
        found = inspect_files(files, given)
    if options.write:
        _write(options.write, found.toml)
    if options.json:
        json.dump(record(found), sys.stdout, ensure_ascii=False, allow_nan=False)
        print()
    else:
        sys.stdout.write(page(found, write=str(options.write) if options.write else None))
    return 0


@contextmanager
def _whole(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """The files; a pipe, which can be read but once, as a file of its own while we need it."""
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for number, path in enumerate(paths):
            if path.is_file() or path.is_dir() or not path.exists():
                found.append(path)
                continue
            place = Path(folder) / str(number) / path.name
            place.parent.mkdir()
            try:
                with path.open("rb") as pipe, place.open("wb") as file:
                    shutil.copyfileobj(pipe, file)
            except OSError as cause:
                raise DataError(f"{path}: {cause.strerror}; name a CSV file with a header line") from cause
            found.append(place)
        yield found


def _write(path: Path, text: str) -> None:
    """Write the plant file; another one that is there, perhaps mended by hand, is kept beside it."""
    if path.is_file() and path.read_bytes() != text.encode():
        kept = next(p for n in range(1, 1000) if not (p := path.with_name(f"{path.name}.{n}")).exists())
        path.rename(kept)
        print(f"{path} was there: kept as {kept.name}", file=sys.stderr)
    write_whole(path, text)
