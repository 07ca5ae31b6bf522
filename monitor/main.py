"""Command `sheetbreak monitor`: puts options, model, stream, metrics and loop together."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector

from monitor.config import Options, read_options
from monitor.health import Health
from monitor.loop import Loop
from monitor.metrics.metrics import Metrics
from monitor.reload import ModelWatch
from monitor.runtime import SignalFlags, SystemClock, keep_freed_memory, rarely_look_for_garbage
from monitor.web import Web
from sheetbreak.artifact import load
from sheetbreak.cli.logs import log_to_stderr
from sheetbreak.engine.advance import advance
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.state import Missing, State
from sheetbreak.history.reader import read_csv
from sheetbreak.streams.open import Opened, open_stream

DONE, INTERRUPTED = 0, 130
_HISTORY_ROWS = 500
"""Rows of a history advanced at a time."""

log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code. Raises SheetbreakError."""
    options = read_options(argv)
    log_to_stderr(options.log_format)
    signals = SignalFlags()
    signals.install()
    clock = SystemClock()
    model = load(options.models)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)  # memory, processor time, open files
    metrics = Metrics(registry, sensors=model.manifest.schema.sensors, all_sensor_series=options.all_sensor_series)
    watch = ModelWatch(options.models, model, metrics=metrics, clock=clock.monotonic)
    health = Health(clock.monotonic)
    web = _serve(options, registry, health)
    try:
        log.info("event=started source=%s model=%s", options.named, model.version)

        def open_source() -> Opened:
            signals.armed = False  # opening may block (a FIFO without a writer) with nothing in hand: stop at once
            opened = _open(options, model)
            signals.armed = True
            return opened

        loop = Loop(
            open_source,
            watch,
            metrics=metrics,
            health=health,
            clock=clock,
            signals=signals,
            history=warm_up(options.history, model, missing=options.missing) if options.history else {},
            missing=options.missing,
            max_machines=options.max_machines,
            silent_days=options.silent_days,
        )
        rarely_look_for_garbage()
        keep_freed_memory()
        loop.run()
    finally:
        if web is not None:
            web.close()
    log.info("event=ended source=%s rows=%d dead-letters=%d", options.named, loop.records, loop.dead_letters)
    return INTERRUPTED if signals.interrupted else DONE


def warm_up(history: Path, model: Artifact, *, missing: Missing = "hold") -> dict[str, State]:
    """The states of the machines after a history. Raises DataError when the CSV is unsound."""
    _, rows = read_csv(history, sensors_from=model.manifest.schema)
    states: dict[str, State] = {}
    for start in range(0, len(rows), _HISTORY_ROWS):
        states |= advance(states, rows.take(slice(start, start + _HISTORY_ROWS)), model, missing=missing)[0]
    log.info("event=warmed-up history=%s rows=%d machines=%d", history, len(rows), len(states))
    return states


def _serve(options: Options, registry: CollectorRegistry, health: Health) -> Web | None:
    if options.metrics_port == 0:
        return None
    return Web(options.metrics_host, options.metrics_port, registry=registry, health=health)


def _open(options: Options, model: Artifact) -> Opened:
    return open_stream(
        options.source,
        schema=model.manifest.schema,
        out=sys.stdout.buffer,
        emit=options.emit,
        state_dir=options.state,
        kafka=options.kafka,
        actions=options.actions,
        more=options.more,
    )
