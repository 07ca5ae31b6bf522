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
_LABELS = ("machine", "sensor")


@dataclass(frozen=True, slots=True)
class _Last:
    """What the last scored row of a machine says of its sensors."""

    contributions: npt.NDArray[np.float64]
    """(sensors,) parts in the score."""
    leading: Sequence[TopSensor]
    """Those that lead while a row is over the threshold or an alert is open; empty while all is quiet."""


class Sensors:
    """The loop's thread writes, the web server's reads."""

    def __init__(self, names: Sequence[str], *, all_series: bool = False) -> None:
        self._names, self._all_series = names, all_series
        self._machines: dict[str, _Last] = {}

    def show(self, name: str, results: Results, place: int) -> None:
        """Take in a machine's last scored row."""
        parts = results.contributions[place].copy()  # the batch's array is freed
        self._machines[name] = _Last(parts, results.top.get(place, ()))

    def forget(self, name: str) -> None:
        """Its partition is another monitor's now."""
        self._machines.pop(name, None)

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

    def _shares(self, last: _Last) -> Iterator[tuple[str, float]]:
        parts = last.contributions / (last.contributions.sum() or 1.0)
        yield from zip(self._names, parts.tolist(), strict=True)
