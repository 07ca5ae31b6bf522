"""An evaluation as a whole: means over folds, events over all of them, nothing that JSON cannot hold."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from sheetbreak.artifact import load
from sheetbreak.engine.advance import advance
from sheetbreak.rows import BROKEN, INTACT, RowBatch
from tests.support.data.histories import mill_like, schema_of
from tests.support.data.scored_examples import make_rows, scored_rows
from tests.support.models.mill import PERIOD_US, SENSORS, START_US, mill_values, save_model
from trainer.data.labels import label_rows
from trainer.evaluation.tables import deployed_table, evaluation_table, fold_table, scorer_table
from trainer.metrics.alarms import share_interval
from trainer.metrics.evaluation import evaluate, mean_known, measure
from trainer.metrics.scored_rows import ScoredRows, score_rows, unscored_rows
from trainer.metrics.worth import Costs
from trainer.output.text import WIDTH


def two_folds() -> list[ScoredRows]:
    rng = np.random.default_rng(5)
    folds = []
    for first in (0, 1000):
        score = rng.random(1000)
        breaks = [100, 400, 401 + 60, 700, 950]
        for b in breaks[:3]:
            score[b - 6 : b - 1] += 1.0
        folds.append(make_rows(score + first, breaks=breaks, opened=[395, 600], first_row=first))
    return folds


def test_row_metrics_are_means_over_the_folds_and_never_pooled():
    folds = two_folds()
    found = evaluate(folds)
    judged = [(part.will_break[part.judged], part.score[part.judged]) for part in folds]
    assert found.roc_auc == pytest.approx(np.mean([roc_auc_score(*one) for one in judged]))
    assert found.average_precision == pytest.approx(np.mean([average_precision_score(*one) for one in judged]))
    pooled = roc_auc_score(*map(np.concatenate, zip(*judged, strict=True)))
    assert found.roc_auc
    assert abs(found.roc_auc - pooled) > 0.05  # the folds lie 1000 apart: pooled, the drift alone would rank
    assert found.roc_auc_interval
    assert found.roc_auc_interval[0] < found.roc_auc < found.roc_auc_interval[1]


@pytest.mark.parametrize(
    ("breaks", "told"), [([100], False), ([100, 300, 500, 700], False), ([90, 300, 500, 700, 900], True)]
)
def test_of_fewer_than_five_breaks_no_figure_has_an_interval(breaks: list[int], told: bool):
    score = np.random.default_rng(5).random(1000)
    found = evaluate([make_rows(score, breaks=breaks, opened=[])])
    assert found.recall
    intervals = [found.roc_auc_interval, found.average_precision_interval, *(one.interval for one in found.recall)]
    assert [one is not None for one in intervals] == [told] * len(intervals)


def test_recall_is_the_mean_over_the_folds_and_what_was_deployed_is_counted_over_all():
    folds = two_folds()
    found = evaluate(folds)
    assert (found.rows, found.positives, found.breaks) == (1990, 20, 10)
    assert found.operating_days == pytest.approx(1990 / 720)
    alone = [evaluate([fold]) for fold in folds]
    assert len({(r.horizon_rows, r.false_alarms_per_day) for r in found.recall}) == 9
    for i, one in enumerate(found.recall):
        both = [fold.recall[i] for fold in alone]
        assert one.recall == pytest.approx(np.mean([r.recall for r in both]))
        assert one.chance == pytest.approx(np.mean([r.chance for r in both]))
        assert one.time_in_alarm == pytest.approx(np.mean([r.time_in_alarm for r in both]))
        assert one.threshold is None
        assert all(r.threshold is not None for r in both)
        assert one.interval
        assert one.interval[0] <= one.recall <= one.interval[1]
    assert found.recall[3].recall >= 0.3
    assert found.recall[3].chance < 0.2
    assert found.deployed
    assert (found.deployed.alerts, found.deployed.horizons[1].warned) == (4, 2)


def test_a_fold_without_breaks_counts_in_no_mean_but_in_the_days():
    folds = two_folds()
    quiet = make_rows(np.random.default_rng(8).random(720), opened=[300])
    found, without = evaluate([quiet, *folds]), evaluate(folds)
    assert [r.recall for r in found.recall] == [r.recall for r in without.recall]
    assert (found.roc_auc, found.breaks) == (without.roc_auc, without.breaks)
    assert found.operating_days == pytest.approx(without.operating_days + 1)
    assert found.deployed
    assert found.deployed.alerts == 5


def test_a_point_says_what_its_threshold_gives():
    rows = make_rows(np.r_[np.zeros(85), 1, 1, np.zeros(9), 1, 0, 0, 0, 0, 2, np.zeros(98)], breaks=[100])
    found = {(r.horizon_rows, r.false_alarms_per_day): r for r in evaluate([rows]).recall}[30, 10]
    assert (found.recall, found.threshold) == (1.0, 1.0)
    assert found.median_lead_minutes == 30.0
    assert found.time_in_alarm == pytest.approx((2 + 1 + 1) / 199)


def test_resampling_weighs_each_block_of_each_fold():
    """With constant figures in every block a resample changes nothing."""
    block = np.zeros(120)
    block[98] = 1.0
    score = np.tile(block, 6)
    figures = measure(make_rows(score, breaks=np.arange(99, 720, 120)))
    assert np.ptp(figures.resampled_auc) == pytest.approx(0.0, abs=1e-12)
    assert np.ptp(figures.resampled_precision) == pytest.approx(0.0, abs=1e-12)
    assert np.ptp(figures.points[10, 5].recall) == pytest.approx(0.0, abs=1e-12)


def test_folds_are_resampled_each_by_itself():
    fold = two_folds()[0]
    first, second = measure(fold, number=0), measure(fold, number=1)
    assert first.roc_auc == second.roc_auc
    assert not np.array_equal(first.resampled_auc, second.resampled_auc)
    both = evaluate([fold, fold]).roc_auc_interval
    alone = evaluate([fold]).roc_auc_interval
    assert both
    assert alone
    assert both[1] - both[0] < 0.85 * (alone[1] - alone[0])  # two folds: narrower by the root of two


def test_a_mean_leaves_out_what_is_not_known():
    found = mean_known([np.array([1.0, np.nan, np.nan]), np.array([3.0, 5.0, np.nan])])
    np.testing.assert_array_equal(found, [2.0, 5.0, np.nan])


@settings(max_examples=30)
@given(st.lists(scored_rows(max_rows=60, lead_rows=st.just(2)), min_size=1, max_size=3))
def test_whatever_the_rows_the_figures_are_numbers_or_null(parts):
    found = evaluate(parts)
    text = json.dumps(found.as_json(), allow_nan=False)
    assert all(math.isfinite(v) for v in numbers(json.loads(text)))
    table = evaluation_table(found, period_s=120.0, title="test rows")
    tables = [table, fold_table({"1": found}, period_s=120.0), deployed_table({"1": found}, period_s=120.0)]
    assert "nan" not in "".join(tables).lower()
    assert max(map(len, "\n".join(tables).splitlines())) <= WIDTH


def numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [n for v in value.values() for n in numbers(v)]
    if isinstance(value, list):
        return [n for v in value for n in numbers(v)]
    return [float(value)] if isinstance(value, int | float) else []


@pytest.mark.parametrize("rows", [make_rows([]), make_rows(np.zeros(50)), make_rows([np.nan] * 9, breaks=[5])])
def test_without_breaks_or_scores_there_is_no_figure_and_no_failure(rows):
    found = evaluate([rows])
    assert (found.roc_auc, found.average_precision, found.roc_auc_interval) == (None, None, None)
    assert found.recall == []
    assert "–" in evaluation_table(found, period_s=120.0, title="test rows")
    assert "–" in fold_table({"1": found}, period_s=120.0)
    assert "–" in scorer_table({"model": (found, found)}, {"other": None}, period_s=120.0)


def test_rows_picked_at_random_have_row_metrics_only():
    found = evaluate(two_folds(), events=False)
    assert found.roc_auc
    assert (found.recall, found.deployed) == ([], None)


def test_the_table_says_minutes_percent_and_chance():
    table = evaluation_table(evaluate(two_folds()), period_s=120.0, title="test rows")
    assert table.startswith("test rows: 1,990 rows, 2.8 operating days, 10 breaks\n")
    assert "at most 20 min ahead" in table
    assert "2 of 10 breaks warned of within 60 min (by chance" in table
    best = evaluate(two_folds()).recall[-1]  # 10 false alarms a day, the longest horizon
    assert (
        f"{100 * best.time_in_alarm:.0f} %" in table.split("meanwhile in alarm")[1].splitlines()[0].rsplit("  ", 1)[1]
    )
    folds = fold_table({"all": evaluate(two_folds())}, period_s=120.0)
    assert folds.splitlines()[-1].split()[-1] == f"{100 * best.time_in_alarm:.0f}"
    assert "at most 30 s ahead" in evaluation_table(evaluate(two_folds()), period_s=3.0, title="fast rows")


def test_what_will_run_and_what_it_is_worth_stand_before_what_hindsight_would_give():
    found = evaluate(two_folds())
    table = " ".join(
        evaluation_table(found, period_s=120.0, title="test rows", costs=Costs(of_break=20_000, of_alarm=0)).split()
    )
    assert table.index("Deployed threshold") < table.index("worth beyond luck") < table.index("in hindsight")
    assert "At 20,000 a break and 0 an alarm: cost 0, saved at most 40,000, of which luck" in table


def test_the_engine_s_results_are_put_in_order_by_machine(tmp_path):
    save_model(tmp_path / "models", level=1.5)
    model = load(tmp_path / "models")
    n = 300
    values = np.repeat(mill_values(n), 2, axis=0)
    values[1::2] = values[1::2][::-1]
    broken = np.full(2 * n, INTACT, np.int8)
    broken[[300, 302, 401, 500, 2 * n - 2]] = BROKEN  # b: rows 150, 151, 250 and its last one
    broken[1] = BROKEN  # a: its first one
    rows = RowBatch(["b", "a"] * n, START_US + PERIOD_US * np.repeat(np.arange(n), 2), values, [None] * (2 * n), broken)
    labels = label_rows(rows, model.manifest.schema)
    _, results = advance({}, rows, model)
    found = score_rows(rows, labels, results, model.manifest.schema)
    assert found.row.tolist() == [*range(0, 2 * n, 2), *range(1, 2 * n, 2)]
    assert np.array_equal(found.score, results.score[found.row], equal_nan=True)
    assert sorted(found.row[found.break_starts].tolist()) == [row for row, _ in results.breaks]
    assert len(results.breaks) == 5
    assert np.array_equal(found.over, results.over[found.row])
    assert found.opened.sum() == sum(e.kind == "opened" for _, e in results.alerts) > 3
    assert (np.diff(found.run[:n]) >= 0).all()
    assert not set(found.run[:n]) & set(found.run[n:])
    assert found.alert_open[found.opened].all()
    part = found.of_file_rows(np.arange(400, 600))
    assert sorted(part.row.tolist()) == list(range(400, 600))
    with pytest.raises(ValueError, match="labels"):
        score_rows(rows.take(slice(0, 5)), labels, results, model.manifest.schema)
    assert SENSORS


def test_an_alert_of_one_machine_is_not_open_on_another(tmp_path):
    save_model(tmp_path / "models", level=1.5)
    model = load(tmp_path / "models")
    n = 200
    quiet, loud = np.zeros((n, len(SENSORS))), np.zeros((n, len(SENSORS)))
    loud[150:, 0] = 50.0
    rows = RowBatch(
        ["loud"] * n + ["quiet"] * n,
        np.tile(START_US + PERIOD_US * np.arange(n), 2),
        np.vstack([loud, quiet]),
        [None] * (2 * n),
        np.zeros(2 * n, np.int8),
    )
    _, results = advance({}, rows, model)
    found = score_rows(rows, label_rows(rows, model.manifest.schema), results, model.manifest.schema)
    assert found.alert_open[150:160].all()
    assert not found.alert_open[n:].any()


def test_a_share_of_few_breaks_has_the_exact_interval_and_an_area_of_few_has_none():
    assert share_interval(0, 5) == pytest.approx((0.0, 0.5218), abs=1e-4)  # 1 - .025 ** (1 / 5)
    assert share_interval(5, 5) == pytest.approx((0.4782, 1.0), abs=1e-4)
    assert share_interval(1, 10) == pytest.approx((0.0025, 0.4450), abs=1e-4)
    assert share_interval(0, 0) is None
    history = mill_like(900, break_every=200)
    rows = unscored_rows(history, label_rows(history, schema_of(6)), schema_of(6))
    few = evaluate([rows.with_score(np.random.default_rng(1).normal(size=len(rows)))])
    assert (few.breaks, few.roc_auc is None, few.roc_auc_interval) == (4, False, None)
    assert few.average_precision_interval is None
    assert few.deployed
    assert few.deployed.horizons[-1].recall_interval == share_interval(0, 4)
    table = deployed_table({"all 1": few}, period_s=120)
    assert "all 1: 0 of 4 breaks within 60 min, 95 % 0–60 %; so few breaks say next to nothing" in " ".join(
        table.split()
    )
