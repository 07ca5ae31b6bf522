"""Report of the Kafka benchmark: its numbers beside what was aimed at."""

import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One number."""

    what: str
    value: float
    unit: str
    wanted: str = ""
    """The target in words; empty where there is none."""
    met: bool | None = None
    raw: Any = None
    """The measurements that it was made of."""


@dataclass(slots=True)
class Report:
    """All lines of a run, in order."""

    lines: list[Line] = field(default_factory=list)

    def add(
        self,
        what: str,
        value: float,
        unit: str,
        *,
        least: float | None = None,
        most: float | None = None,
        raw: Any = None,
    ) -> None:
        """`least`, `most`: the target."""
        if least is not None:
            self.lines.append(Line(what, value, unit, f"≥ {least:g}", value >= least, raw))
        elif most is not None:
            self.lines.append(Line(what, value, unit, f"≤ {most:g}", value <= most, raw))
        else:
            self.lines.append(Line(what, value, unit, raw=raw))

    def value(self, what: str) -> float | None:
        """A number added before."""
        return next((line.value for line in self.lines if line.what == what), None)

    def as_json(self) -> dict[str, Any]:
        """Everything, with where and when."""
        machine = {
            "python": platform.python_version(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
        }
        return {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine,
            "lines": [asdict(line) for line in self.lines],
        }


def show(report: Report) -> str:
    """A table for people."""
    cells = [(line.what, _number(line.value), line.unit, line.wanted, _verdict(line.met)) for line in report.lines]
    widths = [max((len(cell[i]) for cell in cells), default=0) for i in range(4)]
    return "\n".join(
        f"{what:<{widths[0]}}  {value:>{widths[1]}} {unit:<{widths[2]}}  {wanted:<{widths[3]}}  {verdict}".rstrip()
        for what, value, unit, wanted, verdict in cells
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _verdict(met: bool | None) -> str:  # noqa: FBT001 - the value of a field
    return "" if met is None else "met" if met else "MISSED"
