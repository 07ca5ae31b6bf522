"""Recurrent autoencoders: plain and variational."""

from typing import Annotated

import keras

from trainer.data.windows import Windows
from trainer.families.parts import Latent, Noise, Output, joined, latent_units, sequence_units
from trainer.families.variational import Beta, WarmUp, posterior
from trainer.settings.values import within

Units = Annotated[int, within(1, 4096, "units of each LSTM; auto: by sensors and number of windows, 8 to 64")]


def lstm(
    windows: Windows,
    *,
    units: Units | None = None,
    latent: Latent | None = None,
    output: Output = "linear",
    noise: Noise = 0.0,
) -> keras.Model:
    """An LSTM autoencoder: one LSTM reads the window into a vector, another writes the window from it.

    P. Malhotra et al., "LSTM-based encoder-decoder for multi-sensor anomaly detection" (2016), with the code repeated
    at every row instead of fed back.
    """
    width, size = units or sequence_units(windows), latent_units(windows, latent)
    inputs, read = _read(windows, units=width, noise=noise)
    code = keras.layers.Dense(size, activation="tanh", name="latent")(read)
    return joined(
        "lstm",
        keras.Model(inputs, code, name="encoder"),
        _decoder(windows, units=width, latent=size, output=output),
    )


def lstm_variational(
    windows: Windows,
    *,
    units: Units | None = None,
    latent: Latent | None = None,
    output: Output = "linear",
    noise: Noise = 0.0,
    beta: Beta = 1.0,
    warm_up: WarmUp = 5.0,
) -> keras.Model:
    """A variational LSTM autoencoder: Gaussian posterior of the vector between the LSTMs, ELBO.

    O. Fabius and J. van Amersfoort, "Variational recurrent auto-encoders" (2014).
    """
    width, size = units or sequence_units(windows), latent_units(windows, latent)
    inputs, read = _read(windows, units=width, noise=noise)
    code = posterior(read, windows, latent=size, beta=beta, warm_up=warm_up)
    return joined(
        "lstm_variational",
        keras.Model(inputs, code, name="encoder"),
        _decoder(windows, units=width, latent=size, output=output),
    )


def _read(windows: Windows, *, units: int, noise: float) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The encoder's input and what its LSTM has made of a window at the last row."""
    inputs = keras.Input(windows.shape, name="windows")
    inner = keras.layers.GaussianNoise(noise, name="noise")(inputs) if noise else inputs
    return inputs, keras.layers.LSTM(units, name="reader")(inner)


def _decoder(windows: Windows, *, units: int, latent: int, output: str) -> keras.Model:
    window, sensors = windows.shape
    code = keras.Input((latent,), name="code")
    repeated = keras.layers.RepeatVector(window, name="repeated")(code)
    written = keras.layers.LSTM(units, return_sequences=True, name="writer")(repeated)
    # A Dense on rank 3 is the TimeDistributed Dense; written so it exports as ten nodes and not as three a row.
    rebuilt = keras.layers.Dense(sensors, activation=output, name="output")(written)
    return keras.Model(code, rebuilt, name="decoder")
