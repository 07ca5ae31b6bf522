"""Scoring of windows: scaling, reconstruction error, and each sensor's part in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from sheetbreak.engine.ranges import Positive

Floats = npt.NDArray[np.float64]

FAR = 1e6
"""Scaled inputs beyond this say nothing more, and float32 arithmetic on them would leave the finite numbers."""


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

    def unscale(self, scaled: npt.NDArray[np.float32]) -> Floats:
        """Features that `scale` would turn into `scaled`, where it did not clip."""
        return scaled.astype(np.float64) * self._scale + self._centre

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


def top_sensors(
    names: Sequence[str], contributions: Floats, *, observed: Floats, expected: Floats, count: int = 5
) -> list[TopSensor]:
    """The sensors with the largest part in one row's error, largest first; every array is (sensors,)."""
    whole = float(contributions.sum()) or 1.0
    order = np.argsort(-contributions, kind="stable")[:count]
    return [TopSensor(names[i], float(contributions[i]) / whole, float(observed[i]), float(expected[i])) for i in order]
