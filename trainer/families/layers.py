"""Layers that Keras does not have. Each acts in training alone: what is exported holds none of them.

model.keras names them by the package `sheetbreak`: `import trainer.families` before `keras.models.load_model` where
nothing else has.
"""

from typing import Any

import keras

PACKAGE = "sheetbreak"
_LOG_VARIANCE = 10.0
"""Log-variances are kept within ± this: beyond it a float32 sum of squares says nothing any more."""


@keras.saving.register_keras_serializable(PACKAGE)
class MaskingNoise(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Sets values to 0, each with probability `rate`; leaves the others as they are: dropout would enlarge them."""

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self._draws = keras.random.SeedGenerator()

    def call(self, inputs: Any, training: bool = False) -> Any:  # noqa: FBT001, FBT002 - Keras passes it so
        if not training:
            return inputs
        drawn = keras.random.uniform(keras.ops.shape(inputs), seed=self._draws)
        return keras.ops.where(drawn < self.rate, 0.0, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


@keras.saving.register_keras_serializable(PACKAGE)
class SparsityTarget(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Adds weight · Σ KL(target ‖ mean activation of a unit over the batch), for activations from 0 to 1.

    A. Ng, "Sparse autoencoder", CS294A lecture notes (2011), section 3.
    """

    def __init__(self, target: float, weight: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.weight = target, weight

    def call(self, inputs: Any) -> Any:
        active = keras.ops.clip(keras.ops.mean(inputs, axis=0), 1e-6, 1 - 1e-6)
        p = self.target
        divergence = p * keras.ops.log(p / active) + (1 - p) * keras.ops.log((1 - p) / (1 - active))
        self.add_loss(self.weight * keras.ops.sum(divergence))
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target": self.target, "weight": self.weight}


@keras.saving.register_keras_serializable(PACKAGE)
class ContractiveDense(keras.layers.Dense):  # type: ignore[misc]  # Keras ships no types
    """A dense layer of sigmoid or tanh that adds weight · ‖J‖², the squared Frobenius norm of its Jacobian, a window.

    S. Rifai et al., "Contractive auto-encoders" (ICML 2011), equation 7: for one such layer the norm is
    Σ_j slope(h_j)² Σ_i W_ij².
    """

    def __init__(self, units: int, *, weight: float, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.weight = weight

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # noqa: FBT001 - Keras passes it so
        active = super().call(inputs, training=training)
        tanh = self.activation is keras.activations.tanh
        slope = 1 - active**2 if tanh else active * (1 - active)
        norms = keras.ops.sum(slope**2 * keras.ops.sum(self.kernel**2, axis=0), axis=-1)
        self.add_loss(self.weight * keras.ops.mean(norms))
        return active

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}


@keras.saving.register_keras_serializable(PACKAGE)
class Sampling(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Draws a latent vector from the posterior while training, and is its mean else.

    Inputs: mean and log-variance, (n, latent) each. Adds weight · KL(posterior ‖ standard normal) a window; over
    the first `warm_up` windows that it is trained on the weight rises from 0. D. Kingma and M. Welling,
    "Auto-encoding variational Bayes" (2014), appendix B; the warm-up: S. Bowman et al. (2016).
    """

    def __init__(self, weight: float, *, warm_up: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.weight, self.warm_up = weight, warm_up
        self._draws = keras.random.SeedGenerator()
        self.seen = self.add_weight(name="seen", initializer="zeros", trainable=False)

    def call(self, inputs: Any, training: bool = False) -> Any:  # noqa: FBT001, FBT002 - Keras passes it so
        mean, log_variance = inputs[0], keras.ops.clip(inputs[1], -_LOG_VARIANCE, _LOG_VARIANCE)
        divergence = 0.5 * keras.ops.sum(keras.ops.exp(log_variance) + mean**2 - 1 - log_variance, axis=-1)
        risen = keras.ops.minimum(self.seen / self.warm_up, 1.0) if training and self.warm_up else 1.0
        self.add_loss(self.weight * risen * keras.ops.mean(divergence))
        if not training:
            return mean
        self.seen.assign_add(keras.ops.cast(keras.ops.shape(mean)[0], "float32"))
        drawn = keras.random.normal(keras.ops.shape(mean), seed=self._draws)
        return mean + keras.ops.exp(0.5 * log_variance) * drawn

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight, "warm_up": self.warm_up}
