"""Dense autoencoder: the default."""

from typing import Annotated

import keras
from msgspec import Meta

from trainer.data.windows import Windows
from trainer.families.parts import (
    Activation,
    Behind,
    Hidden,
    Latent,
    Noise,
    Output,
    dense_decoder,
    flat_input,
    hidden_layers,
    joined,
    latent_units,
    parse_layers,
)
from trainer.settings.values import within


def dense(
    windows: Windows,
    *,
    hidden: Hidden | None = None,
    latent: Latent | None = None,
    latent_activation: Annotated[Activation, Meta(description="activation of the latent layer")] = "tanh",
    decoder: Behind | None = None,
    output: Output = "linear",
    noise: Noise = 0.5,
    activity_l1: Annotated[float, within(0, 10, "penalty on the first layer's activations", search=(1e-6, 1e-2))] = 0.0,
) -> keras.Model:
    """A dense autoencoder over whole windows, Gaussian noise on its input.

    The target stays clean. docs/detection.md measured the defaults on 59 sensors: 32, 16, 32 tanh.
    """
    units = latent_units(windows, latent)
    before = hidden_layers(hidden, latent=units)
    behind = parse_layers(decoder) if decoder else before[::-1]
    inputs, inner = flat_input(windows)
    if noise:
        inner = keras.layers.GaussianNoise(noise, name="noise")(inner)
    for i, (width, activation) in enumerate(before):
        penalty = keras.regularizers.L1(activity_l1) if activity_l1 and i == 0 else None
        inner = keras.layers.Dense(width, activation=activation, activity_regularizer=penalty, name=f"encoder_{i}")(
            inner
        )
    code = keras.layers.Dense(units, activation=latent_activation, name="latent")(inner)
    return joined(
        "dense",
        keras.Model(inputs, code, name="encoder"),
        dense_decoder(windows, latent=units, layers=behind, output=output),
    )
