"""Encoding: the latent codes of every scored row."""

import numpy as np

from sheetbreak.engine.model import Artifact, Float32s
from sheetbreak.engine.state import RESTARTING, SCORED
from sheetbreak.rows import RowBatch
from trainer.latent.model import Halves

_WINDOWS_AT_ONCE = 4096


def encode(rows: RowBatch, artifact: Artifact, halves: Halves) -> tuple[np.ndarray, Float32s, list[str]]:
    """Row numbers of the scored rows, their latent features (n, latent), and whether each is scored or restarting."""
    from trainer.data.history import score_history
    from trainer.data.inputs import compute_inputs

    manifest = artifact.manifest
    outcome = score_history(rows, artifact)[1].outcome
    inputs = compute_inputs(
        rows,
        manifest.schema,
        features=manifest.features,
        window=manifest.window,
        break_is_stop=manifest.break_is_stop,
    )
    scored = inputs.scored
    states = [outcome[row] for row in scored.tolist()]
    assert set(states) <= {SCORED, RESTARTING}
    windows = inputs.windows(scored, manifest.scaler)
    latent = halves.encoder.output_shape[1:]
    parts = [np.empty((0, *latent), np.float32)]
    for first in range(0, len(windows), _WINDOWS_AT_ONCE):
        some = windows.gather(slice(first, first + _WINDOWS_AT_ONCE))
        parts.append(np.asarray(halves.encoder(some, training=False), np.float32))
    return scored, np.concatenate(parts), states
