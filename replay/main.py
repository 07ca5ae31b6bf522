"""Command `sheetbreak replay`: a history as a live stream, paced by the rows' own times."""

import os
import signal
import stat
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from replay.encoding import csv_encoder, csv_header, wire_encoder
from replay.faults import GRAMMAR, parse_fault
from replay.history import read_history
from replay.pacing import parse_speed
from replay.progress import Progress
from replay.schedule import blocks, copy_names, damaged, sendings
from replay.signals import Stop, Stopped, stopped_by_signals
from replay.start_time import onward_us
from replay.targets import open_target
from sheetbreak.cli.logs import add_log_format, log_to_stderr
from sheetbreak.cli.options import OptionParser, whole_number
from sheetbreak.errors import DataError
from sheetbreak.history.doubts import log_doubt, warn_of
from sheetbreak.history.times.formats import TimeWriter
from sheetbreak.streams.open import is_csv


def main(argv: Sequence[str]) -> int:
    """Play the CSV. SIGTERM ends it like its last row; SIGINT raises KeyboardInterrupt after a whole record.

    Raises DataError for what the user must change, BrokenPipeError when the reader has gone.
    """
    options = _parser().parse_args(argv)
    log_to_stderr(options.log_format)
    if options.machine is not None and options.machines is not None:
        raise DataError("--machine names one machine of the file, --machines copies one; give one of the two")
    with stopped_by_signals() as stop:
        try:
            _play(options, stop)
        except Stopped:
            if stop.signal == signal.SIGINT:
                raise KeyboardInterrupt from None
    return 0


def _parser() -> OptionParser:
    parser = OptionParser(
        "sheetbreak replay",
        "Play a historical CSV as a live stream, paced by its rows' own times.\n\n--fault SPEC is one of\n\n" + GRAMMAR,
        example="sheetbreak replay mill.csv --speed 3600x | sheetbreak monitor -\n"
        "sheetbreak replay mill.csv --to kafka://localhost:9092/sensor-rows --times now --loop\n"
        "sheetbreak replay mill.csv --fault stuck:x17@100-200 --fault garbage@250",
    )
    row = whole_number()
    add = parser.add_argument
    add(
        "csv",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="CSV, Parquet or .xlsx files, or folders of them",
    )
    add("--schema", type=Path, metavar="TOML", help="what its columns mean; not needed for the published file")
    add("--to", default="-", metavar="TARGET", help="- (NDJSON), rows.ndjson, rows.csv or kafka://host:9092/topic")
    add("--speed", type=parse_speed, default="1x", help="1x, 3600x (an hour a second) or max")
    add("--from", dest="first", type=row, default=0, metavar="ROW", help="first row to play; the file's first is 0")
    add("--until", type=row, metavar="ROW", help="the row to stop before")
    add("--machine", metavar="NAME", help="play this machine of a file of several")
    add("--machines", type=whole_number(1, 10_000), metavar="N", help="play N copies of the one machine, pm1…pmN")
    times_help = "original; shifted: the first row is now; onward: as now, but after the topic's last row"
    add("--times", choices=["original", "now", "onward"], default="original", help=times_help)
    add("--no-labels", action="store_true", help="leave out whether the sheet is broken")
    add("--loop", action="store_true", help="begin again at the end, each time where the last one ended")
    add("--fault", type=parse_fault, action="append", default=[], metavar="SPEC", help="inject a fault; repeatable")
    add_log_format(parser)
    return parser


def _play(options: Namespace, stop: Stop) -> None:
    history = read_history(
        options.csv,
        options.schema,
        first=options.first,
        until=options.until,
        machine=options.machine,
        tell=log_doubt if options.log_format == "json" else warn_of,
    )
    copies = copy_names(history, options.machines)
    history = damaged(history, options.fault)
    one_pass = sendings(history, options.fault)
    labels = not options.no_labels
    header, encode = None, wire_encoder(history.rows, history.schema, labels=labels)
    if is_csv(options.to):
        several = len(copies or set(history.rows.machines)) > 1
        header = csv_header(history.schema, labels=labels, several=several)
        encode = csv_encoder(history.rows, history.schema, labels=labels, several=several)
    begins_us = None if options.times == "original" else _whole_second_us()
    if begins_us is not None and options.times == "onward":
        begins_us = onward_us(begins_us, options.to, history.schema)
    if begins_us is not None and header is not None:  # a CSV tells times as finely as its format does
        step_us = TimeWriter(history.schema.time_format, history.schema.timezone).step_us
        begins_us -= begins_us % step_us
    total = None if options.loop else len(one_pass.rows) * max(1, len(copies))
    progress = Progress(_terminal(options.to), total=total, clock=time.monotonic)
    with open_target(options.to, stop=stop, header=header, source=options.csv) as target:
        to_send = blocks(
            history,
            one_pass,
            encode,
            copies=copies,
            speed=options.speed,
            begins_us=begins_us,
            loop=options.loop,
            clock=time.monotonic,
            sleep=target.wait,
        )
        try:
            for block in to_send:
                target.send([(message.machine.encode(), message.value) for message in block.messages])
                progress.sent(len(block.messages), time_us=block.time_us)
        finally:
            progress.close()


def _whole_second_us() -> int:
    """Now; plants do not stamp rows with microseconds."""
    return int(time.time()) * 1_000_000


def _terminal(to: str) -> TextIO | None:
    """Where to show progress: not beside a monitor that reads our pipe and shows alerts on the same terminal."""
    rows_elsewhere = to != "-" or stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    return sys.stderr if rows_elsewhere and sys.stderr.isatty() else None
