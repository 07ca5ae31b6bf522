"""An inspection as one JSON object: the page's content, for programs."""

import math
from typing import Any

from sheetbreak.history.joining import History
from sheetbreak.rows import UNKNOWN
from sheetbreak.times import format_time
from trainer.data.inspection.findings import Sensor
from trainer.data.inspection.guesses.plant_file import plain
from trainer.data.inspection.inspection import Inspection
from trainer.data.inspection.sensors import Step


def record(found: Inspection) -> dict[str, Any]:
    """What JSON can hold; no NaN in it."""
    rows, schema, table = found.history.rows, found.history.schema, found.table
    times, labels = found.roles.times, found.roles.labels
    return {
        "files": [
            {
                "name": layout.name,
                "kind": kind,
                "encoding": layout.encoding,
                "separator": layout.separator,
                "decimal": layout.numbers.decimal,
                "thousands": layout.numbers.thousands,
                "header_line": layout.header_line,
                "units_line": layout.units_line or None,
                "sha256": source.sha256,
            }
            for layout, kind, source in zip(table.layouts, table.kinds, found.history.sources, strict=False)
        ],
        "rows": len(rows),
        "lines": table.below,
        "columns": [column.name for column in table.columns],
        "time": None
        if times is None
        else {
            "columns": list(times.names),
            "format": times.format,
            "timezone": schema.timezone,
            "why": times.zone.why,
            "first": format_time(int(rows.times_us.min())) if len(rows) else None,
            "last": format_time(int(rows.times_us.max())) if len(rows) else None,
        },
        "sampling": {
            "period_s": schema.period_s,
            "stop_gap_s": schema.stop_gap_s,
            "gaps": len(found.gaps.minutes),
            "gap_minutes": float(found.gaps.minutes.sum()),
            "gaps_after_break": int(found.gaps.after_break.sum()),
        },
        "labels": None
        if labels is None
        else {
            "column": labels.column.name,
            "values": list(labels.values),
            "rows": found.broken_rows,
            "breaks": found.breaks,
            "unknown": int((rows.broken == UNKNOWN).sum()),
        },
        "machines": {name: rows.machines.count(name) for name in dict.fromkeys(rows.machines)},
        "grades": dict(found.grades),
        "ignored": dict(found.roles.ignored),
        "sensors": [_sensor(sensor, found) for sensor in found.sensors],
        "doubts": [
            {
                "kind": doubt.kind,
                "place": doubt.place,
                "what": doubt.what,
                "remedy": doubt.remedy,
                "count": doubt.count,
                "fatal": doubt.fatal,
            }
            for doubt in found.doubts
        ],
        "schema": plain(found.plant),
        "toml": found.toml,
    }


def _sensor(sensor: Sensor, found: Inspection) -> dict[str, Any]:
    lines, rows = found.table.lines, found.history
    return {
        "name": sensor.name,
        "unit": sensor.unit or None,
        "missing_share": sensor.missing,
        "stuck_share": sensor.stuck,
        "interpolated_share": sensor.interpolated,
        "constant": sensor.constant,
        "least": _number(sensor.least),
        "median": _number(sensor.median),
        "most": _number(sensor.most),
        "sentinels": [{"value": o.value, "rows": o.count, "line": int(lines[o.row])} for o in sensor.sentinels],
        "absurd": None
        if sensor.absurd is None
        else {"value": sensor.absurd.value, "rows": sensor.absurd.count, "line": int(lines[sensor.absurd.row])},
        "step": next((_step(step, rows) for step in sensor.steps), None),
        "steps": [_step(step, rows) for step in sensor.steps],
        "same_as": sensor.same_as or None,
    }


def _step(step: Step, history: History) -> dict[str, object]:
    return {
        "machine": step.machine or None,
        "before": step.before,
        "after": step.after,
        "line": int(history.lines[step.row]),
        "time": format_time(int(history.rows.times_us[step.row])),
        "units": step.units or None,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
