"""Files that appear whole: written beside their place and moved there, so that a failure leaves what was there."""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sheetbreak.errors import DataError


def csv_cell(text: str) -> str:
    """The text as a cell of a CSV."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text


@contextmanager
def replaced(place: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file written beside `place` and moved there when the block ends well, else removed.

    A device or a named pipe is written to: moving a file there would put an end to it, for /dev/null to everyone's.
    """
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
    if place.exists() and not place.is_file():
        with place.open(mode, encoding=encoding, newline=newline) as special:
            yield special
        return
    with tempfile.NamedTemporaryFile(
        mode, encoding=encoding, newline=newline, prefix=f".{place.name}.", dir=place.parent, delete=False
    ) as file:
        written = Path(file.name)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            written.chmod(0o666 & ~umask)  # a temporary file is its owner's alone; a result is for all
            written.replace(place)
        except BaseException:
            written.unlink(missing_ok=True)
            raise


@contextmanager
def results_to(place: Path | None) -> Iterator[IO[bytes]]:
    """A command's results, as bytes: into a file, or to standard output where none is named.

    Raises DataError when the file cannot be written.
    """
    if place is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with replaced(place, "wb") as file:
            yield file
    except OSError as cause:
        reason = cause.strerror or str(cause)
        raise DataError(f"cannot write {place}: {reason}; name a file in a folder that takes it") from cause


def check_targets(paths: Iterable[Path | None]) -> None:
    """Raises DataError for a path that could not be written; None is an option that was not given."""
    for path in paths:
        if path is None:
            continue
        folder = path.parent
        if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise DataError(f"{path} cannot be written; name a file in a directory that is there and is yours")


def write_whole(path: Path, content: str | bytes) -> None:
    """The whole file or none; into a device or a pipe as it is. Raises DataError if it cannot be written."""
    try:
        with replaced(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
    except OSError as cause:
        raise DataError(f"{path}: {cause.strerror}; name another file") from cause
