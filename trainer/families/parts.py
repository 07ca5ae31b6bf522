"""Parts that families share: their shape (encoder, latent, decoder), the size of their layers, annotations."""

import math
from typing import Annotated, Literal, get_args

import keras
from msgspec import Meta

from trainer.data.windows import Windows
from trainer.settings.values import within

Activation = Literal["elu", "gelu", "linear", "relu", "selu", "sigmoid", "softplus", "swish", "tanh"]
_LARGEST_LATENT = 64
_WINDOWS_A_UNIT = 20
"""So many training windows for each latent unit, or a short history would be learnt by heart."""

Layer = tuple[int, str]
"""Units and activation of a dense layer."""


def parse_layers(text: str) -> tuple[Layer, ...]:
    """`64:tanh,32:relu` as layers; tanh where no activation is named. Raises ValueError."""
    found = []
    for part in text.split(","):
        units, _, activation = part.strip().partition(":")
        if not units.isdecimal() or not 1 <= int(units) <= 65_536 or (activation or "tanh") not in get_args(Activation):
            raise ValueError(f"layers as 64:tanh,32:relu, each 1 to 65536 units of {', '.join(get_args(Activation))}")
        found.append((int(units), activation or "tanh"))
    return tuple(found)


Noise = Annotated[float, within(0, 1, "standard deviation added to the scaled inputs while training")]
"""Not above 1: Keras's GaussianNoise takes no more."""
_LAYERS = {"parse": parse_layers}
_LATENT = "units of the latent layer; auto: by values a window and number of windows, 64 at most"
_HIDDEN = "layers before the latent one, as 64:tanh,32; auto: one of twice its units, at least 16"
_BEHIND = "layers behind the latent one; auto: those before it, mirrored"
Latent = Annotated[int, within(1, 65_536, _LATENT, search=(2, 64))]
Hidden = Annotated[str, Meta(description=_HIDDEN, extra=_LAYERS)]
Behind = Annotated[str, Meta(description=_BEHIND, extra=_LAYERS)]
Output = Annotated[Activation, Meta(description="activation of the output")]


def latent_units(windows: Windows, given: int | None) -> int:
    """Twice the square root of a window's values as a power of two (16 of 59), at most half of the values, and no more
    than the number of windows can teach.
    """
    if given is not None:
        return given
    values = math.prod(windows.shape)
    power = 1 << round(math.log2(2 * math.sqrt(values)))
    return max(1, min(power, (values + 1) // 2, _LARGEST_LATENT, len(windows) // _WINDOWS_A_UNIT))


def sequence_units(windows: Windows) -> int:
    """Units of a layer along time: the power of two next to the number of sensors, 8 to 64, fewer for few windows."""
    power = 1 << round(math.log2(windows.shape[1]))
    return max(8, min(power, 64, len(windows) // _WINDOWS_A_UNIT))


def hidden_layers(given: str | None, *, latent: int) -> tuple[Layer, ...]:
    """The layers that were given, or one of tanh with twice as many units as the latent layer, at least 16."""
    return parse_layers(given) if given else ((max(2 * latent, 16), "tanh"),)


def dense_stack(hidden: keras.KerasTensor, layers: tuple[Layer, ...], *, name: str) -> keras.KerasTensor:
    """Dense layers, one after the other, named name_0, name_1, …"""
    for i, (units, activation) in enumerate(layers):
        hidden = keras.layers.Dense(units, activation=activation, name=f"{name}_{i}")(hidden)
    return hidden


def flat_input(windows: Windows) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """An encoder's input and its windows as one vector each: a Dense on rank 3 exports ten nodes more than on
    rank 2.
    """
    inputs = keras.Input(windows.shape, name="windows")
    return inputs, keras.layers.Reshape((math.prod(windows.shape),), name="flat")(inputs)


def dense_decoder(windows: Windows, *, latent: int, layers: tuple[Layer, ...], output: str) -> keras.Model:
    """From a latent vector through dense layers to a window."""
    inputs = keras.Input((latent,), name="code")
    hidden = dense_stack(inputs, layers, name="decoder")
    flat = keras.layers.Dense(math.prod(windows.shape), activation=output, name="output")(hidden)
    return keras.Model(inputs, keras.layers.Reshape(windows.shape, name="rebuilt")(flat), name="decoder")


def joined(name: str, encoder: keras.Model, decoder: keras.Model) -> keras.Model:
    """The model of both, which keeps them as its layers `encoder` and `decoder`."""
    inputs = keras.Input(encoder.input_shape[1:], name="windows")
    return keras.Model(inputs, decoder(encoder(inputs)), name=name)
