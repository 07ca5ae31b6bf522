"""Convolutional autoencoder."""

from typing import Annotated

import keras

from trainer.data.windows import Windows
from trainer.families.layers import MaskingNoise
from trainer.families.parts import Latent, Noise, Output, joined, latent_units, sequence_units
from trainer.settings.values import within

Filters = Annotated[
    int, within(1, 4096, "filters of the first convolution, the second has half; auto: by sensors, 16 to 64")
]


def conv(
    windows: Windows,
    *,
    filters: Filters | None = None,
    kernel: Annotated[int, within(1, 101, "rows that a convolution sees")] = 5,
    latent: Latent | None = None,
    output: Output = "linear",
    noise: Noise = 0.3,
    masking: Annotated[float, within(0, 0.95, "share of the inputs that training sets to 0")] = 0.1,
) -> keras.Model:
    """A convolutional denoising autoencoder over time: two strided convolutions, a latent vector, and back.

    After J. Masci et al., "Stacked convolutional auto-encoders" (2011). Back by repeating rows and convolving,
    which leaves none of the patterns that transposed convolutions do (A. Odena et al., 2016).
    """
    window, sensors = windows.shape
    wide = filters or sequence_units(windows)
    narrow = max(wide // 2, 1)
    units = latent_units(windows, latent)
    inputs = keras.Input(windows.shape, name="windows")
    inner = keras.layers.GaussianNoise(noise, name="noise")(inputs)
    inner = MaskingNoise(masking, name="masking")(inner)
    for i, count in enumerate((wide, narrow)):
        inner = keras.layers.Conv1D(count, kernel, strides=2, padding="same", activation="relu", name=f"encoder_{i}")(
            inner
        )
    length = inner.shape[1]
    code = keras.layers.Dense(units, activation="tanh", name="latent")(keras.layers.Flatten(name="flat")(inner))

    from_code = keras.Input((units,), name="code")
    inner = keras.layers.Dense(length * narrow, activation="relu", name="decoder")(from_code)
    inner = keras.layers.Reshape((length, narrow), name="rows")(inner)
    for i, count in enumerate((narrow, wide)):
        inner = keras.layers.UpSampling1D(2, name=f"repeated_{i}")(inner)
        inner = keras.layers.Conv1D(count, kernel, padding="same", activation="relu", name=f"decoder_{i}")(inner)
    inner = keras.layers.Cropping1D((0, 4 * length - window), name="cropped")(inner)
    rebuilt = keras.layers.Conv1D(sensors, kernel, padding="same", activation=output, name="output")(inner)
    return joined("conv", keras.Model(inputs, code, name="encoder"), keras.Model(from_code, rebuilt, name="decoder"))
