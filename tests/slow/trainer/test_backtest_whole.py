"""Whole backtests: the figures of the real mill file, and every baseline beside the model."""

import json

import pytest

from tests.support.data.histories import mill_like
from tests.trainer.evaluation.test_backtest import write_csv
from trainer.commands.backtest import main
from trainer.evaluation.fold_baselines import TITLES


def test_the_default_ranks_rows_before_a_break_on_later_rows(real_csv, tmp_path):
    assert main([str(real_csv), "--json", "b.json"]) == 0
    found = json.loads((tmp_path / "b.json").read_text())
    assert found["data"] | {"sha256": ""} == {
        "csv": real_csv.name,
        "sha256": "",
        "rows": 18398,
        "break_rows": 124,
    }
    assert found["overall"]["roc_auc"] >= 0.66
    assert found["later"]["roc_auc"] >= 0.64


def test_events_of_pca_come_out_as_detection_measured_them(real_csv, tmp_path):
    """Of the later folds of PCA, recall (chance): H10 at 5 a day .36 (.16), H30 at 5 .43 (.27), H30 at 10 .67 (.47).
    50 breaks: .02 is one of them. Chance is the same search over shifted scores and has the noise of four folds, too.
    """
    assert main([str(real_csv), "--family", "pca", "--json", "b.json"]) == 0
    later = json.loads((tmp_path / "b.json").read_text())["later"]
    assert later["breaks"] == 50
    recall = {(r["horizon_rows"], r["false_alarms_per_day"]): r for r in later["recall"]}
    for point, measured, chance in (((10, 5), 0.36, 0.16), ((30, 5), 0.43, 0.27), ((30, 10), 0.67, 0.47)):
        assert recall[point]["recall"] == pytest.approx(measured, abs=0.16)
        assert recall[point]["chance"] == pytest.approx(chance, abs=0.08)


def test_with_baselines_every_baseline_stands_beside_the_model(tmp_path):
    path = write_csv(tmp_path / "mill.csv", mill_like(1000))
    assert main([str(path), "--schema", "plant.toml", "--family", "pca", "--baselines", "--json", "b.json"]) == 0
    found = json.loads((tmp_path / "b.json").read_text())
    for part in (*found["folds"], found["overall"], found["later"]):
        assert part["baselines"].keys() == TITLES.keys()
        assert all(baseline["rows"] > 0 for baseline in part["baselines"].values())
