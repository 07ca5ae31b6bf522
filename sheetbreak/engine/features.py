"""Features, streaming z: each sensor against its own recent past, machine by machine in the order of its rows.

The input matters more than the network: sensors of a paper machine drift for weeks, and a model on raw values is at
chance a month later. The same fold serves trainer and monitor, so live and offline scores agree to the bit, and
however the rows are batched: state is rounded to its stored precision after every row, never at the end of a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from sheetbreak.bounds import NotNegative, Positive, Ratio, Rows
from sheetbreak.engine.moments import Bools, Floats, Learning, as_stored, standardise

Float32s = npt.NDArray[np.float32]
Counts = npt.NDArray[np.uint8]

MASK_AFTER_ROWS = 30
"""A sensor missing for longer counts as normal (z = 0) until it is back."""
MAX_MISSING_SHARE = 0.2
"""A row in which more than this share of the sensors is missing is refused."""
DRIFTED_SD = 6.0
"""A sensor whose moving mean is as many training spreads from its training level has changed for good, it seems: on the
published mill's training rows no sensor ever is, weeks later two of 59 are."""
LARGEST = 1e30
"""A reading counts as no larger than this, in any unit, so that no square or quotient of readings is infinite."""


@dataclass(frozen=True, slots=True)
class FeatureParams:
    """How sensor values become features; every tuple has one entry a sensor, in plant units."""

    kind: Literal["streaming-z", "identity"]
    fallback: tuple[float, ...]
    """Training medians: a sensor's value before its first one."""
    start_sd: tuple[NotNegative, ...] = ()
    """Standard deviation over the first tenth of the training rows: a machine's variance begins there (streaming-z)."""
    floor_ratio: Ratio = 0.05
    """The standard deviation never counts as less than this share of start_sd."""
    half_life_rows: Positive = 120.0
    warm_up_rows: Rows = 120
    """Rows of a machine before the first one that is scored."""
    hold_rows: Rows = 15
    """Rows after a restart during which mean and variance are held: they look unlike the run to come."""
    clip_sd: Positive = 6.0
    """A value counts as at most this many standard deviations away inside the update."""
    level_sd: tuple[float, ...] = ()
    """Spread of all training rows around their medians, what a standing change is measured in; empty: none is told."""
    offset: tuple[float, ...] = ()
    """What a machine's state is relative to: the training medians, so that a sensor far from nought loses no digit of
    its spread; empty in models made before, whose states are in plant units."""


@dataclass(frozen=True, slots=True)
class FeatureState:
    """What a machine's features depend on, beside the row itself; a value, never changed in place."""

    mean: Floats
    """(sensors,) exponentially weighted mean, plant units above `offset`."""
    variance: Floats
    """(sensors,) exponentially weighted variance, plant units squared."""
    last: Float32s
    """(sensors,) the last value seen, above `offset`; NaN before there is one."""
    missing: Counts
    """(sensors,) rows since the sensor was last seen, at most MASK_AFTER_ROWS + 1."""
    rows: int
    """Rows folded so far, at most warm_up_rows (1 where there is no warm-up)."""
    offset: Floats | None = None
    """(sensors,) plant units; None: 0."""


class Features(NamedTuple):
    """Features of n rows, and what turns them back into plant units."""

    z: Floats
    """(n, sensors) (observed - centre) / spread; 0 where masked."""
    observed: Floats
    """(n, sensors) plant units, missing values filled in."""
    centre: Floats
    spread: Floats
    imputed: dict[int, list[int]]
    """Row -> sensors that were missing."""
    masked: dict[int, list[int]]
    """Row -> sensors missing for so long that they count as normal."""
    drifted: dict[int, list[int]]
    """Row -> sensors whose moving mean is far from where training rows had it."""

    def without(self, masked: Bools, normal: Floats) -> "Features":
        """The same with these cells, (n, sensors), at what is normal for them: nothing is missing there."""
        imputed = {row: [one for one in gone if not masked[row, one]] for row, gone in self.imputed.items()}
        longer = {row: self.masked.get(row, []) for row in np.flatnonzero(masked.any(axis=1)).tolist()}
        both = {row: sorted({*gone, *np.flatnonzero(masked[row]).tolist()}) for row, gone in longer.items()}
        return self._replace(
            z=np.where(masked, normal, self.z),
            imputed={row: gone for row, gone in imputed.items() if gone},
            masked=self.masked | both,
        )


class FeatureFold:
    """The fold with its parameters as arrays, made once per model."""

    def __init__(self, params: FeatureParams) -> None:
        self.params = params
        self._fallback = np.asarray(params.fallback, np.float64)
        self._streaming = params.kind == "streaming-z"
        offset = np.asarray(params.offset, np.float64)
        self.offset = offset if offset.any() else None
        """(sensors,) what states are relative to; None: 0."""
        self._home = self._above(self._fallback)
        self.normal = np.zeros_like(self._fallback) if self._streaming else self._home
        """(sensors,) the features of sensors that count as normal."""
        start = np.asarray(params.start_sd, np.float64) if self._streaming else np.ones_like(self._fallback)
        # A constant sensor has no spread of its own: any number keeps z finite, and 1 in its units is neutral.
        start = np.where(start > 1 / LARGEST, np.minimum(start, LARGEST), 1.0)
        self._start_variance = as_stored(start**2)
        self._learning = Learning(
            alpha=1.0 - 0.5 ** (1.0 / params.half_life_rows),
            clip_sd=params.clip_sd,
            floor=self._start_variance * params.floor_ratio**2,
        )
        spread = np.asarray(params.level_sd, np.float64)
        self._far = DRIFTED_SD * np.where(spread > 0, spread, np.inf) if len(spread) else None
        self._none_missing = np.zeros(len(self._fallback), np.uint8)

    @property
    def warm_up_rows(self) -> int:
        """Rows of a machine that are not scored at first."""
        return self.params.warm_up_rows if self._streaming else 0

    def cold(self) -> FeatureState:
        """The state of a machine never seen."""
        sensors = len(self._fallback)
        return FeatureState(
            mean=np.zeros(sensors),
            variance=self._start_variance,
            last=np.full(sensors, np.nan, np.float32),
            missing=self._none_missing,
            rows=0,
            offset=self.offset,
        )

    def taken_over(self, state: FeatureState, recent: Float32s) -> tuple[FeatureState, Float32s]:
        """A state of another model, and the features of its last rows, relative to this one's offset."""
        was = np.zeros_like(self._fallback) if state.offset is None else state.offset
        now = np.zeros_like(self._fallback) if self.offset is None else self.offset
        if np.array_equal(was, now):
            return state, recent
        moved = was - now
        if not self._streaming:
            recent = (recent + moved).astype(np.float32)
        mean, last = as_stored(state.mean + moved), (state.last + moved).astype(np.float32)
        return replace(state, mean=mean, last=last, offset=self.offset), recent

    def _above(self, values: Floats) -> Floats:
        return values if self.offset is None else values - self.offset

    def fold(
        self, states: Sequence[FeatureState], values: Floats, *, lengths: Sequence[int], hold: Sequence[bool]
    ) -> tuple[list[FeatureState], Features]:
        """Features of n rows of several machines, one machine's after another's, and the machines' states after them.

        values: (n, sensors) plant units within ±LARGEST, NaN where missing. lengths: rows of each machine. hold: per
        row, whether mean and variance stay as they are.
        """
        filled = self._fill(states, self._above(values), lengths)
        moments = np.array([[state.mean for state in states], [state.variance for state in states]])
        if self._streaming:
            for i, first in enumerate(_firsts(lengths)):
                if states[i].rows == 0 and lengths[i]:
                    moments[:, i] = as_stored(filled.values[first]), self._start_variance
            learns = ~(filled.gaps | np.asarray(hold, np.bool_)[:, None])  # a value that stands in says nothing new
            moments, z, centre, spread = standardise(
                moments, filled.values, lengths=lengths, learns=learns, learning=self._learning
            )
        else:
            z, centre, spread = filled.values.copy(), np.zeros_like(values), np.ones_like(values)
        drifted = self._drifted(centre)
        observed = filled.values
        if self.offset is not None:
            centre = centre + self.offset
            observed = np.where(filled.gaps, observed + self.offset, values) if filled.imputed else values
        for row, sensors in filled.masked.items():
            z[row, sensors] = self.normal[sensors]
        after = []
        for i, (state, last, missing) in enumerate(zip(states, filled.last, filled.missing, strict=True)):
            mean, variance = moments[:, i].copy()  # a machine that is not seen again must not keep those of all
            rows = min(state.rows + lengths[i], max(self.params.warm_up_rows, 1)) if self._streaming else state.rows
            after.append(FeatureState(mean, variance, last, missing, rows, self.offset))
        return after, Features(z, observed, centre, spread, filled.imputed, filled.masked, drifted)

    def _drifted(self, centre: Floats) -> dict[int, list[int]]:
        """Row -> sensors; centre: (rows, sensors) moving means, above the offset."""
        if self._far is None:
            return {}
        far = np.abs(centre - self._home) > self._far
        if not far.any():
            return {}
        return {row: np.flatnonzero(far[row]).tolist() for row in np.flatnonzero(far.any(axis=1)).tolist()}

    def _fill(self, states: Sequence[FeatureState], values: Floats, lengths: Sequence[int]) -> "_Filled":
        """Put the last value of a machine's sensor where it is missing."""
        gaps = np.isnan(values)
        holed = bool(gaps.any())
        filled = _Filled(values.copy() if holed else values, gaps, [], [], {}, {})
        for state, first, rows in zip(states, _firsts(lengths), lengths, strict=True):
            last, missing = state.last, state.missing
            if holed and gaps[first : first + rows].any():
                last, missing = self._fill_one(state, filled, range(first, first + rows))
            elif rows:
                last = values[first + rows - 1].astype(np.float32)
                missing = self._none_missing if missing.any() else missing
            filled.last.append(last)
            filled.missing.append(missing)
        return filled

    def _fill_one(self, state: FeatureState, filled: "_Filled", rows: range) -> tuple[Float32s, Counts]:
        """One machine's rows; its last values and its counts of rows missing after them."""
        last, missing = state.last, state.missing
        for i in rows:
            gap, row = filled.gaps[i], filled.values[i]
            if gap.any():
                row[gap] = np.where(np.isnan(last), self._home, last)[gap]
                filled.imputed[i] = np.flatnonzero(gap).tolist()
            missing = np.where(gap, np.minimum(missing + 1, MASK_AFTER_ROWS + 1), 0).astype(np.uint8)
            last = np.where(gap, last, row).astype(np.float32)
            if (missing > MASK_AFTER_ROWS).any():
                filled.masked[i] = np.flatnonzero(missing > MASK_AFTER_ROWS).tolist()
        return last, missing


class _Filled(NamedTuple):
    values: Floats
    """(n, sensors) without a gap."""
    gaps: Bools
    last: list[Float32s]
    """Of each machine after its rows, as in FeatureState; so is `missing`."""
    missing: list[Counts]
    imputed: dict[int, list[int]]
    masked: dict[int, list[int]]


def _firsts(lengths: Sequence[int]) -> list[int]:
    """Where each machine's rows begin."""
    return [0, *accumulate(lengths)][:-1]
