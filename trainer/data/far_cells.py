"""Cells far from the rest of their sensor: left out of the spread that a machine's variance begins with, and told."""

from collections.abc import Sequence

import numpy as np

from sheetbreak.rows import RowBatch
from trainer.data.labels import Bools, Floats

FAR = 50.0
"""Widths of a sensor's middle nine tenths from its median: hardly a reading. -9999 is as far where 20 ± 50 is usual."""
RESTS = 1e-12
"""A sensor that moves by less than this share of its size does not move: that is the rounding of its numbers."""
_SHOWN = 5


def far_cells(values: Floats) -> Bools:
    """(rows, sensors) cells that are absurd among the others of their column; none of one that nearly always rests."""
    low, middle, high = np.nanpercentile(values, [5, 50, 95], axis=0)
    width = np.where(high > low, high - low, np.inf)
    with np.errstate(invalid="ignore"):
        far: Bools = np.abs(values - middle) > FAR * width
    return far


def constant(values: Floats) -> Bools:
    """(sensors,) whether a column never changes, but for rounding."""
    least, most = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    still: Bools = most - least <= RESTS * np.maximum(np.abs(least), np.abs(most))
    return still


def told_far(rows: RowBatch, sensors: Sequence[str]) -> str | None:
    """What to tell the user of cells far from the rest; None where there are none."""
    known = ~np.isnan(rows.values).all(axis=0)
    far = np.zeros(rows.values.shape, np.bool_)
    far[:, known] = far_cells(rows.values[:, known])
    counts = far.sum(axis=0)
    parts = []
    for sensor in np.argsort(-counts, kind="stable")[: min(_SHOWN, int((counts > 0).sum()))].tolist():
        first = int(np.argmax(far[:, sensor]))
        low, high = np.nanpercentile(rows.values[:, sensor], [5, 95])
        parts.append(
            f"{sensors[sensor]} {counts[sensor]:,} (the first in row {first:,}: {rows.values[first, sensor]:g}, where "
            f"{low:.4g} to {high:.4g} is usual)"
        )
    if not parts:
        return None
    if more := int((counts > 0).sum()) - len(parts):
        parts.append(f"{more} sensors more")
    return (
        f"cells absurdly far from the rest of their sensor: {'; '.join(parts)}; they count for no spread. If they are "
        "no readings, name them under [values] missing in --schema"
    )
