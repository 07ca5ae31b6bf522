"""Absurd cells in a history: no part of the spread that a machine begins with."""

import numpy as np
import pytest

from tests.support.histories import mill_like, schema_of, with_values
from trainer.data.far_cells import far_cells
from trainer.data.inputs import fit_features

SCHEMA = schema_of(6)


def starts(values: np.ndarray) -> np.ndarray:
    rows = with_values(mill_like(len(values), break_every=None), values)
    return np.array(fit_features(rows, np.arange(len(values)), kind="streaming-z", schema=SCHEMA).start_sd)


@pytest.mark.parametrize("absurd", [1e200, 1e35, -9999.0, 4095.0])
def test_absurd_cells_widen_no_spread(absurd: float) -> None:
    clean = mill_like(1000, break_every=None).values
    dirty = clean.copy()
    dirty[10::97, 2] = absurd
    assert far_cells(dirty)[:, 2].sum() == len(dirty[10::97])
    np.testing.assert_allclose(starts(dirty), starts(clean), rtol=0.05)


def test_a_sensor_that_never_moved_has_a_spread_of_its_own_size() -> None:
    values = mill_like(500, break_every=None).values
    values[:, 1], values[:, 3] = 0.002, 2e6
    assert starts(values)[[1, 3]] == pytest.approx([2e-5, 2e4])
