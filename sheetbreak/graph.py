"""The graph of a model: ONNX as a reconstruction, and its trial on golden rows before it may score any other."""

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

import numpy as np
import numpy.typing as npt

from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Float32s, Reconstruct
from sheetbreak.errors import ArtifactError

GOLDEN_TOLERANCE = 1e-5
"""Relative: ONNX Runtime on another processor may round otherwise; a wrong model is off by far more."""
_GOLDEN_BYTES = 256 * 1024 * 1024
"""Unpacked: a zip of 1 MB can hold 1 GB."""
_TRIAL_S = 5.0
"""A graph may hold loops; golden rows take milliseconds."""


class Graph:
    """An ONNX graph of one input, ready to run, on one thread (one row takes 10 µs; threads cost more)."""

    def __init__(self, model: bytes) -> None:
        """model: the file's content. Raises ArtifactError when ONNX Runtime does not take it."""
        # ONNX Runtime's own builds write an id of this machine to ~/.cache as they are imported and send events to
        # Microsoft; only this variable, set before, prevents both (disable_telemetry_events comes too late).
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as cause:  # its exceptions share no public base
            what = _one_line(cause)
            raise ArtifactError(f"the model is not a graph that ONNX Runtime takes: {what}; train again") from cause
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or not outputs or inputs[0].type != "tensor(float)":
            found = f"{len(inputs)} inputs ({', '.join(one.type for one in inputs)}) and {len(outputs)} outputs"
            raise ArtifactError(
                f"the model's graph has {found}, expected one input of floats, the windows; train again"
            )
        self._name = inputs[0].name

    def reconstruct(self, windows: Float32s) -> Float32s:
        """(n, window, sensors) scaled features -> the same, rebuilt."""
        rebuilt: Float32s = self._session.run(None, {self._name: windows})[0]
        return rebuilt

    def try_out(self, windows: Float32s) -> Float32s:
        """`reconstruct` within a bounded time, its answer checked. Raises ValueError, or what ONNX Runtime raises."""
        with _ended_in_time() as options:
            rebuilt: Any = self._session.run(None, {self._name: windows}, options)[0]
        if not isinstance(rebuilt, np.ndarray) or rebuilt.shape != windows.shape or rebuilt.dtype.kind != "f":
            shape, kind = getattr(rebuilt, "shape", "?"), getattr(rebuilt, "dtype", type(rebuilt).__name__)
            raise ValueError(f"of windows {windows.shape} it makes {kind} {shape}, expected floats of the same shape")
        if not np.isfinite(rebuilt).all():
            raise ValueError("it makes values that are no finite numbers")
        return rebuilt


@contextmanager
def _ended_in_time() -> Iterator[Any]:
    import onnxruntime

    options = onnxruntime.RunOptions()
    timer = Timer(_TRIAL_S, setattr, (options, "terminate", True))
    timer.start()
    try:
        yield options
    finally:
        timer.cancel()


def onnx_reconstruct(model: bytes) -> Reconstruct:
    """The reconstruction that an ONNX graph computes. Raises ArtifactError when ONNX Runtime does not take it."""
    return Graph(model).reconstruct


def check_golden(artifact: Artifact, graph: Graph, golden: bytes) -> None:
    """Score the golden rows again, in batches of several sizes, and rows at the ends of the scale.

    golden: a .npz of windows and scores. Raises ArtifactError where the model does not score them as at training.
    """
    manifest, scorer = artifact.manifest, artifact.scorer
    try:
        windows, expected = _read_golden(golden, (manifest.window, len(manifest.schema.sensors)))
        # A graph may take batches of one size alone, or rows that are like training's alone.
        again = np.concatenate([windows, windows[:1]])
        scores, *others = (
            scorer.scores(scorer.contributions(rows, graph.try_out(rows))) for rows in (windows, windows[:1], again)
        )
        for limit in scorer.limits:
            graph.try_out(np.full_like(windows[:1], limit))
    except Exception as cause:  # whatever ONNX Runtime or a shape makes of an unfit graph
        raise ArtifactError(f"the model cannot score its golden rows: {_one_line(cause)}; train again") from cause
    for found, known in ((scores, expected), (others[0], expected[:1]), (others[1], np.append(expected, expected[0]))):
        if not np.allclose(found, known, rtol=GOLDEN_TOLERANCE, atol=1e-9):
            worst = float(np.max(np.abs(found - known)))
            raise ArtifactError(f"golden rows score otherwise than at training, by {worst:.2g}; train again")


def _one_line(cause: Exception) -> str:
    return " ".join(str(cause).split())


def _read_golden(content: bytes, shape: tuple[int, int]) -> tuple[Float32s, npt.NDArray[np.float64]]:
    """Windows (n, *shape) and their scores (n,), n at least 1, all finite. Raises ValueError, or as numpy does."""
    with zipfile.ZipFile(io.BytesIO(content)) as members:
        if sum(member.file_size for member in members.infolist()) > _GOLDEN_BYTES:
            raise ValueError(f"golden rows of more than {_GOLDEN_BYTES} bytes")
    with np.load(io.BytesIO(content), allow_pickle=False) as golden:
        windows, expected = golden["windows"], golden["scores"]
    if windows.shape[1:] != shape or windows.dtype != np.float32 or expected.shape != windows.shape[:1]:
        raise ValueError(f"golden rows of shape {windows.shape}, expected (n, {shape[0]}, {shape[1]}) and n scores")
    if not len(windows):
        raise ValueError("there are none, expected 1 or more")
    if not (np.isfinite(windows).all() and np.isfinite(expected.astype(np.float64)).all()):
        raise ValueError("golden rows or scores that are no finite numbers")
    return windows, expected.astype(np.float64)
