"""Spoiled files: `inspect` and `monitor` take every line, as a row or by telling it, or refuse in one line."""

from pathlib import Path

import pytest

from benchmarks.fuzz_files import fuzz
from tests.support.models.mill import mill_csv, save_model


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_a_file_holds_no_line_is_lost_without_a_word_and_no_program_falls(
    tmp_path: Path, seed: int, capfd
) -> None:
    """2,000 lines through each; `python -m benchmarks.fuzz_files` is for a hundred thousand."""
    clean = mill_csv(tmp_path / "clean.csv", 1500, breaks=range(100, 1500, 150)).read_bytes().splitlines()
    save_model(tmp_path / "models")
    code = fuzz(clean, tmp_path / "models", lines=2000, seed=seed, keep=tmp_path / "kept")
    assert code == 0, capfd.readouterr().out
