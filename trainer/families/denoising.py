"""Denoising autoencoder."""

from typing import Annotated

import keras

from trainer.data.windows import Windows
from trainer.families.layers import MaskingNoise
from trainer.families.parts import (
    Hidden,
    Latent,
    Noise,
    Output,
    dense_decoder,
    dense_stack,
    flat_input,
    hidden_layers,
    joined,
    latent_units,
)
from trainer.settings.values import within


def denoising(
    windows: Windows,
    *,
    hidden: Hidden | None = None,
    latent: Latent | None = None,
    output: Output = "linear",
    noise: Noise = 0.3,
    masking: Annotated[float, within(0, 0.95, "share of the inputs that training sets to 0")] = 0.3,
) -> keras.Model:
    """A denoising autoencoder: rebuilds the clean window from one with Gaussian and masking noise.

    P. Vincent et al., "Stacked denoising autoencoders" (JMLR 2010), sections 3 and 6.
    """
    units = latent_units(windows, latent)
    layers = hidden_layers(hidden, latent=units)
    inputs, inner = flat_input(windows)
    inner = MaskingNoise(masking, name="masking")(keras.layers.GaussianNoise(noise, name="noise")(inner))
    code = keras.layers.Dense(units, activation="tanh", name="latent")(dense_stack(inner, layers, name="encoder"))
    return joined(
        "denoising",
        keras.Model(inputs, code, name="encoder"),
        dense_decoder(windows, latent=units, layers=layers[::-1], output=output),
    )
