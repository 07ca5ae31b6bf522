"""Options of `sheetbreak monitor`: what a user can say, checked."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from monitor.machines import MAX_NEW, SILENT_DAYS
from sheetbreak.cli.logs import add_log_format
from sheetbreak.cli.options import OptionParser, whole_number
from sheetbreak.engine.state import Missing
from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.options import KafkaOptions
from sheetbreak.streams.open import check_actions, check_more, check_state_dir, check_there, in_words, scheme_of
from sheetbreak.wire.topics import ALERTS, DEAD_LETTERS, SCORES

TOPICS = (ALERTS, SCORES, DEAD_LETTERS)
MAX_LATENCY_MS = 10_000
"""The broker holds a fetch for so long, and kafka-python gives one up after 30 s."""


@dataclass(frozen=True, slots=True)
class Options:
    """One run of the monitor."""

    source: str
    more: tuple[str, ...]
    """Further files or folders, read with the source in the order of time."""
    models: Path
    emit: frozenset[str]
    metrics_port: int
    """0: no server."""
    metrics_host: str
    state: Path | None
    history: Path | None
    missing: Missing
    all_sensor_series: bool
    max_machines: int
    """Never scored, that are remembered."""
    silent_days: int
    """After so many a machine leaves memory and metrics."""
    log_format: str
    actions: Path | None
    """A file of operators' actions, for files and pipes."""
    kafka: KafkaOptions | None
    """None where monitors do not share the source: a file or pipe."""

    @property
    def named(self) -> str:
        """What is read, for a log line."""
        return f"{self.source} and {len(self.more)} more" if self.more else self.source


def read_options(argv: Sequence[str]) -> Options:
    """Options from arguments and environment. Raises DataError."""
    parser = OptionParser(
        "sheetbreak monitor",
        "Score a stream of rows and warn before the sheet breaks.",
        example="sheetbreak replay mill.csv --speed 3600x | sheetbreak monitor -",
    )
    parser.add_argument(
        "source",
        nargs="+",
        help=f"{in_words()} (standard input, NDJSON); or several files, or a folder of histories, in the order of time",
    )
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="DIR", help="where the models are")
    parser.add_argument(
        "--emit",
        metavar="TOPICS",
        help=f"what goes out, of {','.join(TOPICS)} (default: alerts; on Kafka all three)",
    )
    parser.add_argument(
        "--metrics-port",
        type=whole_number(maximum=65535),
        default=9464,
        help="Prometheus metrics; 0: no server",
    )
    parser.add_argument("--metrics-host", default="127.0.0.1", help="address that the metrics are served on")
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="keep the machines' state here, to go on after a restart (files, pipes)",
    )
    parser.add_argument(
        "--actions",
        type=Path,
        metavar="FILE",
        help="operators' actions as sheetbreak act writes them; one is done when its machine's rows reach its time "
        "(files, pipes)",
    )
    parser.add_argument(
        "--history", type=Path, metavar="CSV", help="warm machines up with these rows before the stream"
    )
    parser.add_argument(
        "--missing",
        choices=get_args(Missing),
        default="hold",
        help="what stands in for a missing value: the last one, or what the model makes of the other sensors",
    )
    parser.add_argument(
        "--all-sensor-series",
        action="store_true",
        help="a series per machine and sensor above 50 machines, too",
    )
    parser.add_argument(
        "--max-machines",
        type=whole_number(minimum=1),
        default=MAX_NEW,
        metavar="N",
        help="machines never scored that are remembered; beyond, the longest silent is forgotten",
    )
    parser.add_argument(
        "--silent-days",
        type=whole_number(minimum=1),
        default=SILENT_DAYS,
        metavar="N",
        help="a machine silent for so long leaves memory and metrics until its next row",
    )
    add_log_format(parser)
    kafka = parser.add_argument_group("Kafka")
    kafka.add_argument("--group", default="sheetbreak-monitor", help="consumer group")
    kafka.add_argument(
        "--instance-id",
        metavar="NAME",
        help="names this monitor to Kafka; two on one host need two (default: host name)",
    )
    kafka.add_argument("--topic-prefix", default="", metavar="P", help="stands before all topics' names")
    kafka.add_argument(
        "--latency-ms",
        type=whole_number(maximum=MAX_LATENCY_MS),
        default=50,
        metavar="MS",
        help="the longest a row waits for others before it is scored and committed with them; 0: each goes at once",
    )
    kafka.add_argument(
        "--transaction-timeout",
        type=whole_number(minimum=1, maximum=900),
        default=15,
        metavar="S",
        help="seconds a transaction may be open; at most the broker's transaction.max.timeout.ms",
    )
    kafka.add_argument(
        "--session-timeout",
        type=whole_number(minimum=1, maximum=1800),
        default=10,
        metavar="S",
        help="seconds after which a silent monitor loses its partitions; the broker bounds them "
        "(group.min.session.timeout.ms)",
    )
    given = parser.parse_args(argv)
    source, *more = given.source
    check_state_dir(source, given.state)
    check_actions(source, given.actions)
    check_more(source, more)
    scheme = scheme_of(source)
    check_there(source, more)
    if given.history is not None and not given.history.exists():
        raise DataError(f"--history {given.history}: No such file or directory; name a CSV of earlier rows")
    return Options(
        source=source,
        more=tuple(more),
        models=given.models,
        emit=scheme.emit if given.emit is None else _topics(given.emit),
        metrics_port=given.metrics_port,
        metrics_host=given.metrics_host,
        state=given.state,
        history=given.history,
        missing=given.missing,
        all_sensor_series=given.all_sensor_series,
        max_machines=given.max_machines,
        silent_days=given.silent_days,
        log_format=given.log_format,
        actions=given.actions,
        kafka=_kafka_options(given) if scheme.has_group else None,
    )


def _topics(text: str) -> frozenset[str]:
    topics = frozenset(word.strip() for word in text.split(",") if word.strip())
    unknown = sorted(topics - set(TOPICS))
    if unknown:
        raise DataError(f"--emit {text}: {unknown[0]!r} is none of {', '.join(TOPICS)}")
    return topics


def _kafka_options(given: argparse.Namespace) -> KafkaOptions:
    named = {"instance_id": given.instance_id} if given.instance_id else {}
    return KafkaOptions(
        group=given.group,
        topic_prefix=given.topic_prefix,
        latency_s=given.latency_ms / 1000,
        transaction_timeout_s=float(given.transaction_timeout),
        session_timeout_s=float(given.session_timeout),
        **named,
    )
