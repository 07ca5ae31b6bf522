"""Schema file: a plant described in TOML, read and checked."""

import codecs
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sheetbreak.bounds import Rows, parse_bounded
from sheetbreak.errors import DataError
from sheetbreak.history.times.formats import check_time_format
from sheetbreak.history.times.sampling import PERIOD, STOP_GAP
from sheetbreak.missing import MISSING
from sheetbreak.rows import Dialect, Schema

_NUMBER = (int, float)
KNOWN: dict[str, dict[str, type | tuple[type, ...]]] = {
    "columns": {
        "time": (str, list),
        "broken": str,
        "machine": str,
        "grade": str,
        "ignore": list,
        "broken_values": list,
    },
    "sampling": {
        "period_s": _NUMBER,
        "stop_gap_s": _NUMBER,
        "lead_rows": int,
        "time_format": str,
        "timezone": str,
        "ambiguous": str,
    },
    "csv": {
        "separator": str,
        "decimal": str,
        "thousands": str,
        "encoding": str,
        "skip_rows": int,
        "sheet": (str, int),
        "same_names": str,
    },
    "values": {"missing": list},
}
"""What a schema file may say; beside it [units], whose keys are sensors."""
_LINE = "a;1,5\n"
AMBIGUOUS = ("infer", "first", "second")
"""What an hour that comes twice can be: told by the rows' order, or always the one before or after the change."""

MIN_PERIOD_S, MAX_GAP_S = 1e-3, 366 * 86400.0
"""Bounds of what a schema may say: times are µs, and a year without a row is the end of any run."""


def load_schema(path: Path) -> Schema:
    """The plant of a schema file (TOML); its sensors are not known before a CSV's header is.

    Raises DataError, naming file, key and remedy.
    """
    import tomllib

    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        what = getattr(cause, "strerror", None) or cause
        raise DataError(f"{path}: {what}; --schema names a TOML file, see docs/file-formats.md") from cause
    return schema_of(tables, path)


def schema_of(tables: Mapping[str, Any], path: Path | str) -> Schema:
    """The plant of a schema file's tables. path: what messages call the place where they are from. Raises DataError."""
    found: dict[str, dict[str, Any]] = {table: {} for table in (*KNOWN, "units")}
    for table, entries in tables.items():
        if table not in found or not isinstance(entries, dict):
            listed = ", ".join(f"[{name}]" for name in KNOWN)
            raise DataError(f"{path}: [{table}] is not known; the tables are {listed} and [units]")
        for key, value in entries.items():
            if table != "units" and key not in KNOWN[table]:
                raise DataError(f"{path}: {table}.{key} is not known; known are {', '.join(KNOWN[table])}")
            kinds = str if table == "units" else KNOWN[table][key]
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise DataError(f"{path}: {table}.{key} = {value!r} has the wrong type")
            found[table][key] = value
    values = {key: _texts(listed, f"{path}: values.{key}") for key, listed in found["values"].items()}
    columns = _check_columns(found["columns"], path)
    plain = columns | found["sampling"] | values | {"units": found["units"], "csv": _check_csv(found["csv"], path)}
    return _check_schema(plain, path)


def _check_columns(columns: dict[str, Any], path: Path | str) -> dict[str, Any]:
    ignore = columns.get("ignore", [])
    if not all(isinstance(name, str) for name in ignore):
        raise DataError(f"{path}: columns.ignore is a list of column names")
    broken_values = _texts(columns.get("broken_values", []), f"{path}: columns.broken_values")
    if broken_values and "broken" not in columns:
        raise DataError(f"{path}: columns.broken_values needs columns.broken, the column that holds them")
    checked = columns | {"ignore": tuple(ignore), "broken_values": broken_values}
    if isinstance(time := columns.get("time"), list):
        if len(time) != 2 or not all(isinstance(name, str) for name in time):
            raise DataError(f'{path}: columns.time = {time!r}; one column, or two: time = ["Date", "Time"]')
        checked |= {"time": time[0], "clock": time[1]}
    taken: dict[str, str] = {}
    for key in ("time", "clock", "broken", "machine", "grade"):
        setting, name = "time" if key == "clock" else key, checked.get(key)
        if name in taken:
            both = f"columns.{taken[name]} and columns.{setting}"
            raise DataError(f'{path}: {both} both name "{name}"; a column has one meaning: take one of them out')
        if name is not None:
            taken[name] = setting
    return checked


def _check_csv(csv: dict[str, Any], path: Path | str) -> Dialect:
    if csv.get("same_names", "number") != "number":
        raise DataError(f'{path}: csv.same_names = {csv["same_names"]!r}; "number" is expected, or nothing')
    for key, allowed in (("separator", ",;\t|"), ("decimal", ".,")):
        if key in csv and (len(csv[key]) != 1 or csv[key] not in allowed):
            shown = " ".join(repr(sign) for sign in allowed)
            raise DataError(f"{path}: csv.{key} = {csv[key]!r}; one of {shown} is expected")
    if len(csv.get("thousands", "")) > 1 or csv.get("thousands") == csv.get("decimal", "."):
        raise DataError(f"{path}: csv.thousands = {csv['thousands']!r}; one sign that is not the decimal one, or none")
    if csv.get("skip_rows", 0) < 0:
        raise DataError(f"{path}: csv.skip_rows = {csv['skip_rows']}; the lines above the header are 0 or more")
    encoding = _encoding(csv["encoding"], path) if "encoding" in csv else None
    return Dialect(**csv | {"encoding": encoding, "sheet": str(csv["sheet"]) if "sheet" in csv else None})


def _encoding(name: str, path: Path | str) -> str:
    """Python's name of an encoding of texts, whose lines end as in ASCII or which is UTF-16 or UTF-32."""
    try:
        found = codecs.lookup(name).name
        if found.startswith(("utf-16", "utf-32")) or _LINE.encode(found) == _LINE.encode():
            return found
    except (LookupError, ValueError):  # UnicodeError is one
        pass
    raise DataError(f"{path}: csv.encoding = {name!r} is not known; one like utf-8, cp1252 or utf-16")


def _texts(values: list[Any], name: str) -> tuple[str, ...]:
    if not all(isinstance(value, (str, int, float)) and not isinstance(value, bool) for value in values):
        raise DataError(f"{name} = {values!r}; a list of words and numbers is expected")
    return tuple(str(value) for value in values)


def _check_schema(found: dict[str, Any], path: Path | str) -> Schema:
    learned = tuple(key for key in (PERIOD, STOP_GAP, MISSING) if key not in found)
    stop_gap_given = found.get("stop_gap_s", MAX_GAP_S)
    period = found.get("period_s", min(120.0, stop_gap_given / 1.5))
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
    try:
        parse_bounded(Rows, str(found.get("lead_rows", 2)))
    except ValueError as cause:
        raise DataError(f"{path}: sampling.lead_rows: {cause}") from cause
    if found.get("ambiguous", "infer") not in AMBIGUOUS:
        raise DataError(f"{path}: sampling.ambiguous = {found['ambiguous']!r}; {', '.join(AMBIGUOUS)} are known")
    try:
        ZoneInfo(found.get("timezone", "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError) as cause:  # "Europe" is a folder
        raise DataError(
            f"{path}: sampling.timezone {found['timezone']!r} is not known; one like Europe/Berlin or UTC"
        ) from cause
    found |= {"period_s": float(period), "stop_gap_s": float(stop_gap)}
    return replace(Schema(), learned=learned, **found)
