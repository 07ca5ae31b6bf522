"""Missing sensors by the model: what it makes of the others, put in and rebuilt again until that settles.

An autoencoder rebuilds a row from what its sensors have in common. Where cells are missing its own reconstruction
takes their place, again and again: for principal components that leads to the least-squares fit to the cells that are
known, as the EM algorithm does (Roweis, "EM algorithms for PCA and SPCA", 1998), for a net to a row that it rebuilds
as it is. Every window is filled by itself, so that its bits do not depend on those beside it.
"""

import numpy as np
import numpy.typing as npt

from sheetbreak.engine.model import Float32s, Reconstruct

MAX_ROUNDS = 20
"""Calls of the model for a window, at most: most settle in ten, and where principal components hardly see a sensor
they would creep on for hundreds, to no better estimate."""
TOLERANCE = 1e-3
"""Scaled units, in which a sensor's usual range is 1."""

Bools = npt.NDArray[np.bool_]


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
