"""Columns of a history: which are sensors, which hold text, and what is odd about them."""

import difflib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sheetbreak.engine.features import MAX_MISSING_SHARE
from sheetbreak.errors import DataError
from sheetbreak.history.cells import is_number
from sheetbreak.history.doubts import Doubt, Doubts
from sheetbreak.history.layout import Layout
from sheetbreak.history.lines import NoNumbers, label_text
from sheetbreak.missing import Missing
from sheetbreak.rows import Schema

MAX_BAD_SHARE = 0.2
"""Of a column's filled cells that are neither numbers nor words for a missing value: above it, it is no sensor's."""
_INDEX_ROWS = 20
"""So many rows that go up by the same step are no accident."""


def meanings_of(schema: Schema) -> list[str]:
    """Columns that are no sensors because the schema gives them another meaning."""
    named = (schema.time, schema.clock, schema.broken, schema.machine, schema.grade)
    return [column for column in named if column]


def check_meanings(schema: Schema, layout: Layout, *, unlabelled: bool) -> None:
    """Raises DataError where a column that the schema names is not in the header."""
    where = f"{layout.name} line {layout.header_line}"
    for column in meanings_of(schema):
        if column not in layout.header and not (unlabelled and column == schema.broken):
            shown = ", ".join(filter(None, layout.header[:12]))
            raise DataError(f'{where}: column "{column}" is missing; the columns are {shown}…')
    for column in schema.ignore:
        if column not in layout.header:
            near = difflib.get_close_matches(column, [*filter(None, layout.header)], n=1)
            meant = f'; "{near[0]}" is, mend the name' if near else "; mend the name or leave it out"
            raise DataError(f'{where}: columns.ignore names "{column}", which is not among the columns{meant}')


def sensor_columns(
    schema: Schema,
    layout: Layout,
    sample: Sequence[Sequence[str]],
    *,
    texts_of: Callable[[int], Counter[str]],
    missing: Missing,
    doubts: Doubts,
) -> tuple[str, ...]:
    """The columns that are sensors: those with a number anywhere. texts_of: what all of a column's cells hold.

    A column of text is left out and told. Raises DataError where nothing is left, or a name cannot be a sensor's.
    """
    meanings = {*meanings_of(schema), *schema.ignore}
    rest = [(i, column) for i, column in enumerate(layout.header) if column and column not in meanings]
    sensors = []
    for i, column in rest:
        numeric = any(is_number(row[i]) for row in sample if i < len(row))
        if numeric or _is_sensor(texts_of(i), f"{layout.name}, column {column}", column, missing, doubts):
            sensors.append(column)
    where = f"{layout.name} line {layout.header_line}"
    for number in (i + 1 for i, column in enumerate(layout.header) if not column):
        doubts.add(
            Doubt("column-without-name", f"{where}, column {number}", "has no name: left out", "name it", number)
        )
    for column in sensors:
        if unfit := _unfit(column):
            raise DataError(f"{where}: {column!r} cannot be a sensor's name; {unfit}, or name it under columns.ignore")
    if not sensors:
        raise DataError(f"{where}: no numeric column is left to be a sensor")
    return tuple(sensors)


def _is_sensor(texts: Counter[str], where: str, column: str, missing: Missing, doubts: Doubts) -> bool:
    """Whether a column whose sample holds no number is a sensor all the same."""
    if any(is_number(text) for text in texts):
        return True
    words = {text.strip(): count for text, count in texts.items() if not missing.is_word(text)}
    if not words:
        cells = sum(texts.values())
        doubts.add(Doubt("no-reading", where, f"not one of {cells:,} cells holds a reading", "", cells))
        return True
    shown = ", ".join(f'"{text[:40]}"' for text in sorted(words, key=lambda text: -words[text])[:3])
    if any(text.strip().casefold() == "nan" for text in texts):
        what = f"holds {shown} and NaN, which stands for a missing number, but no number"
        remedy = f'no sensor: add "{column}" to columns.ignore in --schema, or name it as columns.grade'
        doubts.add(Doubt("text-or-sensor", where, what, remedy, sum(words.values()), fatal=True))
        return False
    doubts.add(Doubt("text-column", where, f"holds text ({shown}): left out", "", sum(words.values())))
    return False


def _unfit(column: str) -> str:
    """Why a name cannot be a sensor's, as a remedy; blank where it can. A no-break space is a space."""
    if "\\" in column:
        return "leave the backslash out"
    if '"' in column:
        return "leave the quotation mark out"
    for sign in column:
        if not sign.isprintable() and sign not in "\xa0\u202f\u2009":
            return f"leave out the character U+{ord(sign):04X}, which does not print"
    return ""


def tell_no_numbers(
    found: NoNumbers, layout: Layout, *, filled: dict[str, int], missing: Missing, doubts: Doubts, binding: bool
) -> None:
    """Tell of cells without a number, by sensor, once each with its words and counts.

    filled: cells of each sensor that hold something. binding: above MAX_BAD_SHARE of unknown texts it is fatal.
    """
    by_sensor: dict[str, list[tuple[str, int, int]]] = {}
    for (sensor, text), (count, line) in found.items():
        by_sensor.setdefault(sensor, []).append((text, count, line))
    for sensor, words in by_sensor.items():
        words.sort(key=lambda word: -word[1])
        count, line = sum(word[1] for word in words), min(word[2] for word in words)
        odd = [word for word in words if not missing.is_word(word[0])]
        bad = sum(word[1] for word in odd)
        shown = ", ".join(f'"{text}" ({n:,})' for text, n, _ in words[:5]) + (" …" if len(words) > 5 else "")
        place = f"{layout.name} line {line}, column {sensor}"
        if binding and bad > MAX_BAD_SHARE * filled[sensor]:
            first = min(odd, key=lambda word: word[2])
            place = f"{layout.name} line {first[2]}, column {sensor}"
            what = f'"{first[0]}" is not a number, nor are {bad:,} of {filled[sensor]:,} cells there '
            what += f"({bad / filled[sensor]:.0%}; up to {MAX_BAD_SHARE:.0%} count as missing values)"
            doubts.add(Doubt("not-numbers", place, what, _remedy([word[0] for word in odd]), bad, fatal=True))
            continue
        remedy = "" if not odd else f'"{odd[0][0]}" is no known word for that: tell it to values.missing if it is one'
        doubts.add(Doubt("no-number", place, f"{count:,} cells hold no number and are missing: {shown}", remedy, count))


def _remedy(texts: Collection[str]) -> str:
    if any("," in text and is_number(text) for text in texts):
        return 'a comma stands in numbers: set csv.decimal = "," or csv.thousands = "," in --schema'
    ignore = "a code or a text is no sensor: name the column under columns.ignore in --schema, or as columns.grade"
    return f"{ignore}; a word for a missing value goes to values.missing"


def tell_index_columns(sensors: Sequence[str], values: npt.NDArray[np.float64], name: str, doubts: Doubts) -> None:
    """Tell of sensors that only ever rise by one and the same step: a number of the row, which is no reading."""
    if len(values) < _INDEX_ROWS:
        return
    first = np.diff(values[:_INDEX_ROWS], axis=0)
    for i in np.flatnonzero((first == first[0]).all(axis=0) & (first[0] % 1 == 0) & (first[0] != 0)).tolist():
        if (np.diff(values[:, i]) == first[0, i]).all():
            what = f"rises by {first[0, i]:g} with every one of {len(values):,} rows: a count of rows, not a reading"
            remedy = f'add "{sensors[i]}" to columns.ignore in --schema'
            doubts.add(Doubt("index-column", f"{name}, column {sensors[i]}", what, remedy, len(values)))


def tell_sentinels(schema: Schema, counts: npt.NDArray[np.int64], name: str, doubts: Doubts) -> None:
    """Tell of numbers that the schema calls missing, by sensor."""
    for i in np.flatnonzero(counts).tolist():
        what = f"{counts[i]:,} cells hold a number that values.missing names, and are missing"
        doubts.add(Doubt("sentinel", f"{name}, column {schema.sensors[i]}", what, "", int(counts[i])))


def tell_sparse_rows(sensors: Sequence[str], values: npt.NDArray[np.float64], name: str, doubts: Doubts) -> None:
    """Tell of rows that are never scored, because too many of their cells are missing, and of the worst sensor."""
    missing = np.isnan(values)
    sparse = int((missing.mean(axis=1) > MAX_MISSING_SHARE).sum())
    if not sparse:
        return
    worst = int(missing.sum(axis=0).argmax())
    what = f"{sparse:,} of {len(values):,} rows lack more than a fifth of the sensors: neither trained on nor scored"
    lacking = f"{missing[:, worst].sum():,} of {len(values):,} rows"
    remedy = f'"{sensors[worst]}" lacks most ({lacking}): add it to columns.ignore in --schema'
    doubts.add(Doubt("sparse-rows", name, what, f"{remedy} if the others are enough", sparse))


def tell_broken_words(schema: Schema, words: Mapping[str, int], name: str, doubts: Doubts) -> None:
    """Tell where no row holds one of the words that mean a break."""
    if any(label_text(text) in words for text in schema.broken_values):
        return
    found = ", ".join(f'"{text}" ({count:,})' for text, count in sorted(words.items(), key=lambda w: -w[1])[:5])
    what = f"no row holds {' or '.join(schema.broken_values)}; the column holds {found}"
    remedy = "mend columns.broken_values in --schema if one of these is a break"
    doubts.add(Doubt("no-break-word", f"{name}, column {schema.broken}", what, remedy, sum(words.values())))
