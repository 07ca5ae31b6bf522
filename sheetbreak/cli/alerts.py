"""Command `sheetbreak alerts`: one readable line for every alert of a topic, file or pipe, in time order."""

import logging
import sys
import time
from collections.abc import Iterable, Sequence
from textwrap import fill

import msgspec

from sheetbreak.cli.logs import add_log_format, log_to_stderr
from sheetbreak.cli.options import OptionParser, whole_number
from sheetbreak.cli.screen import columns
from sheetbreak.streams.open import scheme_of
from sheetbreak.times import parse_duration, parse_time
from sheetbreak.wire.readable import readable_line
from sheetbreak.wire.topics import ALERTS

log = logging.getLogger(__name__)


class _Alert(msgspec.Struct):
    topic: str
    machine: str = ""
    time: str = ""


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code. Raises DataError when the source cannot be read."""
    parser = OptionParser(
        "sheetbreak alerts",
        "Show the alerts of a topic, file or pipe in time order: one readable line each, in plant time. A topic is\n"
        "watched from then on, too, unless --since or --last asks for what is there.",
        example="sheetbreak alerts kafka://localhost:9092/alerts\n"
        "sheetbreak alerts kafka://localhost:9092/alerts --since 8h --machine pm1\n"
        "sheetbreak alerts alerts.ndjson --last 20 --follow",
    )
    parser.add_argument("source", help="kafka://host:9092/alerts, alerts.ndjson or - (standard input)")
    parser.add_argument(
        "--since", type=_since, metavar="T", help="those of rows from then on: 2026-05-01T06:00:00Z, or 8h before now"
    )
    parser.add_argument("--last", type=whole_number(minimum=1), metavar="N", help="the last N of what is there")
    parser.add_argument("--machine", metavar="M", help="of this machine alone")
    parser.add_argument("--follow", action="store_true", help="then show what comes, until it is interrupted")
    add_log_format(parser)
    options = parser.parse_args(argv)
    log_to_stderr(options.log_format)
    scheme, source = scheme_of(options.source), options.source
    ends = not scheme.is_live(source) or options.last is not None or (scheme.has_group and options.since is not None)
    shown = _Shown(options.since, options.machine)
    if ends and not options.follow:
        shown.show_in_order(scheme.values(source), options.last)
    else:
        coming = scheme.watch(source)
        shown.show_in_order(iter(coming.__next__, None), options.last)
        for value in coming:
            shown.show(value)
    if shown.foreign:
        log.warning("event=no-alerts lines=%d source=%s note=%r", shown.foreign, source, "they are not shown")
    return 0


class _Shown:
    """Those of a source's messages that are asked for, on standard output."""

    def __init__(self, since_us: int | None, machine: str | None) -> None:
        self._since_us, self._machine = since_us, machine
        self.foreign = 0
        """Messages that are no alerts."""

    def show_in_order(self, values: Iterable[bytes | None], last: int | None) -> None:
        """By the rows' times, whatever order their partitions come in."""
        found = [(time_us, value) for value in values if (time_us := self._time_us(value)) is not None]
        found.sort(key=_by_time)
        for _, value in found if last is None else found[-last:]:
            _write(value)

    def show(self, value: bytes | None) -> None:
        """One that came."""
        if value is not None and self._time_us(value) is not None:
            _write(value)

    def _time_us(self, value: bytes | None) -> int | None:
        """Of an alert that is asked for; else None."""
        alert = _alert(value or b"")
        if alert is None:
            self.foreign += 1
            return None
        try:
            time_us = parse_time(alert.time)
        except ValueError:
            time_us = 0
        wanted = self._machine in (None, alert.machine) and (self._since_us is None or time_us >= self._since_us)
        return time_us if wanted else None


def _write(value: bytes | None) -> None:
    line, width = readable_line(value or b""), columns()
    sys.stdout.write((line if width is None else fill(line, width, subsequent_indent="    ")) + "\n")
    sys.stdout.flush()


def _by_time(one: tuple[int, bytes | None]) -> int:
    return one[0]


def _alert(value: bytes) -> _Alert | None:
    """A message whose topic says that it is one; scores may stand in the same file."""
    try:
        alert = msgspec.json.decode(value, type=_Alert)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return alert if alert.topic == ALERTS else None


def _since(text: str) -> int:
    try:
        return time.time_ns() // 1000 - round(parse_duration(text) * 1e6)
    except ValueError:
        pass
    try:
        return parse_time(text)
    except ValueError as cause:
        expected = "expected 2026-05-01T06:00:00Z, or 8h for the last eight hours"
        raise ValueError(f"{cause}; {expected}") from None
