"""Streaming z: each sensor against its own recent past, a fold over a machine's rows.

The input matters more than the network: sensors of a paper machine drift for weeks, and a model on raw values is at
chance a month later. The same fold serves trainer and monitor, so live and offline scores agree to the bit, and
however the rows are batched: state is rounded to its stored precision after every row, never at the end of a batch.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MASK_AFTER_ROWS = 30
"""A sensor missing for longer counts as normal (z = 0) until it is back."""
MAX_MISSING_SHARE = 0.2
"""A row in which more than this share of the sensors is missing is refused."""
LARGEST = 1e30
"""A reading counts as no larger than this, in any unit, so that no square or quotient of readings is infinite."""
_STORED_BITS, _HALF_A_STEP = np.array(0xFFFFFFFFFF000000, np.uint64), np.array(0x0000000000800000, np.uint64)
"""Mean and variance keep 40 of their 64 bits (28 of the fraction: 4e-9): a machine's core state stays under 1 kB."""


@dataclass(frozen=True, slots=True)
class FeatureParams:
    """How sensor values become features; every tuple has one entry a sensor, in plant units."""

    kind: Literal["streaming-z", "identity"]
    fallback: tuple[float, ...]
    """Training medians: a sensor's value before its first one."""
    start_sd: tuple[float, ...] = ()
    """Standard deviation over the first tenth of the training rows: a machine's variance begins there (streaming-z)."""
    floor_ratio: float = 0.05
    """The standard deviation never counts as less than this share of start_sd."""
    half_life_rows: float = 120.0
    warm_up_rows: int = 120
    """Rows of a machine before the first one that is scored."""
    hold_rows: int = 15
    """Rows after a restart during which mean and variance are held: they look unlike the run to come."""
    clip_sd: float = 6.0
    """A value counts as at most this many standard deviations away inside the update."""


@dataclass(frozen=True, slots=True)
class FeatureState:
    """What a machine's features depend on, beside the row itself; a value, never changed in place."""

    mean: Floats
    """(sensors,) exponentially weighted mean, plant units."""
    variance: Floats
    """(sensors,) exponentially weighted variance, plant units squared."""
    last: npt.NDArray[np.float32]
    """(sensors,) the last value seen; NaN before there is one."""
    missing: npt.NDArray[np.uint8]
    """(sensors,) rows since the sensor was last seen, at most MASK_AFTER_ROWS + 1."""
    rows: int
    """Rows folded so far, at most warm_up_rows (1 where there is no warm-up)."""


class Features(NamedTuple):
    """Features of k rows, and what turns them back into plant units."""

    z: Floats
    """(k, sensors) (observed - centre) / spread; 0 where masked."""
    observed: Floats
    """(k, sensors) plant units, missing values filled in."""
    centre: Floats
    spread: Floats
    imputed: dict[int, list[int]]
    """Row -> sensors that were missing."""
    masked: dict[int, list[int]]
    """Row -> sensors missing for so long that they count as normal."""


class FeatureFold:
    """The fold with its parameters as arrays, made once per model."""

    def __init__(self, params: FeatureParams) -> None:
        self.params = params
        self._fallback = np.asarray(params.fallback, np.float64)
        self._streaming = params.kind == "streaming-z"
        self.normal = np.zeros_like(self._fallback) if self._streaming else self._fallback
        """(sensors,) the features of sensors that count as normal."""
        start = np.asarray(params.start_sd, np.float64) if self._streaming else np.ones_like(self._fallback)
        # A constant sensor has no spread of its own: any number keeps z finite, and 1 in its units is neutral.
        start = np.where(start > 1 / LARGEST, np.minimum(start, LARGEST), 1.0)
        self._start_variance = _as_stored(start**2)
        self._floor = self._start_variance * params.floor_ratio**2
        # As arrays: numpy takes twice as long for a Python number as for 59 of its own.
        alpha = 1.0 - 0.5 ** (1.0 / params.half_life_rows)
        self._alpha, self._keep = np.full_like(start, alpha), np.full_like(start, 1.0 - alpha)
        self._lowest, self._highest = np.full_like(start, -params.clip_sd), np.full_like(start, params.clip_sd)

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
            missing=np.zeros(sensors, np.uint8),
            rows=0,
        )

    def fold(self, state: FeatureState, values: Floats, *, hold: list[bool]) -> tuple[FeatureState, Features]:
        """Features of k rows of one machine and the state after them.

        values: (k, sensors) plant units within ±LARGEST, NaN where missing. hold: per row, whether mean and variance
        stay as they are. Exponentially weighted mean and variance: Finch, "Incremental calculation of weighted mean
        and variance" (2009), section 9.
        """
        values, last, missing, imputed, masked = self._fill(state, values)
        if not self._streaming:
            z = values.copy()
            for row, sensors in masked.items():
                z[row, sensors] = self._fallback[sensors]
            state = FeatureState(state.mean, state.variance, last, missing, state.rows)
            return state, Features(z, values, np.zeros_like(values), np.ones_like(values), imputed, masked)
        k, width = values.shape
        z, centre, spread = np.empty((3, k, width))
        step, square = np.empty((2, width))
        moments = np.array([state.mean, state.variance])
        if state.rows == 0 and k:
            moments[0], moments[1] = _as_stored(values[0]), self._start_variance
        mean, variance = moments
        bits = moments.view(np.uint64)
        alpha, keep, floor, lowest, highest = self._alpha, self._keep, self._floor, self._lowest, self._highest
        for i in range(k):
            now, sd = z[i], spread[i]
            centre[i] = mean
            np.maximum(variance, floor, out=sd)
            np.sqrt(sd, out=sd)
            np.subtract(values[i], mean, out=now)
            np.divide(now, sd, out=now)
            if hold[i]:
                continue
            np.minimum(now, highest, out=step)
            np.maximum(step, lowest, out=step)
            if i in imputed:
                step[imputed[i]] = 0.0  # a held value says nothing new
                variance_before = variance[imputed[i]]
            np.multiply(step, sd, out=step)
            np.multiply(step, step, out=square)
            np.multiply(square, alpha, out=square)
            np.add(variance, square, out=variance)
            np.multiply(variance, keep, out=variance)
            np.multiply(step, alpha, out=step)
            np.add(mean, step, out=mean)
            np.add(bits, _HALF_A_STEP, out=bits)
            np.bitwise_and(bits, _STORED_BITS, out=bits)
            if i in imputed:
                variance[imputed[i]] = variance_before
        for row, sensors in masked.items():
            z[row, sensors] = 0.0
        state = FeatureState(mean, variance, last, missing, min(state.rows + k, max(self.params.warm_up_rows, 1)))
        return state, Features(z, values, centre, spread, imputed, masked)

    def _fill(
        self, state: FeatureState, values: Floats
    ) -> tuple[Floats, npt.NDArray[np.float32], npt.NDArray[np.uint8], dict[int, list[int]], dict[int, list[int]]]:
        """Values with the last one held where they are missing; last and missing after them; imputed and masked."""
        imputed: dict[int, list[int]] = {}
        masked: dict[int, list[int]] = {}
        last, missing = state.last, state.missing
        if not len(values):
            return values, last, missing, imputed, masked
        gaps = np.isnan(values)
        if not np.count_nonzero(gaps):
            none = np.zeros_like(missing) if np.count_nonzero(missing) else missing
            return values, values[-1].astype(np.float32), none, imputed, masked
        values = values.copy()
        for i, gap in enumerate(gaps):
            if gap.any():
                held = np.where(np.isnan(last), self._fallback, last)
                values[i, gap] = held[gap]
                imputed[i] = np.flatnonzero(gap).tolist()
            missing = np.where(gap, np.minimum(missing + 1, MASK_AFTER_ROWS + 1), 0).astype(np.uint8)
            last = np.where(gap, last, values[i]).astype(np.float32)
            if (missing > MASK_AFTER_ROWS).any():
                masked[i] = np.flatnonzero(missing > MASK_AFTER_ROWS).tolist()
        return values, last, missing, imputed, masked


def _as_stored(values: Floats) -> Floats:
    return ((values.view(np.uint64) + _HALF_A_STEP) & _STORED_BITS).view(np.float64)
