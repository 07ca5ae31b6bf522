"""Encoding: the latent codes of every scored row."""

import numpy as np

from sheetbreak.engine.admission import RUN
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scores import Float32s
from sheetbreak.engine.state import RESTARTING, SCORED
from sheetbreak.rows import RowBatch
from trainer.latent.model import Halves

_WINDOWS_AT_ONCE = 4096


def encode(rows: RowBatch, artifact: Artifact, halves: Halves) -> tuple[np.ndarray, Float32s, list[str]]:
    """Row numbers of the scored rows, their latent features (n, latent), and whether each is scored or restarting."""
    from trainer.data.inputs import compute_inputs

    manifest = artifact.manifest
    inputs = compute_inputs(
        rows,
        manifest.schema,
        features=manifest.features,
        window=manifest.window,
        break_is_stop=manifest.break_is_stop,
    )
    scored = inputs.scored
    restarting = {
        place
        for one in inputs.admitted.values()
        for place, what, since_restart in one.steps
        if what == RUN and since_restart < manifest.policy.restart_rows
    }
    states = [RESTARTING if row in restarting else SCORED for row in scored.tolist()]
    windows = inputs.windows(scored, manifest.scaler)
    latent = halves.encoder.output_shape[1:]
    parts = [np.empty((0, *latent), np.float32)]
    for first in range(0, len(windows), _WINDOWS_AT_ONCE):
        some = windows.gather(slice(first, first + _WINDOWS_AT_ONCE))
        parts.append(np.asarray(halves.encoder(some, training=False), np.float32))
    return scored, np.concatenate(parts), states
