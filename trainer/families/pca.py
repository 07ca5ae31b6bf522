"""Principal components: the reference that a net has to beat."""

import math
from typing import Annotated

import keras
import numpy as np

from sheetbreak.errors import DataError
from trainer.data.windows import Windows
from trainer.families.parts import flat_input, joined
from trainer.settings.values import within

_LARGEST_WIDTH = 6000
"""Its covariance takes 300 MB and its eigenvectors a minute."""


def pca(
    windows: Windows,
    *,
    latent: Annotated[int, within(1, 65_536, "components kept, at most half of a window's values")] = 16,
) -> keras.Model:
    """Principal components as two fixed dense layers: onto the first components of whole windows, and back.

    Needs no training. At most half as many components as a window has values: with all of them nothing would
    be left to score.
    """
    width = math.prod(windows.shape)
    if width > _LARGEST_WIDTH:
        most = max(_LARGEST_WIDTH // windows.shape[1], 1)
        raise DataError(
            f"family pca: a window of {windows.shape[0]} rows has {width} values, and the covariance of more than "
            f"{_LARGEST_WIDTH} takes too long; choose --set window={most} or less"
        )
    mean, directions = _principal_directions(windows, components=min(latent, max(width // 2, 1)))
    inputs, flat = flat_input(windows)
    encode = keras.layers.Dense(len(directions), trainable=False, name="latent")
    decode = keras.layers.Dense(width, trainable=False, name="output")
    encoder = keras.Model(inputs, encode(flat), name="encoder")
    code = keras.Input((len(directions),), name="code")
    rebuilt = keras.layers.Reshape(windows.shape, name="rebuilt")(decode(code))
    encode.set_weights([directions.T, -directions @ mean])
    decode.set_weights([directions, mean])
    return joined("pca", encoder, keras.Model(code, rebuilt, name="decoder"))


def _principal_directions(windows: Windows, *, components: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (window·sensors,) and the first principal directions (components, window·sensors) of the windows.

    From the covariance, summed chunk by chunk: windows may not fit in memory at once.
    """
    width = math.prod(windows.shape)
    total, squares = np.zeros(width), np.zeros((width, width))
    for first in range(0, len(windows), 4096):
        flat = windows.gather(slice(first, first + 4096)).reshape(-1, width).astype(np.float64)
        total += flat.sum(axis=0)
        squares += flat.T @ flat
    mean = total / len(windows)
    _, vectors = np.linalg.eigh(squares / len(windows) - np.outer(mean, mean))
    directions = vectors[:, ::-1][:, :components].T
    # An eigenvector's sign is arbitrary: fix it, so that the artifact does not depend on the linear algebra
    # library.
    signs = np.sign(directions[np.arange(components), np.abs(directions).argmax(axis=1)])
    return mean, directions * signs[:, None]
