"""Series of machines: their plain numbers as Prometheus families, made when they are asked for."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

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
