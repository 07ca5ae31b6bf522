"""Command `sheetbreak labels`: what operators said, as a table for `train --labels`."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from sheetbreak.cli.options import OptionParser
from sheetbreak.errors import DataError, RowError
from sheetbreak.streams.open import scheme_of
from sheetbreak.wire.actions import Action, decode_action
from sheetbreak.wire.labels import labels_of, precision_text, spans_of, write_labels
from sheetbreak.wire.topics import ACTIONS, ALERTS


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code. Raises DataError and StreamUnavailable."""
    parser = OptionParser(
        "sheetbreak labels",
        "Write what operators said as a table, in time order: verdicts on alarms, causes of breaks, sensors out of\n"
        "service. sheetbreak train --labels reads it.",
        example="sheetbreak labels kafka://localhost:9092 --out labels.csv\n"
        "sheetbreak labels actions.ndjson --alerts alerts.ndjson --out labels.csv",
    )
    parser.add_argument("source", help="kafka://host:9092, or a file of actions as sheetbreak act writes it")
    parser.add_argument("--out", type=Path, metavar="FILE.csv", help="default: standard output")
    parser.add_argument(
        "--alerts",
        metavar="SOURCE",
        help="the alerts that were judged: from when to when (default: on Kafka the topic alerts, else the same file)",
    )
    parser.add_argument("--topic-prefix", help="the name put before all topics")
    options = parser.parse_args(argv)
    said, alerts = _sources(options.source, options.alerts, options.topic_prefix or "")
    values = list(scheme_of(said).values(said))
    actions, foreign = _actions(values)
    spans = spans_of(values if alerts == said else scheme_of(alerts).values(alerts))
    labels = labels_of(actions, spans)
    text = write_labels(labels)
    if options.out is None:
        sys.stdout.write(text)
    else:
        try:
            options.out.write_text(text, encoding="utf-8")
        except OSError as cause:
            raise DataError(f"--out {options.out}: {cause.strerror}; name a file that can be written") from cause
    counts = {kind: sum(label.kind == kind for label in labels) for kind in ("verdict", "cause", "mask")}
    print(", ".join(f"{count} {kind}s" for kind, count in counts.items()), file=sys.stderr)
    if precision := precision_text(labels):
        print(precision, file=sys.stderr)
    lost = sum(label.kind == "verdict" and label.alert_id not in spans for label in labels)
    if lost:
        print(f"{lost} of the verdicts are on alarms that {alerts} does not hold: without an end", file=sys.stderr)
    if foreign:
        print(f"{foreign} messages of {said} are no actions", file=sys.stderr)
    return 0


def _sources(source: str, alerts: str | None, prefix: str) -> tuple[str, str]:
    """Where the actions are, and the alerts."""
    if not scheme_of(source).has_group:
        return source, alerts or source
    from sheetbreak.streams.kafka.options import Address, parse_address  # Kafka is an extra

    address = parse_address(source, needs_topic=False)
    own = str(Address(address.servers, address.topic or prefix + ACTIONS))
    return own, alerts or str(Address(address.servers, prefix + ALERTS))


def _actions(values: Iterable[bytes]) -> tuple[list[Action], int]:
    """The actions, and how many messages are none; alerts may stand in the same file."""
    found, foreign = list[Action](), 0
    for value in values:
        try:
            found.append(decode_action(value))
        except RowError:
            foreign += not spans_of([value])
    return found, foreign
