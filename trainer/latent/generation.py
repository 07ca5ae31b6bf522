"""Generation of rows by a variational model: latent vectors drawn from its prior, decoded, in plant units.

What they are: rows whose sensors go together as the training rows' do (of a window model: as stretches of half a
window do). What they are not: a forecast; a run with breaks, stops or restarts; the weeks of drift of a real mill.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sheetbreak.engine.features import FeatureFold
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Float32s
from trainer.data.labels import Floats

_WINDOWS_AT_ONCE = 1024

Decode = Callable[[Float32s], Float32s]
"""(n, latent) -> (n, window, sensors) scaled."""


def generate(artifact: Artifact, decode: Decode, *, latent: int, rows: int, rng: np.random.Generator) -> Floats:
    """(rows, sensors) in plant units. latent: numbers in a latent vector."""
    window = artifact.manifest.window
    hop = window - window // 2
    count = -(-rows // hop) + 1
    codes = rng.standard_normal((count, latent), np.float32)
    drawn = np.concatenate(
        [decode(codes[first : first + _WINDOWS_AT_ONCE]) for first in range(0, count, _WINDOWS_AT_ONCE)]
    )
    means = joined(drawn)[hop : hop + rows] if window > 1 else drawn[:rows, 0]
    # What the model does not explain of a sensor is noise of its own, as the likelihood that it was trained with says.
    noise = np.asarray(artifact.manifest.score.rms or 0.0)
    scaled = means + noise * rng.standard_normal(means.shape)
    features = artifact.scorer.unscale(np.clip(scaled, *artifact.scorer.limits).astype(np.float32))
    return in_plant_units(features, artifact.features)


def joined(windows: Float32s) -> Floats:
    """(rows, sensors) one sequence of independent windows (n, window, sensors), each overlapping the next by half.

    In the overlap one window fades into the other. Their deviations from the mean window fade by square roots, as
    of independent draws: the variance stays what it is within a window.
    """
    n, window, sensors = windows.shape
    overlap = window // 2
    hop = window - overlap
    rise = (np.arange(overlap) + 1) / (overlap + 1)
    weight = np.ones((window, 1))
    weight[:overlap, 0] *= rise
    weight[hop:, 0] *= 1 - rise
    mean = windows.mean(axis=0, dtype=np.float64)
    sequence = np.zeros((n * hop + overlap, sensors))
    for i, one in enumerate(windows):
        sequence[i * hop : i * hop + window] += weight * mean + np.sqrt(weight) * (one - mean)
    return sequence


def in_plant_units(features: Floats, fold: FeatureFold) -> Floats:
    """Values of which the monitor would make these features (rows, sensors), from a running state onward.

    The state begins with the training rows' medians and start_sd, and every row is folded into it as the monitor
    folds it. Draws that are independent of it would let it wander off for good, so it is drawn back to where it began
    with the fold's own half-life; of the spread the logarithm is, whatever the draws' variance that has a balance.
    """
    params = fold.params
    offset = 0.0 if fold.offset is None else fold.offset
    if params.kind == "identity":
        return features if fold.offset is None else features + offset
    home, cold = np.asarray(params.fallback) - offset, fold.cold()
    keep = 0.5 ** (1.0 / params.half_life_rows)
    floor = cold.variance * params.floor_ratio**2
    state = replace(cold, mean=home, rows=1)
    values = np.empty_like(features)
    for row, z in enumerate(features):
        values[row] = offset + state.mean + z * np.sqrt(np.maximum(state.variance, floor))
        (state,), _ = fold.fold([state], values[row : row + 1], lengths=[1], hold=[False])
        state = replace(
            state,
            mean=keep * state.mean + (1 - keep) * home,
            variance=state.variance**keep * cold.variance ** (1 - keep),
        )
    return values
