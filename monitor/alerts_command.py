"""Command `sheetbreak alerts`: one readable line for every alert of a topic, file or pipe."""

import sys
from collections.abc import Sequence

import msgspec

from sheetbreak.cli.options import OptionParser
from sheetbreak.streams.open import scheme_of
from sheetbreak.wire.readable import readable_line
from sheetbreak.wire.topics import ALERTS


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
    source = parser.parse_args(argv).source
    foreign = 0
    for value in scheme_of(source).follow(source):
        if is_alert(value):
            sys.stdout.write(readable_line(value) + "\n")
            sys.stdout.flush()
        else:
            foreign += 1
    if foreign:
        print(f"{foreign} lines of {source} are no alerts", file=sys.stderr)
    return 0


def is_alert(value: bytes) -> bool:
    """True for a message whose topic says so; scores may stand in the same file."""
    try:
        return msgspec.json.decode(value, type=_Topic).topic == ALERTS
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
