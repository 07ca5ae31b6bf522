"""TensorFlow made quiet and repeatable: call before the first Keras model is built."""

import os


def configure_tensorflow() -> None:
    """The same seed gives the same weights from now on, on one machine; calling it again changes nothing.

    One thread: these nets are small (a second thread made the default no faster), sums then have one order,
    and `backtest` and `compare` run one process a core.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before the import: start-up chatter about CPU features
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # else sums are ordered by what the processor can do
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import tensorflow as tf  # after its environment is set

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
