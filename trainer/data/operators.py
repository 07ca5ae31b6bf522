"""Operators' labels on a history: sensors out of service are missing, rows under a true alarm are not learnt from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sheetbreak.rows import RowBatch, Schema
from sheetbreak.wire.actions import VERDICTS
from sheetbreak.wire.labels import Label
from trainer.data.labels import Bools


@dataclass(frozen=True, slots=True)
class Applied:
    """A history with what operators said of it."""

    rows: RowBatch
    """NaN where a sensor was out of service."""
    left_out: Bools
    """(rows,) under an alarm that was true."""
    masked_cells: int
    masked_sensors: int
    doubts: tuple[str, ...]
    """Labels that say nothing of this history, and why."""
    verdicts: tuple[Label, ...] = ()
    """On alarms among these rows, of which it is known when they ended."""

    @property
    def true_alarms(self) -> int:
        """That have rows here."""
        return sum(one.verdict == "true" for one in self.verdicts)

    @property
    def words(self) -> str:
        """For people."""
        under = _counted(self.true_alarms, "true alarm")
        alarms = f"{int(self.left_out.sum()):,} rows under {under} are left out of the fit"
        cells = f"{self.masked_cells:,} cells of {_counted(self.masked_sensors, 'masked sensor')} count as missing"
        precision = precision_words([one.verdict for one in self.verdicts])
        return f"{cells}, {alarms}" + (f"; of the alarms so far, {precision}" if precision else "")

    def as_json(self) -> dict[str, int]:
        """For the manifest."""
        rows = int(self.left_out.sum())
        counts = {f"verdicts_{word}": sum(one.verdict == word for one in self.verdicts) for word in VERDICTS}
        return {"masked_cells": self.masked_cells, "true_alarms": self.true_alarms, "rows_left_out": rows} | counts


def precision_words(verdicts: Sequence[str]) -> str:
    """How many alarms operators called true of those that they called true or false; "" where they judged none."""
    true, false = verdicts.count("true"), verdicts.count("false")
    if not true + false:
        return ""
    return f"operators called {true} of {true + false} that they judged true (precision {true / (true + false):.2f})"


def apply_labels(rows: RowBatch, schema: Schema, labels: Sequence[Label]) -> Applied:
    """What operators said of these rows; times are the rows' own."""
    machines = np.array(rows.machines)
    masked, left_out = np.zeros(rows.values.shape, np.bool_), np.zeros(len(rows), np.bool_)
    doubts, verdicts = dict[str, None](), list[Label]()
    for label in labels:
        own = machines == label.machine
        if not own.any():
            doubts[f"of machine {label.machine!r}, which the history has not"] = None
            continue
        own &= rows.times_us >= label.from_us
        if label.until_us is not None:
            own &= rows.times_us < label.until_us
        if label.kind == "mask":
            if label.sensor in schema.sensors:
                masked[:, schema.sensors.index(label.sensor)] |= own
            else:
                doubts[f"of sensor {label.sensor!r}, which the history has not"] = None
        elif label.kind == "verdict":
            is_true = label.verdict == "true"
            if label.until_us is not None and own.any():
                verdicts.append(label)
                left_out |= own & is_true
            elif label.until_us is None and is_true:
                doubts["true alarms without an end"] = None
    values = np.where(masked, np.nan, rows.values) if masked.any() else rows.values
    sensors = int(masked.any(axis=0).sum())
    return Applied(replace(rows, values=values), left_out, int(masked.sum()), sensors, tuple(doubts), tuple(verdicts))


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("s" if number != 1 else "")
