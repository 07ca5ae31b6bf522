"""Model families: each one plain function from training windows to a Keras model of one tensor shape.

Every model maps float32 (n, window, sensors) to the same shape, named layers and all, so that the monitor
scores each of them through the same ONNX call. A family's keyword arguments are its settings. A model comes
compiled (loss and optimiser) when there is something to learn; one without trainable weights is complete as
it is. Noise and penalties belong into layers that vanish outside training: what is exported is the scoring
graph.
"""

import math
from collections.abc import Callable, Sequence

import keras
import numpy as np

from trainer.windows import Windows

Layer = tuple[int, str]
"""Units and activation of a dense layer."""


def dense(
    windows: Windows,
    *,
    layers: Sequence[Layer] = ((32, "tanh"), (16, "tanh"), (32, "tanh")),
    output: str = "linear",
    noise: float = 0.5,
    activity_l1: float = 0.0,
    learning_rate: float = 2e-3,
) -> keras.Model:
    """A dense autoencoder over whole windows, flattened.

    noise: standard deviation added to the scaled inputs while training, the target stays clean. activity_l1:
    penalty on the first layer's activations, per window. docs/detection.md measured the defaults.
    """
    inputs, hidden = _flat_input(windows)
    if noise:
        hidden = keras.layers.GaussianNoise(noise, name="noise")(hidden)
    for i, (units, activation) in enumerate(layers):
        penalty = keras.regularizers.L1(activity_l1) if activity_l1 and i == 0 else None
        hidden = keras.layers.Dense(units, activation=activation, activity_regularizer=penalty, name=f"dense_{i}")(
            hidden
        )
    flat = keras.layers.Dense(math.prod(windows.shape), activation=output, name=f"dense_{len(layers)}")(hidden)
    rebuilt = keras.layers.Reshape(windows.shape, name="rebuilt")(flat)
    return _compiled(keras.Model(inputs, rebuilt, name="dense"), learning_rate=learning_rate)


def pca(windows: Windows, *, components: int = 16) -> keras.Model:
    """Principal components as two fixed dense layers: onto the first components of whole windows, and back.

    Needs no training, so it is the reference that a net has to beat. At most half as many components as a
    window has values: with all of them nothing would be left to score.
    """
    width = math.prod(windows.shape)
    mean, directions = _principal_directions(windows, components=min(components, max(width // 2, 1)))
    inputs, flat = _flat_input(windows)
    encode = keras.layers.Dense(len(directions), trainable=False, name="encode")
    decode = keras.layers.Dense(width, trainable=False, name="decode")
    rebuilt = keras.layers.Reshape(windows.shape, name="rebuilt")(decode(encode(flat)))
    encode.set_weights([directions.T, -directions @ mean])
    decode.set_weights([directions, mean])
    return keras.Model(inputs, rebuilt, name="pca")


Family = Callable[..., keras.Model]

FAMILIES: dict[str, Family] = {
    "dense": dense,
    "pca": pca,
}


def _flat_input(windows: Windows) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The model's input and its windows as one vector each: a Dense on rank 3 exports ten nodes more than on
    rank 2.
    """
    inputs = keras.Input(windows.shape, name="windows")
    return inputs, keras.layers.Reshape((math.prod(windows.shape),), name="flat")(inputs)


def _compiled(model: keras.Model, *, learning_rate: float) -> keras.Model:
    model.compile(optimizer=keras.optimizers.Adam(learning_rate), loss="mse", jit_compile=False)
    return model


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
