"""Sparse autoencoder."""

import math
from typing import Annotated

import keras

from trainer.data.windows import Windows
from trainer.families.layers import SparsityTarget
from trainer.families.parts import Noise, Output, dense_decoder, flat_input, joined
from trainer.settings.values import within

_LARGEST_LATENT = 256
Latent = Annotated[
    int, within(1, 65_536, "units of the latent layer; auto: as many as a window has values, 256 at most")
]


def sparse(
    windows: Windows,
    *,
    latent: Latent | None = None,
    output: Output = "linear",
    l1: Annotated[float, within(0, 100, "penalty on the sum of the latent activations")] = 1e-4,
    kl: Annotated[float, within(0, 100, "penalty on the divergence of a unit's mean activation from target")] = 1e-3,
    target: Annotated[float, within(1e-4, 0.9999, "mean activation that a unit is drawn to")] = 0.05,
    noise: Noise = 0.0,
) -> keras.Model:
    """A sparse autoencoder: a wide latent layer of sigmoids, of which few may be active at a time.

    A. Ng, "Sparse autoencoder", CS294A lecture notes (2011); the L1 penalty as in Goodfellow et al., "Deep
    Learning" (2016), section 14.2.1.
    """
    units = latent or min(math.prod(windows.shape), _LARGEST_LATENT)
    inputs, flat = flat_input(windows)
    if noise:
        flat = keras.layers.GaussianNoise(noise, name="noise")(flat)
    active = keras.layers.Dense(
        units, activation="sigmoid", activity_regularizer=keras.regularizers.L1(l1) if l1 else None, name="active"
    )(flat)
    code = SparsityTarget(target, kl, name="latent")(active)
    return joined(
        "sparse",
        keras.Model(inputs, code, name="encoder"),
        dense_decoder(windows, latent=units, layers=(), output=output),
    )
