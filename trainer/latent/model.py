"""Model for latent work: the artifact of encode, impute and generate, and its two halves from model.keras."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sheetbreak.artifact import list_versions, load
from sheetbreak.cli.options import OptionParser
from sheetbreak.engine.model import Artifact
from sheetbreak.errors import ArtifactError

if TYPE_CHECKING:
    import keras

KERAS_MODEL = "model.keras"


class Halves(NamedTuple):
    """A model in two: decoder(encoder(windows)) is what it rebuilds."""

    encoder: "keras.Model"
    """(n, window, sensors) scaled -> (n, latent)."""
    decoder: "keras.Model"
    """(n, latent) -> (n, window, sensors) scaled."""


def add_model_options(parser: OptionParser) -> None:
    """`--models` and `--model`."""
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="DIR", help="where the models are")
    parser.add_argument("--model", metavar="VERSION", help="one of them (default: the current one)")


def load_chosen(options: argparse.Namespace) -> Artifact:
    """The artifact that the options name, its hashes and golden rows checked. Raises ArtifactError."""
    models: Path = options.models
    if options.model and options.model not in list_versions(models):
        raise ArtifactError(f"{models} holds no model {options.model}; sheetbreak models lists those it holds")
    return load(models, options.model)


def load_halves(models: Path, artifact: Artifact) -> Halves:
    """Encoder and decoder of an artifact whose hashes were checked. Raises ArtifactError.

    In Keras's safe mode: a file that would run code of its own is refused.
    """
    from trainer.training.backend import configure_tensorflow

    configure_tensorflow(tell=sys.stderr)
    import keras

    import trainer.families  # noqa: F401 - the layers of its own that a model may have

    path = models / artifact.version / KERAS_MODEL
    if KERAS_MODEL not in artifact.manifest.files:
        raise ArtifactError(f"{path.parent}: the manifest lists no {KERAS_MODEL}; train again")
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
        return Halves(model.get_layer("encoder"), model.get_layer("decoder"))
    except Exception as cause:  # Keras raises whatever a file's content comes upon
        raise ArtifactError(
            f"{path} has no encoder and decoder that can be loaded: {cause}; train the model again with this version"
        ) from cause
