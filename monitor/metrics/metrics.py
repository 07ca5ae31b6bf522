"""Metrics of the monitor, by the names of the contract, on a registry that is passed in.

What belongs to a machine is kept as plain numbers and turned into series when Prometheus asks: a batch of 500
rows costs no 500 look-ups of labels, and a machine that goes to another monitor takes all its series with it.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import get_args

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from monitor.metrics.decisions import DecisionSeries
from monitor.metrics.latency import Latency
from monitor.metrics.operators import Operators
from monitor.metrics.sensors import Sensors
from monitor.metrics.series import Standing, counts, gauge
from sheetbreak.engine.alerts import Severity, Told, Warned, ratio_of
from sheetbreak.engine.model import Manifest
from sheetbreak.engine.odds import precision, told_with
from sheetbreak.engine.state import DEAD_LETTER, RESTARTING, SCORED, STOPPED, WARMING_UP, Results, State
from sheetbreak.errors import RowError
from sheetbreak.rows import RowBatch
from sheetbreak.streams.protocol import Batch

NAMED_UNSCORED = 1000
"""Beyond so many machines one gets series only once it was scored: a sender cannot flood Prometheus with names."""
_BATCH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_OUTCOMES = (SCORED, RESTARTING, WARMING_UP, STOPPED, DEAD_LETTER)

ENDS_A_RUN = ("gap", "short-gap")
"""Gaps that do; where rows were lost the run goes on."""
STOPS = ("break", "clock", "gap", "short-gap", "lost-rows")


@dataclass(slots=True)
class _Machine:
    """One machine's numbers since this monitor took it over."""

    standing: Standing
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_OUTCOMES, 0))
    alerts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(get_args(Severity), 0))
    breaks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(get_args(Warned), 0))
    """All three start with their zeros: a rate over a series that first appears at 1 misses that 1."""
    stops: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STOPS, 0))
    cold_starts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("new", "clock"), 0))
    alert_open: bool | None = None
    """None until its state is known."""
    odds: Told | None = None
    precision: float | None = None
    last_row_us: int | None = None
    score: float | None = None
    threshold: float | None = None


class Metrics:
    """The monitor's metrics; the loop's thread writes, the web server's reads."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        sensors: Sequence[str],
        all_sensor_series: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """clock: monotonic seconds."""
        self._clock = clock
        self._period_s = 120.0
        self._blind: list[str] = []
        self.sensors = Sensors(sensors, all_series=all_sensor_series)
        self._machines: dict[str, _Machine] = {}
        self.operators = Operators()
        registry.register(self)
        self.commits = Counter("sheetbreak_commits_total", "Commits of a batch.", ["result"], registry=registry)
        self.reloads = Counter(
            "sheetbreak_model_reloads_total", "Models loaded while running.", ["result"], registry=registry
        )
        self.batch_seconds = Histogram(
            "sheetbreak_batch_duration_seconds",
            "From a batch in hand to its commit.",
            buckets=_BATCH_SECONDS,
            registry=registry,
        )
        self.decisions = DecisionSeries(registry)
        self._latency = Latency()
        self._lag = Gauge("sheetbreak_consumer_lag_rows", "Rows not yet read.", ["partition"], registry=registry)
        self._rows_lost = Counter(
            "sheetbreak_rows_lost_total", "Rows gone before they were read.", ["partition"], registry=registry
        )
        self._model = Gauge(
            "sheetbreak_model_info",
            "The model that scores; always 1.",
            ["version", "family"],
            registry=registry,
        )
        self._trained = Gauge(
            "sheetbreak_model_trained_timestamp_seconds", "When the model was trained.", registry=registry
        )
        self._missing = Counter(
            "sheetbreak_missing_cells_total",
            "Cells with a word or a sentinel instead of a reading, by the first words seen.",
            ["sensor", "word"],
            registry=registry,
        )
        build = Gauge("sheetbreak_build_info", "The program that runs; always 1.", ["version"], registry=registry)
        build.labels(_version()).set(1)
        for result in ("ok", "unavailable", "lost", "fenced"):
            self.commits.labels(result)
        for result in ("ok", "refused"):
            self.reloads.labels(result)

    def count(self, rows: RowBatch, results: Results) -> None:
        """Take in what became of rows."""
        scored: dict[str, int] = {}
        now_s, times_us = self._clock(), rows.times_us.tolist()
        rejected = {place for place, _ in results.rejects}
        gaps = {place for place, why in results.stops if why in ENDS_A_RUN}
        has_score = (~np.isnan(results.score)).tolist()
        for place, (name, outcome) in enumerate(zip(rows.machines, results.outcome, strict=True)):
            if place in rejected:
                continue
            machine = self._machine(name, earned=has_score[place])
            machine.rows[outcome] = machine.rows.get(outcome, 0) + 1
            if machine is self._machines.get(""):
                continue
            machine.last_row_us = times_us[place]
            machine.standing.arrived_s = now_s
            if machine.standing.take(outcome, after_gap=place in gaps):
                self._blind.append(name)
            if has_score[place]:
                scored[name] = place
        self.count_rejects(error for _, error in results.rejects)
        for name, place in scored.items():
            machine = self._machines[name]
            machine.score, machine.threshold = float(results.score[place]), float(results.threshold[place])
            self.sensors.show(name, results, place, now_s=now_s)
        for _, event in results.alerts:
            if event.kind == "opened":
                self._machines[event.machine].alerts[event.severity] += 1
        for place, why in results.stops:
            stops = self._machine(rows.machines[place], earned=False).stops
            stops[why] = stops.get(why, 0) + 1
        for place, why in results.cold_starts:
            colds = self._machine(rows.machines[place], earned=False).cold_starts
            colds[why] = colds.get(why, 0) + 1
        for place, warned in results.breaks:
            breaks = self._machine(rows.machines[place], earned=False).breaks
            breaks[warned] = breaks.get(warned, 0) + 1

    def count_rejects(self, errors: Iterable[RowError]) -> None:
        """Take in records that became dead letters."""
        for error in errors:
            self._machine(error.machine, earned=False).rows[DEAD_LETTER] += 1

    def count_missing(self, words: Mapping[tuple[str, str], int]) -> None:
        """Take in cells that hold no reading, by sensor and word; the decoder bounds how many words there are."""
        for (sensor, word), cells in words.items():
            self._missing.labels(sensor, word).inc(cells)

    def count_lost(self, batch: Batch) -> None:
        """Take in rows that the stream lost; a partition that is ours has its series from the start, at 0."""
        for partition in batch.assigned:
            self._rows_lost.labels(str(partition))
        for partition, rows in batch.lost.items():
            self._rows_lost.labels(str(partition)).inc(rows)

    def show_states(self, states: Mapping[str, State]) -> None:
        """What a machine's state itself says: of those just restored, or just advanced."""
        for name, state in states.items():
            machine = self._machine(name, earned=state.trailing.count > 0)
            if machine is self._machines.get(""):
                continue
            machine.alert_open = state.alert.open is not None
            machine.odds, machine.precision = told_with(state.odds, state.raised), precision(state.raised)
            self.operators.show(name, state)
            if machine.last_row_us is None:
                machine.last_row_us = state.clock.last_us
                machine.standing.outcome = SCORED if state.trailing.count else WARMING_UP

    def forget(self, machines: Iterable[str]) -> None:
        """Their partition is another monitor's now: a series that stays would alert for ever."""
        for name in machines:
            self._machines.pop(name, None)
            self.operators.forget(name)
            self.sensors.forget(name)

    def show_lag(self, lag: Mapping[int, int]) -> None:
        """Rows not yet read, by partition; partitions not named lose their series."""
        self._lag.clear()
        for partition, rows in lag.items():
            self._lag.labels(str(partition)).set(rows)

    def show_model(self, manifest: Manifest) -> None:
        """The model that scores from now on."""
        self._model.clear()
        self._model.labels(manifest.version, manifest.family).set(1)
        self._trained.set(datetime.fromisoformat(manifest.created).timestamp())
        self._period_s = manifest.schema.period_s

    def take_newly_blind(self) -> list[str]:
        """The machines that became blind since the last call."""
        found, self._blind = self._blind, []
        return found

    def observe_latency(self, timestamps_ms: Sequence[int | None], *, now_s: float) -> None:
        """From each record's timestamp to now, seconds since 1970; records without one are left out."""
        self._latency.observe(timestamps_ms, now_s=now_s)

    def collect(self) -> Iterator[Metric]:
        """All series that belong to machines, and the latency (prometheus_client calls this)."""
        machines = dict(self._machines)  # one step, while the loop's thread may add to it
        yield counts("sheetbreak_rows_total", "Rows by what became of them.", "outcome", machines, lambda m: m.rows)
        yield counts("sheetbreak_alerts_total", "Alerts opened.", "severity", machines, lambda m: m.alerts)
        yield counts(
            "sheetbreak_breaks_total",
            "Breaks, and whether an alert came before.",
            "warned",
            machines,
            lambda m: m.breaks,
        )
        text = "Ends of a run, and gaps that training did not know (short-gap; lost-rows: the run goes on)."
        yield counts("sheetbreak_stops_total", text, "why", machines, lambda m: m.stops)
        text = "Times that a machine began cold: it is new, or its clock was set back."
        yield counts("sheetbreak_cold_starts_total", text, "why", machines, lambda m: m.cold_starts)
        yield gauge("sheetbreak_score_ratio", "Last score over its threshold.", machines, _ratio)
        yield gauge("sheetbreak_reconstruction_error", "Last score.", machines, lambda m: m.score)
        yield gauge("sheetbreak_threshold", "Threshold of the last score.", machines, lambda m: m.threshold)
        yield gauge("sheetbreak_alert_open", "1 while an alert is open.", machines, lambda m: m.alert_open)
        yield gauge(
            "sheetbreak_warnings_true_ratio",
            "Share of the last 20 warnings that were right: by an operator's verdict, else by a break within the hour.",
            machines,
            lambda m: m.odds and m.odds.hits / m.odds.of,
        )
        yield gauge(
            "sheetbreak_verdict_precision_ratio",
            "Of the last 20 warnings, those called true among those that operators called true or false.",
            machines,
            lambda m: m.precision,
        )
        yield gauge(
            "sheetbreak_break_base_ratio",
            "Share of all scored rows that a break followed within the hour.",
            machines,
            lambda m: m.odds and m.odds.base,
        )
        yield gauge(
            "sheetbreak_last_row_timestamp_seconds",
            "The last row's own time.",
            machines,
            lambda m: None if m.last_row_us is None else m.last_row_us / 1e6,
        )
        yield gauge(
            "sheetbreak_machine_blind",
            "1 while rows come and none can open an alert: a stop before every few of them.",
            machines,
            lambda m: None if m.alert_open is None else m.standing.blind,
        )
        yield from self.operators.collect()
        yield self._states(machines)
        yield from self.sensors.collect(len(machines.keys() - {""}))
        yield self._latency.collect()

    def _states(self, machines: Mapping[str, _Machine]) -> Metric:
        family = GaugeMetricFamily(
            "sheetbreak_machine_state",
            "What a machine does now: one series a machine, at 1.",
            labels=["machine", "state"],
        )
        now_s = self._clock()
        for name, machine in machines.items():
            if name:
                alert_open = bool(machine.alert_open)
                state = machine.standing.state(now_s, period_s=self._period_s, alert_open=alert_open)
                family.add_metric([name, state], 1)
        return family

    def _machine(self, name: str, *, earned: bool) -> _Machine:
        """Its numbers; those of "" where it has none of its own, being one of very many that were never scored."""
        machine = self._machines.get(name)
        if machine is None and name and (earned or len(self._machines) < NAMED_UNSCORED):
            machine = self._machines[name] = _Machine(Standing(self._clock()))
        elif machine is None:
            unnamed = _Machine(Standing(self._clock()), {DEAD_LETTER: 0}, {}, {}, {}, {})
            machine = self._machines.setdefault("", unnamed)
        return machine


def _version() -> str:
    try:
        return version("sheetbreak")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"


def _ratio(machine: _Machine) -> float | None:
    if machine.score is None or machine.threshold is None:
        return None
    return ratio_of(machine.score, machine.threshold)
