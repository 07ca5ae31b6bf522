"""Contractive autoencoder."""

import math
from typing import Annotated, Literal

import keras
from msgspec import Meta

from trainer.data.windows import Windows
from trainer.families.layers import ContractiveDense
from trainer.families.parts import Latent, Output, dense_decoder, flat_input, joined, latent_units
from trainer.settings.values import within


def contractive(
    windows: Windows,
    *,
    latent: Latent | None = None,
    activation: Annotated[Literal["tanh", "sigmoid"], Meta(description="activation of the latent layer")] = "tanh",
    output: Output = "linear",
    penalty: Annotated[float, within(0, 1000, "weight of the encoder's squared Jacobian, a value of the window")] = 0.1,
) -> keras.Model:
    """A contractive autoencoder: one dense layer each way, the encoder's Jacobian penalised.

    S. Rifai et al., "Contractive auto-encoders" (ICML 2011). The penalty is per value of the window, as the
    reconstruction loss is.
    """
    units = latent_units(windows, latent)
    inputs, flat = flat_input(windows)
    weight = penalty / math.prod(windows.shape)
    code = ContractiveDense(units, weight=weight, activation=activation, name="latent")(flat)
    return joined(
        "contractive",
        keras.Model(inputs, code, name="encoder"),
        dense_decoder(windows, latent=units, layers=(), output=output),
    )
