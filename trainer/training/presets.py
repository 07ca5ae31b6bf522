"""Presets: everything about a training that is not its data, under a name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sheetbreak.errors import DataError
from sheetbreak.rows import RowBatch, Schema
from trainer.data.labels import Labels, curve_shift, label_rows
from trainer.settings.values import Scaling, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How rows become features, a model, a score and a threshold."""

    name: str
    summary: str
    features: Literal["streaming-z", "identity"]
    scaling: Scaling
    """range: by the 5–95 % range; standard: by mean and standard deviation."""
    clip: float | None
    """Scaled inputs beyond this count as this."""
    score: Literal["clipped-mean", "mse"]
    labels: Callable[[RowBatch, Schema], Labels]
    random_split: bool
    """True: the published random split of rows; False: chronological."""
    threshold: str
    """The policy where the user names none."""
    epochs: int
    batch: int | None = None
    """None: by the number of training windows."""
    break_is_stop: bool = True
    """False: only a gap is a stop."""
    event_files: bool = False
    """Whether training writes TensorBoard event files."""
    settings: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    """Settings of a family where they differ from the family's own."""

    def settings_for(self, family: str) -> dict[str, Value | None]:
        """What this preset sets, by the names of trainer/settings/values.py."""
        return {"scaling": self.scaling, "epochs": self.epochs, "batch": self.batch, **self.settings.get(family, {})}


_PUBLISHED: dict[str, Value] = {
    "hidden": "32:tanh",
    "latent": 16,
    "latent_activation": "relu",
    "decoder": "16:tanh",
    "output": "relu",
    "noise": 0.0,
    "activity_l1": 1e-4,
    "learning_rate": 1e-3,
    "patience": 100,
}
"""C. Ranjan, "Extreme rare event classification using autoencoders in Keras" (2019); its relu output cannot
produce a negative value on standardised inputs, kept as it is for comparison."""

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="default",
            summary="each sensor against its own recent past, a denoising dense net, a level steered to a rate",
            features="streaming-z",
            scaling="range",
            clip=5.0,
            score="clipped-mean",
            labels=label_rows,
            random_split=False,
            threshold="rate:5",
            epochs=30,
        ),
        Preset(
            name="article",
            summary="the published autoencoder on standardised rows, split at random: for comparison only",
            features="identity",
            scaling="standard",
            clip=None,
            score="mse",
            labels=curve_shift,
            random_split=True,
            threshold="pr-curve",
            epochs=100,
            batch=128,
            event_files=True,
            settings={"dense": _PUBLISHED},
        ),
        Preset(
            name="rows",
            summary="standardised rows without memory, for data whose rows stand for themselves",
            features="identity",
            scaling="standard",
            clip=None,
            score="clipped-mean",
            labels=label_rows,
            random_split=False,
            threshold="quantile:.99",
            epochs=30,
            break_is_stop=False,
        ),
    )
}


def preset_named(name: str) -> Preset:
    """The preset of that name. Raises DataError naming those there are."""
    if name not in PRESETS:
        raise DataError(f'there is no preset "{name}"; the presets are {", ".join(PRESETS)}')
    return PRESETS[name]
