"""The benchmark on public plants: its scores by hand, its files, and one plant of each kind from end to end."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.detection.public import FAULT_FROM, detect, main
from benchmarks.detection.public_files import plants_in, read_numbers
from sheetbreak.errors import DataError

SENSORS = 5


def flags(text: str) -> np.ndarray:
    return np.array([letter == "x" for letter in text])


def test_scores_are_those_that_one_computes_by_hand() -> None:
    """Attacks of four and two rows: one is found after a row, the other never; of six normal rows one is over."""
    found = detect(flags("x..xx......."), flags("..xxxx....xx"))
    assert (found.found, found.attacks) == (1, 2)
    assert found.precision == pytest.approx(2 / 3)
    assert found.recall == pytest.approx(2 / 6)
    assert found.f1 == pytest.approx(2 * (2 / 3) * (1 / 3) / (2 / 3 + 1 / 3))
    assert found.s == pytest.approx(((1 - (1 / 4 + 1) / 2) + (2 / 6 + 5 / 6) / 2) / 2)


def test_silence_and_a_perfect_detector_are_the_ends_of_the_scale() -> None:
    attacked = flags("..xx..")
    assert detect(attacked, attacked)[:2] == (1.0, 1.0)
    assert detect(flags("......"), attacked)[:2] == (0.0, 0.25)
    with pytest.raises(DataError, match="rows of both are needed"):
        detect(attacked, flags("......"))


def test_a_gzipped_file_is_read_as_the_plain_one_and_a_ragged_line_is_named(tmp_path: Path) -> None:
    text = "  1.5e+00  2\n 3 4\n"
    (tmp_path / "a.dat").write_text(text)
    (tmp_path / "b.dat.gz").write_bytes(gzip.compress(text.encode()))
    assert read_numbers(tmp_path / "a.dat").tolist() == [[1.5, 2.0], [3.0, 4.0]]
    assert read_numbers(tmp_path / "b.dat.gz").tolist() == read_numbers(tmp_path / "a.dat").tolist()
    for wrong, said in (
        ("1 2\n3\n", "line 2: 1 numbers, line 1 has 2"),
        ("1 x\n", "line 1: could not"),
        ("", "no row"),
    ):
        (tmp_path / "a.dat").write_text(wrong)
        with pytest.raises(DataError, match=said):
            read_numbers(tmp_path / "a.dat")
    (tmp_path / "b.dat.gz").write_bytes(gzip.compress(text.encode())[:-9])
    with pytest.raises(DataError, match="fetch it again"):
        read_numbers(tmp_path / "b.dat.gz")


def test_a_folder_without_a_plant_is_told_what_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"train.csv, test.csv and schema.toml"):
        plants_in(tmp_path)
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "docs/benchmarks.md says where" in capsys.readouterr().err


def correlated(draw: np.random.Generator, rows: int) -> np.ndarray:
    """(rows, SENSORS) that follow two hidden ones."""
    hidden, mixed = draw.normal(size=(rows, 2)), np.array([[1.0, 2, 1, 0, 1], [0, 1, -1, 2, 1]])
    found: np.ndarray = hidden @ mixed + draw.normal(0, 0.1, (rows, SENSORS))
    return found


def test_both_kinds_of_plant_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(5)
    faulty = correlated(draw, FAULT_FROM + 200)
    faulty[FAULT_FROM:, 1] += 3.0
    faults = tmp_path / "faults"
    faults.mkdir()
    np.savetxt(faults / "d00.dat", correlated(draw, 500).T)
    np.savetxt(faults / "d00_te.dat", correlated(draw, 400))
    np.savetxt(faults / "d01_te.dat", faulty)
    pair = tmp_path / "pair"
    pair.mkdir()
    header = ",".join(f"s{number}" for number in range(SENSORS))
    np.savetxt(pair / "train.csv", correlated(draw, 500), delimiter=",", header=header, comments="")
    label = (np.arange(len(faulty)) >= FAULT_FROM).astype(float)
    tested = np.column_stack([faulty, label])
    np.savetxt(pair / "test.csv", tested, delimiter=",", header=f"{header},attack", comments="")
    (pair / "schema.toml").write_text('[columns]\nbroken = "attack"\n[sampling]\nperiod_s = 60.0\nlead_rows = 0\n')
    assert main([str(tmp_path), "--families", "pca", "--seeds", "1", "--json", str(tmp_path / "all.json")]) == 0
    by_plant = {one["plant"]: one for one in json.loads((tmp_path / "all.json").read_text())}
    assert set(by_plant) == {"faults", "pair"}
    assert by_plant["faults"]["fault rows over"] > 0.95
    assert by_plant["faults"]["fault rows over at 1 % of d00_te"] > 0.95
    assert by_plant["faults"]["normal rows over, d00_te"] < 0.04
    assert by_plant["pair"]["F1 of rows over"] > 0.95
    assert by_plant["pair"]["found"] == "1 of 1 attacks"
    assert "fault 01: " in capsys.readouterr().out
