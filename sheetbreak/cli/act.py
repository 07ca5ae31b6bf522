"""Command `sheetbreak act`: an operator's action into the topic `operator-actions`, or a line of a file."""

import argparse
import getpass
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from sheetbreak.artifact import read_manifest
from sheetbreak.artifact.promotion import current_or_none
from sheetbreak.cli.options import OptionParser
from sheetbreak.errors import DataError, StreamUnavailable
from sheetbreak.streams.open import open_actions
from sheetbreak.times import format_time, parse_duration, parse_time
from sheetbreak.wire.actions import KINDS, VERDICTS, encode_action, make_action
from sheetbreak.wire.readable import printable
from sheetbreak.wire.summary import Summary

_PATIENCE_S = 30.0
_DAY_US = 86_400 * 1_000_000


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code. Raises DataError and StreamUnavailable."""
    options = _parse(argv)
    now_us = options.time if options.time is not None else time.time_ns() // 1_000_000_000 * 1_000_000
    prefix = options.topic_prefix or ""
    if options.sensor:
        _check_sensor(options.sensor, options.models)
    if "://" in options.target:
        known = _last_known(options.target, options.machine, prefix=prefix)
        if options.time is None:
            now_us = _on_the_rows_clock(options.machine, known, now_us=now_us)
        if options.action == "acknowledge" and known:
            _tell_what_is_open(options.machine, options.alert, {one.alert_id for one in known})
    action = make_action(
        options.machine,
        options.action,
        time_us=now_us,
        by=options.by or _user(),
        alert_id=options.alert,
        sensor=options.sensor,
        until_us=None if options.for_s is None else now_us + round(options.for_s * 1e6),
        verdict=options.verdict,
        cause=options.cause,
        comment=options.comment,
    )
    deadline = time.monotonic() + _PATIENCE_S

    def between() -> None:
        if time.monotonic() > deadline:
            raise StreamUnavailable(
                f"{options.target}: not acknowledged within {_PATIENCE_S:.0f} s: it may have been written or not; "
                "is a broker there? Act again: to say the same twice does no harm"
            )

    sink = open_actions(options.target, prefix=prefix, between=between)
    try:
        sink.send(action)
    finally:
        sink.close()
    print(encode_action(action).decode())
    return 0


def rows_clock(now_us: int, last_us: int | None) -> int:
    """When an action of now is on the clock of a machine's rows, whose last one was at last_us (None: no row yet).

    Rows of now are at most a day behind: a machine that stands still is on our clock, too. A history that is
    replayed is on its own.
    """
    return now_us if last_us is None or now_us - _DAY_US <= last_us <= now_us else last_us


def _check_sensor(sensor: str, models: Path) -> None:
    """Raises DataError for a sensor that the current model does not know, where that model is at hand."""
    version = current_or_none(models)
    if version is None:
        return
    sensors = read_manifest(models / version).schema.sensors
    if sensor not in sensors:
        some = ", ".join(sensors[:10]) + (", …" if len(sensors) > 10 else "")
        raise DataError(
            f"--sensor {sensor}: the current model in {models} knows no such sensor; it has {some}; name one of them, "
            "or with --models DIR where the monitor's models are"
        )


def _last_known(target: str, machine: str, *, prefix: str) -> list[Summary]:
    """What the machine's state on Kafka says, of each partition it was in; says so where there is none."""
    from sheetbreak.streams.kafka.admin.machines import list_machines  # Kafka is an extra
    from sheetbreak.streams.kafka.options import Address, parse_address

    servers = parse_address(target, needs_topic=False).servers
    try:
        known = list_machines(Address(servers, ""), prefix=prefix)
    except DataError:  # no state topic: no monitor yet
        known = []
    mine = [one.summary for one in known if one.machine == machine and one.summary is not None]
    if not mine:
        some = ", ".join(printable(name) for name in sorted({one.machine for one in known})[:10]) or "none at all"
        print(f"note: no row of {printable(machine)!r} was scored yet; machines with state: {some}", file=sys.stderr)
    return mine


def _on_the_rows_clock(machine: str, known: Sequence[Summary], *, now_us: int) -> int:
    """`rows_clock` of a machine; says so where that is not now."""
    last_us = max((one.last_us for one in known if one.last_us is not None), default=None)
    at_us = rows_clock(now_us, last_us)
    if at_us != now_us:
        text = f"note: the rows of {printable(machine)} are at {format_time(at_us)}; the action counts from then"
        print(text, file=sys.stderr)
    return at_us


def _tell_what_is_open(machine: str, alert_id: str | None, open_ids: Collection[str | None]) -> None:
    """Says so where an acknowledgement meets no alert; it is sent all the same: one may just have opened."""
    if alert_id in open_ids and alert_id is not None:
        return
    there = sorted(one for one in open_ids if one is not None)
    if alert_id is not None and there:
        print(f"note: alert {printable(alert_id)} is not open; open is {', '.join(there)}", file=sys.stderr)
    elif not there:
        print(f"note: no alert of {printable(machine)} is open: there is nothing to acknowledge", file=sys.stderr)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = OptionParser(
        "sheetbreak act",
        "Answer an alarm, take a sensor out of service, say what caused a break. The monitors read it, and it is kept "
        "for a year.",
        example="sheetbreak act kafka://localhost:9092 acknowledge --machine pm1 --alert 3f9c…\n"
        "sheetbreak act kafka://localhost:9092 mask --machine pm1 --sensor x35 --for 8h --by Aino\n"
        "sheetbreak act kafka://localhost:9092 verdict --machine pm1 --alert 3f9c… --verdict false\n"
        "sheetbreak act actions.ndjson cause --machine pm1 --cause 'hole in the felt'",
    )
    parser.add_argument("target", help="kafka://host:9092, or a file that a line is added to (monitor --actions)")
    parser.add_argument("action", choices=KINDS)
    parser.add_argument("--machine", required=True, metavar="M")
    parser.add_argument("--alert", metavar="ID", help="acknowledge: default the one that is open; verdict: which")
    parser.add_argument("--sensor", metavar="S", help="mask, unmask: it counts as normal until then")
    parser.add_argument(
        "--for",
        dest="for_s",
        type=parse_duration,
        metavar="8h",
        help="shelve (default 8h), mask (default until unmask): 90s, 30min, 8h or 2d on the rows' own clock",
    )
    parser.add_argument("--verdict", choices=VERDICTS, help="whether the alarm was right")
    parser.add_argument("--cause", metavar="T", help="of a break")
    parser.add_argument("--by", metavar="NAME", help="who says so (default: the user's name)")
    parser.add_argument("--comment", metavar="T")
    parser.add_argument("--time", type=_time, metavar="T", help="on the rows' clock, ISO 8601 (default: now)")
    models_help = "where the monitor's models are, if that is here: a sensor that they do not know is said at once"
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="DIR", help=models_help)
    parser.add_argument("--topic-prefix", help="the name put before all topics")
    return parser.parse_args(argv)


def _time(text: str) -> int:
    try:
        return parse_time(text)
    except ValueError as cause:
        raise ValueError(f"{cause}; expected 2026-05-01T06:00:00Z") from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in a container
        raise DataError("who says so? The system knows no name of this user: give --by NAME") from None
