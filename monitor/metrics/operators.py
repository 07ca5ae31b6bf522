"""Metrics of what operators said: what holds of each machine, actions and verdicts counted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import Metric

from monitor.metrics.series import counts, gauge
from sheetbreak.engine.state import State
from sheetbreak.errors import RowError
from sheetbreak.wire.actions import VERDICTS, Action

REFUSED = "refused"
_MOST = 10_000
"""Machines that have series here: whoever writes actions cannot flood Prometheus with names."""


@dataclass(slots=True)
class _Said:
    """Of one machine, since this monitor took it over."""

    actions: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    """With their zeros: a rate over a series that first appears at 1 misses that 1."""
    shelved: bool = False
    acknowledged: bool = False
    masked: int = 0


class Operators:
    """The loop's thread writes, the web server's reads."""

    def __init__(self) -> None:
        self._machines: dict[str, _Said] = {}

    def show(self, name: str, state: State) -> None:
        """What holds of a machine by its state."""
        said, orders = self._of(name), state.orders
        if said is not None:
            now_us = state.clock.last_us
            shelved = (
                orders.shelved_until_us is not None if now_us is None else orders.shelved_until(now_us) is not None
            )
            said.shelved, said.masked = shelved, len(orders.masks)
            said.acknowledged = orders.acknowledged is not None

    def count(self, obeyed: Iterable[Action], refused: Sequence[RowError]) -> None:
        """Take in actions that were done, and those that could not be."""
        for action in obeyed:
            said = self._of(action.machine)
            if said is not None:
                said.actions[action.action] = said.actions.get(action.action, 0) + 1
                if action.action == "verdict" and action.verdict is not None:
                    said.verdicts[action.verdict] += 1
        for error in refused:
            said = self._of(error.machine)
            if said is not None:
                said.actions[REFUSED] = said.actions.get(REFUSED, 0) + 1

    def forget(self, name: str) -> None:
        """Its partition is another monitor's now."""
        self._machines.pop(name, None)

    def collect(self) -> Iterator[Metric]:
        """All series."""
        machines = dict(self._machines)  # one step, while the loop's thread may add to it
        named = {name: said for name, said in machines.items() if name}
        text = "1 while the machine is shelved: its alerts are published and not announced."
        yield gauge("sheetbreak_alert_shelved", text, named, lambda said: said.shelved)
        text = "1 while the open alert is acknowledged."
        yield gauge("sheetbreak_alert_acknowledged", text, named, lambda said: said.acknowledged)
        text = "Sensors that operators took out of service."
        yield gauge("sheetbreak_sensors_masked", text, named, lambda said: said.masked)
        text = "Operators' actions; refused: dead letters by now."
        yield counts("sheetbreak_actions_total", text, "action", machines, lambda said: said.actions)
        yield counts("sheetbreak_verdicts_total", "Alerts judged.", "verdict", named, lambda said: said.verdicts)

    def _of(self, name: str) -> _Said | None:
        said = self._machines.get(name)
        if said is None and len(self._machines) < _MOST:
            said = self._machines[name] = _Said()
        return said
