"""Log lines of every command: one event a line on standard error, as key=value text or as JSON objects."""

import logging
import os
import re
import sys
import threading
import time
import traceback
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from itertools import pairwise
from types import TracebackType
from typing import Any

import msgspec

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
_OPTION, _VARIABLE = "--log-format", "SHEETBREAK_LOG_FORMAT"
_KEY = re.compile(r"(?:^| )([\w-]+)=")
_PLACE = re.compile(r"%[-+ #0-9.]*[a-zA-Z]")
_OURS = frozenset({"time", "level"})
"""Fields of every line; a row's own time, say, becomes `row_time`."""

_asked: list[int] = []
"""What --log-level named, if it did."""

log = logging.getLogger(__name__)


def set_level(level: str) -> None:
    """Log lines from one of LEVELS on, in this process; a command that has no log lines of its own gets those."""
    _asked[:] = [logging.getLevelNamesMapping()[level.upper()]]
    if not logging.getLogger().handlers:
        log_to_stderr("text")
    logging.getLogger().setLevel(_asked[-1])


def add_log_format(parser: ArgumentParser) -> None:
    """Give a command the option --log-format."""
    parser.add_argument(
        _OPTION,
        choices=FORMATS,
        default="text",
        help="log lines on standard error: key=value, or one JSON object a line",
    )


def log_to_stderr(log_format: str) -> None:
    """Everything from INFO, or what --log-level named, on: our own events and what libraries say, times in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine() if log_format == "json" else _text_line())
    level = _asked[-1] if _asked else logging.INFO
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if log_format == "json":
        logging.captureWarnings(True)
        threading.excepthook = _log_of_thread


def log_format_of(argv: Sequence[str]) -> str:
    """What a command line and the environment ask for, before any parser has looked at them: errors need it, too."""
    words = list(argv)
    given = [word.partition("=")[2] for word in words if word.startswith(_OPTION + "=")]
    given += [after for word, after in pairwise(words) if word == _OPTION]
    asked = given[-1] if given else os.environ.get(_VARIABLE, "").strip()
    return asked if asked in FORMATS else "text"


def logs_json() -> bool:
    """Whether standard error is to hold JSON objects alone."""
    return any(isinstance(handler.formatter, JsonLine) for handler in logging.getLogger().handlers)


class JsonLine(logging.Formatter):
    """A record as one JSON object: time, level, event, and the fields of the event with their own types.

    A line that is no event of ours has `event` "library", its logger and its message.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line without its end."""
        line: dict[str, Any] = {"time": _time_of(record), "level": record.levelname}
        fields = dict(_fields(record)) if str(record.msg).startswith("event=") else {}
        if "event" in fields:
            line["event"] = fields.pop("event")
            line |= {f"row_{key}" if key in _OURS else key: value for key, value in fields.items()}
        else:
            line |= {"event": "library", "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return msgspec.json.encode(line).decode()


def _text_line() -> logging.Formatter:
    formatter = logging.Formatter(
        "time=%(asctime)s.%(msecs)03dZ level=%(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    return formatter


def _time_of(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """(key, value) of a line `event=… key=%s key=%d …`: a value that is one argument alone keeps its type."""
    template, arguments = str(record.msg), record.args if isinstance(record.args, tuple) else ()
    keys = list(_KEY.finditer(template))
    ends = [key.start() for key in keys[1:]] + [len(template)]
    taken = 0
    for key, end in zip(keys, ends, strict=True):
        text = template[key.end() : end]
        if not arguments:
            yield key[1], text
            continue
        places = _PLACE.findall(text.replace("%%", ""))
        mine, taken = arguments[taken : taken + len(places)], taken + len(places)
        yield key[1], _value(text, mine)


def _value(text: str, arguments: tuple[object, ...]) -> Any:
    """text: a template's part that stands behind one key."""
    if len(arguments) != 1 or not _PLACE.fullmatch(text):
        return text % arguments
    value = arguments[0]
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and "." in text:
        return float(text % value)
    return _plain(value)


def _plain(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _log_of_thread(died: threading.ExceptHookArgs) -> None:
    name = died.thread.name if died.thread else ""
    found: tuple[type[BaseException], BaseException, TracebackType | None] | None = None
    if died.exc_value is not None:
        found = died.exc_type, died.exc_value, died.exc_traceback
    log.critical("event=bug thread=%s error=%r", name, str(died.exc_value), exc_info=found)
