"""Model families: each one plain function from training windows to a Keras model of one tensor shape.

Every model maps float32 (n, window, sensors) to the same shape, so that the monitor scores each of them through the
same ONNX call. A family's keyword arguments are its settings (trainer/families/settings.py); `Family` names its
defaults of the common ones where they differ. A model that learns is trained by trainer/training/fit.py; one without
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

from trainer.families.contractive import contractive
from trainer.families.conv import conv
from trainer.families.denoising import denoising
from trainer.families.dense import dense
from trainer.families.lstm import lstm, lstm_variational
from trainer.families.pca import pca
from trainer.families.settings import Family, Value
from trainer.families.sparse import sparse
from trainer.families.variational import variational

_SEQUENCE: dict[str, Value] = {"window": 15, "patience": 5, "epoch_windows": 8192}
"""15 rows: as long after a restart no alert may open anyway, so a window that must first fill costs none. The rest
keeps a training within minutes: neighbouring windows share all rows but one."""

FAMILIES: dict[str, Family] = {
    "dense": Family(dense),
    "denoising": Family(denoising),
    "sparse": Family(sparse),
    "contractive": Family(contractive),
    "variational": Family(variational),
    "conv": Family(conv, _SEQUENCE),
    "lstm": Family(lstm, _SEQUENCE),
    "lstm-variational": Family(lstm_variational, _SEQUENCE),
    "pca": Family(pca, learns=False),
}
