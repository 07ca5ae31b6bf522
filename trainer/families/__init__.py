"""Model families: each one plain function from training windows to a Keras model of one tensor shape.

Every model maps float32 (n, window, sensors) to the same shape, so that the monitor scores each of them through the
same ONNX call. A family's keyword arguments are its settings (trainer/settings/values.py). The table of families
(trainer/settings/families.py) names the function, which is imported when it is needed, and its defaults of the common
settings where they differ. A model that learns is trained by trainer/training/fit.py; one without
trainable weights comes complete. Noise, sampling and penalties belong into layers that vanish outside training: what is
exported is the scoring graph.

Every model is two, joined, and model.keras gives them back by name:

    model = keras.models.load_model("models/current/model.keras")
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    codes = encoder(windows)            # (n, latent)
    decoder(codes)                      # (n, window, sensors), what model(windows) gives

so `decoder` takes any latent vector, drawn or moved, and the layer of the encoder that gives it is called `latent`.
In a variational family that layer is a `layers.Sampling`: its latent vectors have a standard normal prior, so
`decoder(standard normal draws)` gives windows like those it learnt, and `encoder` has `latent_mean` and
`latent_log_variance` beside it.
"""

from trainer.families import layers
from trainer.settings.families import FAMILIES

__all__ = ["FAMILIES", "layers"]
