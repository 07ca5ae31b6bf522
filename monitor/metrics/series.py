"""Series of machines: what each one does in words, whether it is blind, and its numbers as Prometheus families.

Blind: rows come, and not one of them could open an alert, because a stop is seen before every few of them: one row in
fifteen is lost, or rows come every 4 minutes for a model of 2. Each row is answered, nothing is wrong with any of
them, and nobody would be warned.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from sheetbreak.engine.state import SCORED, STOPPED

QUIET, WARNING, WARMING_UP, NO_ROWS = "quiet", "warning", "warming_up", "no_rows"
BLIND_AFTER_GAPS = 3
"""Gaps without one scored row between them: a machine in trouble may stop twice before it runs."""
_SILENT_PERIODS, _SILENT_S = 5, 60.0
"""No rows for so many sampling periods, and at least so long, is no delay any more."""


@dataclass(slots=True)
class Standing:
    """What a machine's last rows say of it."""

    arrived_s: float
    """When its last rows came, or it became known; monotonic."""
    outcome: str = WARMING_UP
    """Of its last row."""
    gaps: int = 0
    """Since its last scored row."""

    def take(self, outcome: str, *, after_gap: bool) -> bool:
        """A row came, perhaps after a gap that is a stop. True: since this row the machine is blind."""
        self.outcome = outcome
        if outcome == SCORED:
            self.gaps = 0
        elif after_gap and outcome != STOPPED:
            self.gaps += 1
            return self.gaps == BLIND_AFTER_GAPS
        return False

    @property
    def blind(self) -> bool:
        """Rows come, and none can warn."""
        return self.gaps >= BLIND_AFTER_GAPS

    def state(self, now_s: float, *, period_s: float, alert_open: bool) -> str:
        """The contract's word. period_s: the model's sampling period."""
        if now_s - self.arrived_s > max(_SILENT_PERIODS * period_s, _SILENT_S):
            return NO_ROWS
        if alert_open:
            return WARNING
        return {SCORED: QUIET, STOPPED: STOPPED}.get(self.outcome, WARMING_UP)


Numbers = TypeVar("Numbers")


def counts(
    name: str,
    help_text: str,
    label: str,
    machines: Mapping[str, Numbers],
    counts_of: Callable[[Numbers], Mapping[str, int]],
) -> Metric:
    """A counter by machine and `label`."""
    family = CounterMetricFamily(name, help_text, labels=["machine", label])
    for machine, numbers in machines.items():
        for value, count in counts_of(numbers).items():
            family.add_metric([machine, value], count)
    return family


def gauge(
    name: str,
    help_text: str,
    machines: Mapping[str, Numbers],
    value_of: Callable[[Numbers], float | None],
) -> Metric:
    """A gauge by machine; None: it has none now."""
    family = GaugeMetricFamily(name, help_text, labels=["machine"])
    for machine, numbers in machines.items():
        value = value_of(numbers)
        if value is not None:
            family.add_metric([machine], value)
    return family
