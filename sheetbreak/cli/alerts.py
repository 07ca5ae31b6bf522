"""Command `sheetbreak alerts`: one readable line for every alert of a topic, file or pipe."""

import logging
import sys
from collections.abc import Sequence

import msgspec

from sheetbreak.cli.logs import add_log_format, log_to_stderr
from sheetbreak.cli.options import OptionParser
from sheetbreak.streams.open import scheme_of
from sheetbreak.wire.readable import readable_line
from sheetbreak.wire.topics import ALERTS

log = logging.getLogger(__name__)


class _Topic(msgspec.Struct):
    topic: str


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code. Raises DataError when the source cannot be read."""
    parser = OptionParser(
        "sheetbreak alerts",
        "Watch an alert topic, one readable line an alert.",
        example="sheetbreak alerts kafka://localhost:9092/alerts",
    )
    parser.add_argument("source", help="kafka://host:9092/alerts, alerts.ndjson or - (standard input)")
    add_log_format(parser)
    options = parser.parse_args(argv)
    log_to_stderr(options.log_format)
    source = options.source
    foreign = 0
    for value in scheme_of(source).follow(source):
        if is_alert(value):
            sys.stdout.write(readable_line(value) + "\n")
            sys.stdout.flush()
        else:
            foreign += 1
    if foreign:
        log.warning("event=no-alerts lines=%d source=%s note=%r", foreign, source, "they are not shown")
    return 0


def is_alert(value: bytes) -> bool:
    """True for a message whose topic says so; scores may stand in the same file."""
    try:
        return msgspec.json.decode(value, type=_Topic).topic == ALERTS
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
