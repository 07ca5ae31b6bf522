"""A plant file written: every guess a line of TOML, with the reason behind it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Value = str | int | float | Sequence[str]
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of the plant file, and why."""

    value: Value
    why: str = ""
    shown: bool = False
    """A line that is only shown, as a comment: what is learned if nothing is said."""


Plant = Mapping[str, Mapping[str, Entry]]
"""Table → key → entry."""


def plant_toml(plant: Plant, *, title: str) -> str:
    """The text of a plant file, which load_schema reads back."""
    lines = [f"# {line}" for line in title.splitlines()]
    for table, entries in plant.items():
        if not entries:
            continue
        only_shown = all(entry.shown for entry in entries.values())
        lines += ["", f"{'# ' if only_shown else ''}[{table}]"]
        for key, entry in entries.items():
            lines += _entry(key, entry)
    return "\n".join(lines) + "\n"


def plain(plant: Plant) -> dict[str, dict[str, Value]]:
    """The values alone, without what is only shown."""
    tables = {t: {key: e.value for key, e in entries.items() if not e.shown} for t, entries in plant.items()}
    return {table: entries for table, entries in tables.items() if entries}


def _entry(key: str, entry: Entry) -> list[str]:
    name = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)
    why = " ".join(_printable(entry.why).split())
    mark = "# " if entry.shown else ""
    if isinstance(entry.value, Sequence) and not isinstance(entry.value, str):
        one_line = f"{mark}{name} = [{', '.join(_text(one) for one in entry.value)}]"
        if len(one_line) <= _WIDTH:
            return [_commented(one_line, why)]
        return [_commented(f"{mark}{name} = [", why), *(f"{mark}  {_text(one)}," for one in entry.value), f"{mark}]"]
    return [_commented(f"{mark}{name} = {_value(entry.value)}", why)]


def _commented(line: str, why: str) -> str:
    return f"{line:<28} # {why}" if why else line


def _value(value: Value) -> str:
    if isinstance(value, str):
        return _text(value)
    assert isinstance(value, int | float)
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _text(text: str) -> str:
    """A basic string of TOML: JSON's, with the one control character that JSON lets through."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _printable(text: str) -> str:
    """Of a comment: no control characters, which end or break it."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
