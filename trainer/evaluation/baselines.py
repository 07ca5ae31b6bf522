"""Baselines: scores that no model of ours is needed for; each compares with it row by row.

They live in evaluation only: none is a map of a window to its reconstruction, so none can be deployed.
"""

import numpy as np
from sklearn.ensemble import IsolationForest

from trainer.data.labels import Bools, Floats, Ints

Z_CLIP = 8.0
"""As the default score clips: one stuck sensor must not outweigh all others."""


def rows_since_break(machine: Ints, broken: Bools) -> Floats:
    """(n,) rows of the machine since its last break, or since its first row; machine: (n,) a number each.

    Breaks come in clusters, so the row is more suspect the more recent the last one: the score is the
    negative.
    """
    order = np.argsort(machine, kind="stable")
    place = np.arange(len(order))
    restart = broken[order] | (np.diff(machine[order], prepend=-1) != 0)
    since = np.empty(len(order))
    since[order] = place - np.maximum.accumulate(np.where(restart, place, 0))
    return -since


def mean_abs_z(z: Floats) -> Floats:
    """(n,) mean over sensors of |z|, with no model at all; z: (n, sensors)."""
    mean: Floats = np.minimum(np.abs(z), Z_CLIP).mean(axis=1)
    return mean


def isolation_forest(fit: Floats, rows: Floats, *, seed: int = 0) -> Floats:
    """(n,) how easily random splits of the fit rows isolate each of `rows`; scikit-learn's defaults."""
    forest = IsolationForest(random_state=seed).fit(fit)
    return -np.asarray(forest.score_samples(rows), np.float64)


def ecod(fit: Floats, rows: Floats) -> Floats:
    """(n,) how far out each of `rows` lies in the empirical tails of the fit rows; both (…, sensors).

    Li, Zhao, Hu, Botta, Ionescu and Chen, "ECOD: Unsupervised Outlier Detection Using Empirical Cumulative
    Distribution Functions" (IEEE TKDE 2022), as the authors' own code in PyOD has it: the sum over sensors of -log of
    the smaller tail. Their third tail, the one that the sensor's skewness names, is one of the two, so that it decides
    nothing (algorithm 1 of the paper takes the largest of three sums instead). The tails are those of the fit rows and
    the row itself, never of other rows that are judged: those come later.
    """
    n = len(fit)
    score = np.zeros(len(rows))
    for sensor in range(fit.shape[1]):
        ordered = np.sort(fit[:, sensor])
        at_most = np.searchsorted(ordered, rows[:, sensor], side="right")
        at_least = n - np.searchsorted(ordered, rows[:, sensor], side="left")
        score -= np.log((np.minimum(at_most, at_least) + 1) / (n + 1))
    return score
