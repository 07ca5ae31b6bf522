"""Decisions about models as series: what became of the model trained last, and the figures that it was compared by."""

from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from sheetbreak.artifact.promotion import Decision

_FIGURES = ("roc_auc", "warned", "warned_by_chance", "false_alarms_per_day", "scored_rows")
_SIDES = ("candidate", "current")


class DecisionSeries:
    """The last decision; none where nothing was decided, or not by a comparison."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._info = Gauge(
            "sheetbreak_promotion_info",
            "What was decided last about a model; always 1.",
            ["version", "decision", "by"],
            registry=registry,
        )
        self._figure = Gauge(
            "sheetbreak_promotion_figure",
            "What the model decided about and the one that was current made of the same later rows.",
            ["model", "figure"],
            registry=registry,
        )

    def show(self, decision: Decision) -> None:
        """Replaces what was shown before."""
        self._info.clear()
        self._figure.clear()
        self._info.labels(decision.version, decision.decision, decision.by).set(1)
        for side in _SIDES:
            found: Any = decision.gate.get(side)
            for figure in _FIGURES if isinstance(found, dict) else ():
                number = found.get(figure)
                if isinstance(number, int | float):
                    self._figure.labels(side, figure).set(number)
