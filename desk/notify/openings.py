"""Openings: which alerts Alertmanager has told of, as far as can be known from outside, so that their ends may follow.

It tells nobody of an alert that has ended before it came to telling: within its `group_wait`, or while it was starved,
frozen or away. No call of its API says whom it has told. So an alert is open to it until it has answered for longer
than it waits, and its end comes after that.
"""

from collections.abc import Collection

TELLS_WITHIN_S = 45.0
"""Longer than its own `group_wait` of 30 s, shorter than its `group_interval`, for which an end waits in any case."""


class Openings:
    """Those of one desk while it is the one that hands alerts over.

    handed_ms: up to which first message alerts were handed over before; by ms since 1970, as first_ms is.
    """

    def __init__(self, handed_ms: int, *, tells_within_s: float) -> None:
        self._handed_ms, self._tells_within_s = handed_ms, tells_within_s
        self._taken_s: dict[str, float] = {}
        """When each was first taken."""
        self._told: set[str] = set()

    def is_taken(self, alert_id: str) -> bool:
        """Whether Alertmanager has it from this desk."""
        return alert_id in self._taken_s

    def is_told(self, alert_id: str, first_ms: int) -> bool:
        """Whether its end may be handed over."""
        return alert_id in self._told or first_ms <= self._handed_ms

    def took(self, alerts: Collection[tuple[str, int]], *, at_s: float) -> int | None:
        """Alertmanager took these, all that there are now; `at_s` by a clock that is never set.

        Returns up to which first message all are told, where that is news: one number says it to the next desk.
        """
        self._taken_s = {alert_id: self._taken_s.get(alert_id, at_s) for alert_id, _ in alerts}
        self._told.intersection_update(self._taken_s)
        told_ms = None
        for alert_id, first_ms in sorted(alerts, key=lambda one: one[1]):
            if self.is_told(alert_id, first_ms):
                continue
            if at_s - self._taken_s[alert_id] < self._tells_within_s:
                break
            self._told.add(alert_id)
            told_ms = first_ms
        return told_ms

    def failed(self) -> None:
        """It did not answer, and may have forgotten what it had not told."""
        self._taken_s = {alert_id: at_s for alert_id, at_s in self._taken_s.items() if alert_id in self._told}
