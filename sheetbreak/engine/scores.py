"""Scores: what the model makes of all windows of a batch at once, and what explains one of them. The third stage.

Missing sensors may be estimated by the model: what it makes of the others, put in and rebuilt again until that settles.
An autoencoder rebuilds a row from what its sensors have in common. Where cells are missing its own reconstruction
takes their place, again and again: for principal components that leads to the least-squares fit to the cells that are
known, as the EM algorithm does (Roweis, "EM algorithms for PCA and SPCA", 1998), for a net to a row that it rebuilds
as it is. Every window is filled by itself, so that its bits do not depend on those beside it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from sheetbreak.bounds import Positive
from sheetbreak.engine.features import Features
from sheetbreak.engine.moments import Bools, Floats, Ints
from sheetbreak.engine.windows import Windows

Float32s = npt.NDArray[np.float32]
Reconstruct = Callable[[Float32s], Float32s]
"""(n, window, sensors) scaled features -> the model's reconstruction, same shape."""
FAR = 1e6
"""Scaled inputs beyond this say nothing more, and float32 arithmetic on them would leave the finite numbers."""

MAX_ROUNDS = 20
"""Calls of the model for a window, at most: most settle in ten, and where principal components hardly see a sensor
they would creep on for hundreds, to no better estimate."""
TOP_SENSORS = 5
"""So many are named of a row."""
TOLERANCE = 1e-3
"""Scaled units, in which a sensor's usual range is 1."""


@dataclass(frozen=True, slots=True)
class Scaler:
    """(feature - centre) / scale, clipped; fitted on training rows only."""

    centre: tuple[float, ...]
    scale: tuple[Positive, ...]
    clip: Positive | None = None
    floor: float | None = None
    """The least scaled value where it is not -clip: 0 for inputs scaled to 0–1."""


@dataclass(frozen=True, slots=True)
class ScoreParams:
    """How residuals in scaled units become one number a row."""

    kind: Literal["clipped-mean", "mse"]
    """clipped-mean: mean over sensors of min(|residual| / rms, clip). mse: mean squared residual."""
    rms: tuple[Positive, ...] = ()
    """Each sensor's root mean square residual on training rows (clipped-mean)."""
    clip: Positive = 8.0


class TopSensor(NamedTuple):
    """One sensor's part in a row's reconstruction error."""

    sensor: str
    share: float
    """Part of the row's whole error, 0 to 1."""
    observed: float
    """Plant units."""
    expected: float
    """Plant units: what the model makes of the other sensors."""
    spreads: float = 0.0
    """Observed less expected, in the sensor's own spread of late; 0 where it has none."""


class Scorer:
    """Scaler and score with their parameters as arrays, made once per model."""

    def __init__(self, scaler: Scaler, params: ScoreParams) -> None:
        self._centre = np.asarray(scaler.centre, np.float64)
        self._scale = np.asarray(scaler.scale, np.float64)
        self._limit = min(scaler.clip or FAR, FAR)
        self._floor = -self._limit if scaler.floor is None else scaler.floor
        self._params = params
        self._rms = np.asarray(params.rms, np.float64)

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest scaled value."""
        return self._floor, self._limit

    def scale(self, z: Floats) -> npt.NDArray[np.float32]:
        """Model input of features (…, sensors), float32, finite for any finite feature."""
        scaled = (z - self._centre) / self._scale
        np.clip(scaled, self._floor, self._limit, out=scaled)
        return scaled.astype(np.float32)

    def unscale(self, scaled: npt.NDArray[np.float32], sensors: slice | Ints = slice(None)) -> Floats:
        """Features that `scale` would turn into `scaled`, where it did not clip. sensors: whose, where not all's."""
        return scaled.astype(np.float64) * self._scale[sensors] + self._centre[sensors]

    def contributions(self, windows: npt.NDArray[np.float32], rebuilt: npt.NDArray[np.float32]) -> Floats:
        """Each sensor's error: (n, window, sensors) twice -> (n, sensors), the mean over the window."""
        residual = windows.astype(np.float64) - rebuilt.astype(np.float64)
        if self._params.kind == "mse":
            error = residual * residual
        else:
            error = np.minimum(np.abs(residual) / self._rms, self._params.clip)
        return np.ascontiguousarray(error[:, 0] if error.shape[1] == 1 else error.mean(axis=1))

    @staticmethod
    def scores(contributions: Floats) -> Floats:
        """(n, sensors) -> (n,) mean over the sensors; higher is more unusual."""
        scores: Floats = contributions.mean(axis=1)
        return scores


def largest_parts(contributions: Floats, *, count: int) -> tuple[Ints, Floats]:
    """The sensors with the largest part in each row's error, largest first, and their shares in it: (n, count) each."""
    order = np.argsort(-contributions, axis=1, kind="stable")[:, :count]
    whole = contributions.sum(axis=1)
    return order, np.take_along_axis(contributions, order, axis=1) / np.where(whole == 0, 1.0, whole)[:, None]


class Scores:
    """The scores of m windows."""

    def __init__(self, windows: Windows, *, reconstruct: Reconstruct, scorer: Scorer, normal: Floats) -> None:
        """Run the model over all windows; where cells are to be estimated, until they settle.

        normal: (sensors,) the features that an estimate begins with.
        """
        self._ends, self._scorer = windows.ends, scorer
        self.places = [windows.places[row] for row in windows.ends.tolist()]
        """(m,) the scored rows' places in the batch."""
        features = windows.gather()
        unseen = np.isnan(features)
        holed = np.flatnonzero(unseen.any(axis=(1, 2)))
        if len(holed):
            features = np.where(unseen, normal, features)
        scaled = scorer.scale(features)
        rebuilt = reconstruct(scaled) if len(scaled) else scaled
        if len(holed):
            scaled[holed], rebuilt[holed] = estimate(scaled[holed], unseen[holed], reconstruct, limits=scorer.limits)
        self.contributions = scorer.contributions(scaled, rebuilt)
        """(m, sensors) each sensor's part in the score."""
        if len(holed):  # estimates have no error of their own: the score is the mean over what was seen
            seen = (~unseen[holed]).sum(axis=(1, 2))
            self.contributions[holed] *= (unseen[0].size / seen)[:, None]
        if windows.masked is not None:  # nor has a sensor out of service
            self.contributions = _without(self.contributions, windows.masked)
        self.scores = scorer.scores(self.contributions)
        """(m,)"""
        self._rebuilt, self._unseen = rebuilt[:, -1], unseen[:, -1]

    def by_place(self, n: int) -> list[float | None]:
        """The score of each of the batch's n rows; None where it has none."""
        found: list[float | None] = [None] * n
        for place, score in zip(self.places, self.scores.tolist(), strict=True):
            found[place] = score
        return found

    def top(self, numbers: Sequence[int], features: Features, sensors: Sequence[str]) -> list[list[TopSensor]]:
        """Of the windows of these numbers the sensors with the largest part in each one's score, largest first."""
        order, share = largest_parts(self.contributions[numbers], count=TOP_SENSORS)
        at, rows = np.array(numbers, np.intp)[:, None], self._ends[numbers][:, None]
        spread = features.spread[rows, order]
        expected = features.centre[rows, order] + self._scorer.unscale(self._rebuilt[at, order], order) * spread
        observed = np.where(self._unseen[at, order], expected, features.observed[rows, order])
        found = zip(*(cells.ravel().tolist() for cells in (order, share, observed, expected, spread)), strict=True)
        tops = [TopSensor(sensors[i], part, seen, due, _in_spreads(seen - due, sd)) for i, part, seen, due, sd in found]
        count = order.shape[1]
        return [tops[first : first + count] for first in range(0, len(tops), count)]

    def leading(self, number: int) -> int:
        """The sensor with the largest part in a window's score: the first one of its top."""
        return int(self.contributions[number].argmax())

    def in_plant_units(self, features: Features, number: int | slice = slice(None)) -> tuple[Floats, Floats]:
        """Observed and expected values of the last row of one window, or of all: (sensors,) or (m, sensors) each."""
        row = self._ends[number]
        expected = features.centre[row] + self._scorer.unscale(self._rebuilt[number]) * features.spread[row]
        return np.where(self._unseen[number], expected, features.observed[row]), expected


def _without(contributions: Floats, masked: Bools) -> Floats:
    """The same with nothing from masked cells, and so much more from the others: the score is the mean over them."""
    left = (~masked).sum(axis=1)
    some = np.flatnonzero((left < masked.shape[1]) & (left > 0))
    found: Floats = np.where(masked, 0.0, contributions)
    found[some] *= (masked.shape[1] / left[some])[:, None]
    return found


def _in_spreads(difference: float, spread: float) -> float:
    found = difference / spread if spread > 0 else 0.0
    return found if math.isfinite(found) else 0.0


def estimate(
    windows: Float32s, unseen: Bools, reconstruct: Reconstruct, *, limits: tuple[float, float]
) -> tuple[Float32s, Float32s]:
    """Windows with the model's estimate in their unseen cells, and what it then rebuilds; there the two are equal.

    windows, unseen: (n, window, sensors), scaled; an unseen cell holds what to start from. limits: the least and the
    greatest scaled value.
    """
    filled, rebuilt = windows.copy(), np.empty_like(windows)
    moving = np.arange(len(windows))
    for _ in range(MAX_ROUNDS):
        before, cells = filled[moving], unseen[moving]
        found = reconstruct(before)
        after = np.where(cells, np.clip(found, *limits), before)
        filled[moving], rebuilt[moving] = after, np.where(cells, after, found)
        moving = moving[np.abs(after - before).max(axis=(1, 2)) > TOLERANCE]
        if not len(moving):
            break
    return filled, rebuilt
