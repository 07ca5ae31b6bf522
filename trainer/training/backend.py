"""Backend: TensorFlow made quiet and repeatable; call before the first Keras model is built."""

import gc
import importlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO

from trainer.output.progress import loading

CHATTER = re.compile(rb"absl::InitializeLog|cudart_stub|port\.cc:|cuda drivers|cpu_feature_guard|\boneDNN\b")
"""What TensorFlow's build with GPU support says at import on a machine without one. It is written before the logging
starts that TF_CPP_MIN_LOG_LEVEL governs, so no setting of TensorFlow's own stops it."""


def configure_tensorflow(*, tell: TextIO | None = None) -> None:
    """The same seed gives the same weights from now on, on one machine; calling it again changes nothing.

    One thread: these nets are small (a second thread made the default no faster), sums then have one order,
    and `backtest` and `compare` run one process a core. tell: where a command says that it is loaded, if it is not yet.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before the import: start-up chatter about CPU features
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # else sums are ordered by what the processor can do
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if "tensorflow" not in sys.modules:
        told: AbstractContextManager[None] = nullcontext() if tell is None else loading("TensorFlow", tell)
        with told, without_chatter(), without_collector():
            for library in ("keras", "tensorflow"):  # after their environment is set
                importlib.import_module(library)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


@contextmanager
def without_collector() -> Iterator[None]:
    """What is loaded meanwhile stays for good, so the garbage collector never looks at it.

    It is half a million objects, and Keras collects before every fit: a fifth of a second each time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def without_chatter() -> Iterator[None]:
    """Leaves the lines of CHATTER out of what is written to standard error, by C++ too; the rest comes at the end."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            said.seek(0)
            for line in said:
                if not CHATTER.search(line):
                    os.write(2, line)
