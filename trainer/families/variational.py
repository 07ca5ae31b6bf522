"""Variational autoencoder, and the posterior that it shares with the recurrent one."""

import math
from typing import Annotated

import keras
import numpy as np

from trainer.data.windows import Windows
from trainer.families.layers import Sampling
from trainer.families.parts import (
    Hidden,
    Latent,
    Output,
    dense_decoder,
    dense_stack,
    flat_input,
    hidden_layers,
    joined,
    latent_units,
)
from trainer.settings.values import within

Beta = Annotated[
    float, within(0, 1000, "weight of the KL term; 1: the ELBO where half of the inputs' variance is noise")
]
WarmUp = Annotated[float, within(0, 100_000, "epochs over which that weight rises from 0")]


def variational(
    windows: Windows,
    *,
    hidden: Hidden | None = None,
    latent: Latent | None = None,
    output: Output = "linear",
    beta: Beta = 1.0,
    warm_up: WarmUp = 5.0,
) -> keras.Model:
    """A dense variational autoencoder: Gaussian posterior and observations, standard normal prior, ELBO.

    D. Kingma and M. Welling, "Auto-encoding variational Bayes" (2014); beta: I. Higgins et al. (2017).
    """
    units = latent_units(windows, latent)
    layers = hidden_layers(hidden, latent=units)
    inputs, flat = flat_input(windows)
    code = posterior(dense_stack(flat, layers, name="encoder"), windows, latent=units, beta=beta, warm_up=warm_up)
    return joined(
        "variational",
        keras.Model(inputs, code, name="encoder"),
        dense_decoder(windows, latent=units, layers=layers[::-1], output=output),
    )


def posterior(
    hidden: keras.KerasTensor, windows: Windows, *, latent: int, beta: float, warm_up: float
) -> keras.KerasTensor:
    """Heads for mean and log-variance and the latent vector drawn from them, with its part of the ELBO.

    The ELBO with observation noise of variance s² is, up to constants and per value of a window of D of them,
    -(squared error + 2 s²/D · KL) / 2 s²: with s² half of the inputs' variance the weight of KL is variance / D.
    """
    mean = keras.layers.Dense(latent, name="latent_mean")(hidden)
    log_variance = keras.layers.Dense(latent, name="latent_log_variance")(hidden)
    weight = beta * _variance(windows) / math.prod(windows.shape)
    return Sampling(weight, warm_up=round(warm_up * len(windows)), name="latent")([mean, log_variance])


def _variance(windows: Windows) -> float:
    """Mean over sensors of the variance of the rows that the windows hold."""
    rows = windows.rows[np.unique(windows.index)]
    return float(rows.var(axis=0, dtype=np.float64).mean())
