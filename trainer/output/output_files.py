"""Files that a command writes beside its tables: checked before minutes of work, then written whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path

from sheetbreak.errors import DataError


def check_targets(paths: Iterable[Path | None]) -> None:
    """Raises DataError for a path that could not be written; None is an option that was not given."""
    for path in paths:
        if path is None:
            continue
        folder = path.parent
        if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise DataError(f"{path} cannot be written; name a file in a directory that is there and is yours")


def write_whole(path: Path, text: str) -> None:
    """The whole file or none. Raises DataError if it cannot be written."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as cause:
        beside.unlink(missing_ok=True)
        raise DataError(f"{path}: {cause.strerror}; name another file") from cause
