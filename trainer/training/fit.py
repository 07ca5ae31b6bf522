"""Fitting: Adam over shuffled batches of break-free windows, the epoch with the best validation loss kept.

Training ends early when the validation loss has not fallen for `patience` epochs. An epoch takes at most
`epoch_windows` windows, drawn anew each time, so that millions of rows cost no more than their first part.

Its own loop instead of `model.fit`: one compiled graph runs a whole epoch over windows gathered in memory.
Measured on the real file (10,701 windows, 30 epochs, one thread): 0.9 s against 5.7 s, most of which was the
input pipeline.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from sheetbreak.engine.scores import Float32s
from sheetbreak.errors import DataError
from trainer.data.windows import Windows
from trainer.output.progress import Progress
from trainer.settings.values import CROSS_ENTROPY, Training
from trainer.training.backend import configure_tensorflow

LOSSES = {
    "mse": keras.losses.MeanSquaredError,
    "mae": keras.losses.MeanAbsoluteError,
    "huber": keras.losses.Huber,
    CROSS_ENTROPY: keras.losses.BinaryCrossentropy,
}
"""By the words of the setting `loss`; each the mean over a window's values."""
_WINDOWS_AT_ONCE = 4096


class EpochLoss(NamedTuple):
    """Mean loss a window, penalties included, of one epoch."""

    training: float
    validation: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained model and how it came about."""

    model: keras.Model
    history: list[EpochLoss]
    """One entry an epoch; empty for a model without trainable weights."""
    best_epoch: int | None
    """Index into history of the epoch whose weights were kept."""

    def reconstruct(self, windows: Float32s) -> Float32s:
        """What the model makes of windows: without the half second that its graph as ONNX would take."""
        parts = [
            np.asarray(self.model(windows[first : first + _WINDOWS_AT_ONCE], training=False), np.float32)
            for first in range(0, len(windows), _WINDOWS_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else windows


def fit_model(
    build: Callable[[], keras.Model],
    training: Training,
    *,
    fit: Windows,
    validation: Windows,
    progress: Progress | None = None,
    log_dir: Path | None = None,
) -> Fitted:
    """Build a model and train it to rebuild the windows of `fit`; the same seed gives the same weights.

    validation: chooses the epoch; where it is empty the training loss does. log_dir: TensorBoard event files
    go there. Raises DataError if there is nothing to learn from or the loss is no longer a finite number.
    """
    if not len(fit):
        raise DataError("no break-free row is left to train on; give more rows, or a larger first part in --split")
    configure_tensorflow()
    keras.utils.set_random_seed(training.seed)
    model = build()
    model(fit.gather(slice(1)))  # a Keras model can be exported only once it was called
    if not model.trainable_weights:
        return Fitted(model, [], None)
    model.compile(optimizer=keras.optimizers.Adam(training.learning_rate), loss=LOSSES[training.loss]())
    model.optimizer.build(model.trainable_variables)
    writers = _EventFiles(log_dir)
    batch = training.batch or batch_for(len(fit))
    validation = _spaced(validation, training.epoch_windows)
    epoch = _compile_epoch(model, batch, fit=fit)
    measure = _compile_measure(model, batch, validation=validation)
    shuffle = np.random.default_rng(training.seed)
    history: list[EpochLoss] = []
    best, best_weights = np.inf, model.get_weights()
    try:
        for done in range(1, training.epochs + 1):
            order = shuffle.permutation(len(fit))[: training.epoch_windows]
            loss = float(epoch(tf.constant(order, tf.int32)))
            validation_loss = float(measure()) if len(validation) else loss
            if not np.isfinite(loss + validation_loss):
                raise DataError(
                    f"training diverged in epoch {done} (loss {loss}, validation {validation_loss}); "
                    "look for sensors with enormous values, or lower it: --set learning_rate=1e-4"
                )
            history.append(EpochLoss(loss, validation_loss))
            if validation_loss < best:
                best, best_weights = validation_loss, model.get_weights()
            writers.write(done, history[-1])
            if progress:
                progress.epoch_done(done, loss=loss, validation_loss=validation_loss)
            if done - int(np.argmin([h.validation for h in history])) > training.patience:
                break
    finally:
        writers.close()
        if progress:
            progress.close()
    model.set_weights(best_weights)
    return Fitted(model, history, int(np.argmin([h.validation for h in history])))


def batch_for(windows: int) -> int:
    """Windows a step where nobody says: 128, fewer where an epoch would not have 16 steps, but at least 16."""
    return int(2 ** np.clip(np.floor(np.log2(max(windows / 16, 1))), 4, 7))


def _spaced(windows: Windows, most: int) -> Windows:
    """At most so many of the windows, evenly spaced."""
    return windows.take(np.arange(0, len(windows), -(-len(windows) // most) or 1))


def _compile_epoch(model: keras.Model, batch: int, *, fit: Windows) -> Any:
    """A graph that takes a permutation (n,) and returns the mean loss of an epoch of gradient steps."""
    rows, index = tf.constant(fit.rows), tf.constant(fit.index, tf.int32)

    def epoch(order: tf.Tensor) -> tf.Tensor:
        total, n = tf.constant(0.0), tf.shape(order)[0]
        for first in tf.range(0, n, batch):
            windows = tf.gather(rows, tf.gather(index, order[first : first + batch]))
            with tf.GradientTape() as tape:
                loss = model.compute_loss(x=windows, y=windows, y_pred=model(windows, training=True))
            weights = model.trainable_weights
            model.optimizer.apply(tape.gradient(loss, weights), weights)
            total += loss * tf.cast(tf.shape(windows)[0], tf.float32)
        return total / tf.cast(n, tf.float32)

    return tf.function(epoch, jit_compile=False)


def _compile_measure(model: keras.Model, batch: int, *, validation: Windows) -> Any:
    """A graph that returns the mean loss over the validation windows."""
    rows, index = tf.constant(validation.rows), tf.constant(validation.index, tf.int32)
    n = len(validation)

    def measure() -> tf.Tensor:
        total = tf.constant(0.0)
        for first in tf.range(0, n, batch):
            windows = tf.gather(rows, index[first : first + batch])
            loss = model.compute_loss(x=windows, y=windows, y_pred=model(windows, training=False), training=False)
            total += loss * tf.cast(tf.shape(windows)[0], tf.float32)
        return total / n

    return tf.function(measure, jit_compile=False)


class _EventFiles:
    """TensorBoard event files named as Keras's own callback names them: train and validation, epoch_loss."""

    def __init__(self, log_dir: Path | None) -> None:
        names = ("train", "validation") if log_dir else ()
        self._writers = [tf.summary.create_file_writer(str(log_dir / name)) for name in names if log_dir]

    def write(self, epoch: int, loss: EpochLoss) -> None:
        """Losses of one epoch, counted from 1."""
        for writer, value in zip(self._writers, loss, strict=False):
            with writer.as_default():
                tf.summary.scalar("epoch_loss", value, step=epoch - 1)

    def close(self) -> None:
        """Flush and close; also where the training was interrupted."""
        for writer in self._writers:
            writer.close()
