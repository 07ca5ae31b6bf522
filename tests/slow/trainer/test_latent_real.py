"""What docs/latent.md says of the real file: missing cells of held-out rows, and generated rows beside real ones."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.detection.imputation import compare, mask_cells, mask_stretches
from sheetbreak.artifact import load
from sheetbreak.cli.commands import dispatch, run
from sheetbreak.engine.model import Artifact
from sheetbreak.history.reader import read_csv
from sheetbreak.rows import RowBatch
from tests.trainer.commands.test_latent_commands import far_apart
from trainer.data.history import fold_history

FIT_SHARE = 0.6


@pytest.fixture(scope="module")
def drawn_and_model(real_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RowBatch, Artifact]:
    """6,000 rows that a variational model of the real file drew, and the model."""
    models = tmp_path_factory.mktemp("variational") / "models"
    assert run(dispatch, ["train", str(real_csv), "--family", "variational", "--models", str(models)]) == 0
    out = models.parent / "drawn.csv"
    assert run(dispatch, ["generate", "--rows", "6000", "--models", str(models), "--out", str(out)]) == 0
    return read_csv(out)[1], load(models)


def scaled_features(rows: RowBatch, model: Artifact) -> np.ndarray:
    folded = fold_history(rows, model)
    return model.scorer.scale(folded.z[folded.warm & (folded.run >= 0)]).astype(np.float64)


def test_generated_rows_go_together_as_the_training_rows_more_than_their_two_halves_do(
    real_csv: Path, drawn_and_model: tuple[RowBatch, Artifact]
) -> None:
    """Root mean square difference of the correlations of 59 sensors: .096 against .170 from half to half."""
    drawn, model = drawn_and_model
    _, rows = read_csv(real_csv)
    fitted = scaled_features(rows.take(slice(0, round(FIT_SHARE * len(rows)))), model)
    halves = fitted[: len(fitted) // 2], fitted[len(fitted) // 2 :]
    made = scaled_features(drawn, model)
    assert far_apart(made, fitted) < 0.8 * far_apart(*halves)
    assert np.median(np.abs(made.mean(axis=0) - fitted.mean(axis=0)) / fitted.std(axis=0)) < 0.15
    assert 0.7 < np.median(made.std(axis=0) / fitted.std(axis=0)) < 1.1


def test_on_the_real_file_the_last_value_and_interpolation_beat_a_row_model(
    real_csv: Path, drawn_and_model: tuple[RowBatch, Artifact]
) -> None:
    """The plain truth that docs/latent.md tells; a change that turns it round should be noticed."""
    _, model = drawn_and_model
    _, rows = read_csv(real_csv)
    for masked in (mask_cells(rows), mask_stretches(rows, 10)):
        found = compare(rows, masked, model)
        assert found["cells"] > 8000
        assert found["linear"] < found["held"] < found["model"] < 1.3
        assert found["won_linear"] < 0.5
        assert found["score_hold"] < found["score_model"] < 0.06
