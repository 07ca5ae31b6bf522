"""Metrics of sensors: each one's share in a machine's last score, and readings of the leading five."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from prometheus_client.core import GaugeMetricFamily, Metric

from sheetbreak.engine.scores import TopSensor
from sheetbreak.engine.state import Results

MOST_MACHINES = 50
"""With more machines than this, sensors that do not lead have series only on request."""
TELL_EVERY_S = 86_400.0
_LABELS = ("machine", "sensor")


@dataclass(frozen=True, slots=True)
class _Last:
    """What the last scored row of a machine says of its sensors."""

    contributions: npt.NDArray[np.float64]
    """(sensors,) parts in the score."""
    leading: Sequence[TopSensor]
    """Those that lead while a row is over the threshold or an alert is open; empty while all is quiet."""
    drifted: Sequence[str]
    """Those that stand far from where training rows had them."""


class Sensors:
    """The loop's thread writes, the web server's reads."""

    def __init__(self, names: Sequence[str], *, all_series: bool = False) -> None:
        self._names, self._all_series = names, all_series
        self._machines: dict[str, _Last] = {}
        self._told: dict[str, float] = {}
        """When a machine's drifted sensors were last told of, monotonic seconds."""
        self._newly_drifted: list[tuple[str, Sequence[str]]] = []

    def show(self, name: str, results: Results, place: int, *, now_s: float) -> None:
        """Take in a machine's last scored row. now_s: monotonic."""
        parts = results.contributions[place].copy()  # the batch's array is freed
        self._machines[name] = last = _Last(parts, results.top.get(place, ()), results.drifted.get(place, ()))
        told_s = self._told.get(name)
        if last.drifted and (told_s is None or now_s - told_s >= TELL_EVERY_S):
            self._told[name] = now_s
            self._newly_drifted.append((name, last.drifted))

    def take_newly_drifted(self) -> list[tuple[str, Sequence[str]]]:
        """Machines with drifted sensors, and which, each once a day."""
        found, self._newly_drifted = self._newly_drifted, []
        return found

    def forget(self, name: str) -> None:
        """Its partition is another monitor's now."""
        self._machines.pop(name, None)
        self._told.pop(name, None)

    def collect(self, machines: int) -> Iterator[Metric]:
        """All series. machines: how many the monitor has."""
        known = dict(self._machines)  # one step, while the loop's thread may add to it
        shares = GaugeMetricFamily(
            "sheetbreak_sensor_error_share", "A sensor's part in the last score.", labels=_LABELS
        )
        all_sensors = self._all_series or machines <= MOST_MACHINES
        for name, last in known.items():
            for sensor, share in (
                self._shares(last) if all_sensors else ((top.sensor, top.share) for top in last.leading)
            ):
                shares.add_metric([name, sensor], share)
        yield shares
        text = (
            "of a leading sensor in the last row, plant units; while a row is over the threshold or an alert is open."
        )
        observed = GaugeMetricFamily("sheetbreak_sensor_observed", f"Reading {text}", labels=_LABELS)
        expected = GaugeMetricFamily("sheetbreak_sensor_expected", f"What the model expected {text}", labels=_LABELS)
        for name, last in known.items():
            for top in last.leading:
                observed.add_metric([name, top.sensor], top.observed)
                expected.add_metric([name, top.sensor], top.expected)
        yield observed
        yield expected
        text = "1 for a sensor that stands far from where training rows had it (drifted)."
        health = GaugeMetricFamily("sheetbreak_sensor_health", text, labels=(*_LABELS, "kind"))
        for name, last in known.items():
            for sensor_name in last.drifted:
                health.add_metric([name, sensor_name, "drifted"], 1)
        yield health

    def _shares(self, last: _Last) -> Iterator[tuple[str, float]]:
        parts = last.contributions / (last.contributions.sum() or 1.0)
        yield from zip(self._names, parts.tolist(), strict=True)
