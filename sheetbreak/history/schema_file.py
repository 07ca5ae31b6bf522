"""The schema file: a plant in TOML, checked."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sheetbreak.errors import DataError
from sheetbreak.history.time_formats import check_time_format
from sheetbreak.rows import Schema

MIN_PERIOD_S, MAX_GAP_S = 1e-3, 366 * 86400.0
"""Bounds of what a schema may say: times are µs, and a year without a row is the end of any run."""


def load_schema(path: Path) -> Schema:
    """The plant of a schema file (TOML); its sensors are not known before a CSV's header is.

    Raises DataError, naming file, key and remedy.
    """
    import tomllib

    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise DataError(f"{path}: {cause}; --schema names a TOML file, see docs/file-formats.md") from cause
    known: dict[str, dict[str, type | tuple[type, ...]]] = {
        "columns": {"time": str, "broken": str, "machine": str, "grade": str, "ignore": list},
        "sampling": {
            "period_s": (int, float),
            "stop_gap_s": (int, float),
            "lead_rows": int,
            "time_format": str,
            "timezone": str,
        },
    }
    found: dict[str, Any] = {}
    for table, entries in tables.items():
        if table not in known or not isinstance(entries, dict):
            raise DataError(f"{path}: [{table}] is not known; the tables are [columns] and [sampling]")
        for key, value in entries.items():
            if key not in known[table]:
                raise DataError(f"{path}: {table}.{key} is not known; known are {', '.join(known[table])}")
            if not isinstance(value, known[table][key]) or isinstance(value, bool):
                raise DataError(f"{path}: {table}.{key} = {value!r} has the wrong type")
            found[key] = value
    return _check_schema(found, path)


def _check_schema(found: dict[str, Any], path: Path) -> Schema:
    ignore = found.pop("ignore", [])
    if not all(isinstance(name, str) for name in ignore):
        raise DataError(f"{path}: columns.ignore is a list of column names")
    period = found.get("period_s", 120.0)
    stop_gap = found.get("stop_gap_s", 1.5 * min(period, MAX_GAP_S))
    if not MIN_PERIOD_S <= period < stop_gap <= MAX_GAP_S:
        raise DataError(
            f"{path}: sampling: {MIN_PERIOD_S:g} <= period_s < stop_gap_s <= {MAX_GAP_S:g} must hold, "
            f"not period_s = {period} and stop_gap_s = {stop_gap}"
        )
    try:
        check_time_format(found.get("time_format", "%Y"))
    except ValueError as cause:
        raise DataError(f"{path}: sampling.time_format: {cause}; one like %m/%d/%y %H:%M is expected") from cause
    if "machine" in found and "time" not in found:
        raise DataError(f"{path}: columns.machine needs columns.time: rows of several machines cannot be numbered")
    if found.get("lead_rows", 2) < 0:
        raise DataError(f"{path}: sampling.lead_rows = {found['lead_rows']}; 0 or more rows ahead")
    try:
        ZoneInfo(found.get("timezone", "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError) as cause:  # "Europe" is a folder
        raise DataError(f"{path}: sampling.timezone {found['timezone']!r} is not known; use Europe/Helsinki") from cause
    found |= {"period_s": float(period), "stop_gap_s": float(stop_gap)}
    return replace(Schema(), ignore=tuple(ignore), **found)
