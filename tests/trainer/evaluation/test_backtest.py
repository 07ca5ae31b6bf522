"""A backtest: nothing learnt from later rows, every scorer judged on the same rows, and its files."""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from sheetbreak.errors import DataError
from sheetbreak.rows import BROKEN, RowBatch
from sheetbreak.times import format_time
from tests.support.data.histories import mill_like, schema_of, with_values
from trainer.commands.backtest import _progress, main
from trainer.evaluation.backtest import judge_folds, report_text
from trainer.evaluation.baselines import ecod, mean_abs_z
from trainer.evaluation.fold_baselines import TITLES
from trainer.evaluation.folds import Fold, rolling_origin, run_fold
from trainer.output.progress import Progress
from trainer.output.text import WIDTH
from trainer.training.pipeline import Recipe, choose_threshold, fit_pipeline
from trainer.training.presets import preset_named

Display = Callable[[str], Callable[[int], Progress] | None]
SCHEMA = schema_of(6)
ROWS = mill_like(1500)
PLANT = """
[columns]
time = "time"
broken = "broken"
machine = "machine"
"""


def recipe(preset: str = "default", *, family: str = "pca") -> Recipe:
    return Recipe(preset=replace(preset_named(preset), epochs=2), family=family)


def silent(_label: str) -> None:
    return None


def fold_of(
    rows: RowBatch, number: int, made_by: Recipe, *, with_costly: bool = False, progress: Display = silent
) -> Fold:
    return run_fold(
        number,
        rolling_origin(ROWS.times_us)[number - 1],
        rows,
        SCHEMA,
        labels=made_by.preset.labels(rows, SCHEMA),
        recipe=made_by,
        with_costly=with_costly,
        progress=progress,
    )


def write_csv(path: Path, rows: RowBatch, *, labelled: bool = True) -> Path:
    """The rows as a CSV, and plant.toml beside it."""
    with path.open("w", encoding="utf-8") as file:
        file.write("time,machine," + ("broken," if labelled else "") + ",".join(SCHEMA.sensors) + "\n")
        for i in range(len(rows)):
            label = f"{int(rows.broken[i])}," if labelled else ""
            values = ",".join(map(repr, rows.values[i].tolist()))
            file.write(f"{format_time(int(rows.times_us[i]))},{rows.machines[i]},{label}{values}\n")
    plant = PLANT if labelled else PLANT.replace('broken = "broken"\n', "")
    path.with_name("plant.toml").write_text(plant, encoding="utf-8")
    return path


def test_a_fold_scores_its_rows_as_a_training_on_its_past_does():
    fold = fold_of(ROWS, 5, recipe())
    labels = recipe().preset.labels(ROWS, SCHEMA)
    trained = choose_threshold(fit_pipeline(ROWS, SCHEMA, labels=labels, split=fold.split, recipe=recipe()))
    np.testing.assert_array_equal(fold.model.score, trained.results.score[fold.split.test])
    np.testing.assert_array_equal(fold.model.over, trained.honest.over[fold.split.test])
    assert fold.model.row.tolist() == fold.split.test.tolist()
    assert fold.threshold == trained.artifact.manifest.threshold.policy
    assert fold.seconds > 0


@pytest.mark.parametrize("preset", ["default", "article"])
def test_no_score_of_a_fold_depends_on_rows_after_it(preset):
    before = fold_of(ROWS, 4, recipe(preset), with_costly=True)
    later = ROWS.values.copy()
    later[before.split.test[-1] + 1 :] = -50 * later[before.split.test[-1] + 1 :] + 7
    after = fold_of(with_values(ROWS, later), 4, recipe(preset), with_costly=True)
    np.testing.assert_array_equal(before.model.score, after.model.score)
    assert before.threshold == after.threshold
    for name in before.baselines:
        np.testing.assert_array_equal(before.baselines[name].score, after.baselines[name].score, err_msg=name)


def test_nothing_but_the_past_is_learnt_even_by_baselines():
    """Other test rows leave the score of the first one as it is."""
    before = fold_of(ROWS, 4, recipe(), with_costly=True)
    test = before.split.test
    other = ROWS.values.copy()
    other[test[20:]] += 40.0
    after = fold_of(with_values(ROWS, other), 4, recipe(), with_costly=True)
    for name in before.baselines:
        np.testing.assert_allclose(before.baselines[name].score[:20], after.baselines[name].score[:20], err_msg=name)
        if name != "rows-since-break":
            assert not np.allclose(before.baselines[name].score, after.baselines[name].score, equal_nan=True), name


def test_baselines_are_the_same_whatever_model_they_stand_beside():
    beside_default = fold_of(ROWS, 6, recipe("default"), with_costly=True)
    beside_rows = fold_of(ROWS, 6, recipe("rows"), with_costly=True)
    assert beside_default.baselines.keys() == beside_rows.baselines.keys() == TITLES.keys()
    for name in TITLES:
        np.testing.assert_array_equal(
            beside_default.baselines[name].score, beside_rows.baselines[name].score, err_msg=name
        )


def test_no_scorer_scores_a_row_at_which_the_sheet_is_broken():
    fold = fold_of(ROWS, 6, recipe(), with_costly=True)
    assert fold.model.broken.sum() >= 2
    for name, baseline in (("model", fold.model), *fold.baselines.items()):
        assert not baseline.scored[baseline.broken].any(), name
        assert baseline.scored[~baseline.broken].all(), name


def test_cheap_baselines_stand_beside_every_model_and_the_published_one_not_beside_itself():
    assert [*fold_of(ROWS, 2, recipe()).baselines] == ["rows-since-break", "mean-abs-z"]
    published = fold_of(ROWS, 2, recipe("article", family="dense"), with_costly=True)
    assert TITLES.keys() - published.baselines.keys() == {"published"}


def test_the_published_model_is_trained_by_its_own_recipe_and_judged_by_our_labels():
    times = ROWS.times_us.copy()
    times[119:] += 3_600_000_000  # a stop right before a break: the published labels reach across it
    rows = replace(ROWS, times_us=times)
    assert rows.broken[119] == BROKEN
    beside = fold_of(rows, 3, recipe(), with_costly=True)
    article = Recipe(preset=preset_named("article"), policy="quantile:.99")
    alone = fold_of(rows, 3, article)
    np.testing.assert_array_equal(beside.baselines["published"].score, alone.model.score)
    np.testing.assert_array_equal(beside.baselines["published"].will_break, beside.model.will_break)


def test_ecod_is_fitted_on_break_free_rows_of_the_past_raw_or_as_z():
    fold = fold_of(ROWS, 3, recipe(), with_costly=True)
    labels = recipe().preset.labels(ROWS, SCHEMA)
    trained = choose_threshold(fit_pipeline(ROWS, SCHEMA, labels=labels, split=fold.split, recipe=recipe()))
    past = fold.split.fit[labels.normal[fold.split.fit]]
    scored = fold.split.test[fold.model.scored]
    values = ROWS.values.astype(np.float32).astype(np.float64)
    z = trained.inputs.features.astype(np.float64)
    warm = past[np.isin(past, trained.inputs.scored)]
    for name, table, fit in (("ecod-raw", values, past), ("ecod-z", z, warm)):
        np.testing.assert_allclose(fold.baselines[name].score[fold.model.scored], ecod(table[fit], table[scored]))


def test_mean_abs_z_is_taken_of_the_features_that_the_model_gets():
    fold = fold_of(ROWS, 3, recipe())
    labels = recipe().preset.labels(ROWS, SCHEMA)
    trained = choose_threshold(fit_pipeline(ROWS, SCHEMA, labels=labels, split=fold.split, recipe=recipe()))
    scored = fold.model.scored
    expected = mean_abs_z(trained.inputs.features[fold.split.test[scored]].astype(float))
    np.testing.assert_array_equal(fold.baselines["mean-abs-z"].score[scored], expected)
    assert np.isnan(fold.baselines["mean-abs-z"].score[~scored]).all()


@pytest.fixture(scope="module")
def folds() -> list[Fold]:
    """All folds, without costly baselines."""
    return [fold_of(ROWS, number, recipe()) for number in range(1, 9)]


def test_the_gain_over_a_baseline_with_the_same_scores_is_nothing(folds):
    noise = np.random.default_rng(0).normal(size=len(ROWS)) * 3
    copies = []
    for fold in folds:
        model = fold.model.with_score(fold.model.score + noise[fold.model.row])
        opposite = model.with_score(-model.score)
        copies.append(replace(fold, model=model, baselines={"twin": model, "opposite": opposite}))
    report = judge_folds(copies)
    assert report.auc_gain["twin"] == (0.0, 0.0)
    assert report.later.model.roc_auc
    gain = report.auc_gain["opposite"]
    assert gain
    assert gain[0] < 2 * report.later.model.roc_auc - 1 < gain[1]
    few = [
        replace(fold, model=replace(fold.model, break_starts=np.zeros_like(fold.model.break_starts))) for fold in copies
    ]
    assert judge_folds(few).auc_gain == {"twin": None, "opposite": None}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backtest of two machines, with all its files."""
    folder = tmp_path_factory.mktemp("backtest")
    path = write_csv(folder / "mill.csv", mill_like(900, machines=("pm1", "pm2")))
    options = ["--schema", str(folder / "plant.toml"), "--family", "pca", "--seed", "3"]
    assert main([str(path), *options, "--json", str(folder / "b.json"), "--scores", str(folder / "s.csv")]) == 0
    return folder


SCORES = ("s.csv", "s.csv.policy.npz")
"""`whatif` reads the policies of the folds beside their scores."""


def test_the_files_hold_what_the_contract_says(written: Path):
    found = json.loads((written / "b.json").read_text())
    assert [fold["fold"] for fold in found["folds"]] == list(range(1, 9))
    for part in (*found["folds"], found["overall"], found["later"]):
        points = {(r["horizon_rows"], r["false_alarms_per_day"]) for r in part["recall"]}
        assert points == {(h, n) for h in (2, 10, 30) for n in (2, 5, 10)}
        assert all(0 <= r["chance"] <= 1 for r in part["recall"])
        assert [h["horizon_rows"] for h in part["deployed"]["horizons"]] == [2, 10, 30]
        assert part["baselines"].keys() == {"rows-since-break", "mean-abs-z"}
        assert all(baseline["deployed"] is None for baseline in part["baselines"].values())
        for key in ("rows", "positives", "roc_auc", "average_precision"):
            assert math.isfinite(part[key])
    assert all(fold["seconds"] > 0 for fold in found["folds"])
    assert found["seconds"] >= sum(fold["seconds"] for fold in found["folds"])
    assert (found["data"]["rows"], found["seed"], found["family"]) == (1800, 3, "pca")
    assert sorted(p.name for p in written.iterdir()) == ["b.json", "mill.csv", "plant.toml", *SCORES]


def test_the_figures_can_be_computed_again_from_the_scores_file(written: Path):
    found = json.loads((written / "b.json").read_text())
    with (written / "s.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["split"] for line in lines} == {"validation", "test"}
    counted = np.zeros((2, 2), np.int64)
    for fold in found["folds"]:
        own = [line for line in lines if line["fold"] == str(fold["fold"])]
        assert sum(line["split"] == "validation" for line in own) == fold["validation_rows"]
        test = [line for line in own if line["split"] == "test"]
        assert len(test) == fold["test_rows"]
        assert (min(line["time"] for line in test), max(line["time"] for line in test)) == (
            fold["test_from"],
            fold["test_until"],
        )
        judged = [line for line in test if line["score"] and line["broken"] == "0"]
        label, score = [int(line["will_break"]) for line in judged], [float(line["score"]) for line in judged]
        assert (len(judged), sum(label)) == (fold["rows"], fold["positives"])
        assert fold["roc_auc"] == pytest.approx(roc_auc_score(label, score))
        assert fold["average_precision"] == pytest.approx(average_precision_score(label, score))
        over = [int(line["over"]) for line in judged]
        counted += confusion_matrix(label, over, labels=[0, 1])
        confusion = fold["confusion"]
        assert confusion["accuracy"] == pytest.approx(accuracy_score(label, over))
        assert confusion["precision"] == pytest.approx(precision_score(label, over))
        assert confusion["recall"] == pytest.approx(recall_score(label, over))
        assert confusion["f1"] == pytest.approx(f1_score(label, over))
    for part, folds in (("overall", found["folds"]), ("later", found["folds"][4:])):
        assert found[part]["roc_auc"] == pytest.approx(np.mean([fold["roc_auc"] for fold in folds]))
        assert found[part]["breaks"] == sum(fold["breaks"] for fold in folds)
        for kind in ("true_negatives", "false_positives", "false_negatives", "true_positives"):
            assert found[part]["confusion"][kind] == sum(fold["confusion"][kind] for fold in folds)
    overall = found["overall"]["confusion"]
    assert counted[1, 1] > 0
    assert [overall["true_negatives"], overall["false_positives"]] == counted[0].tolist()
    assert overall["accuracy"] == pytest.approx(np.trace(counted) / counted.sum())
    assert overall["accuracy_of_no"] == pytest.approx(counted[0].sum() / counted.sum())


def test_what_operators_said_is_kept_from_every_fit_and_what_was_masked_is_missing_where_it_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    rows = ROWS
    path = write_csv(tmp_path / "mill.csv", rows)
    alarm, mask = slice(250, 290), slice(500, 540)

    def of(part: slice) -> str:
        return ",".join(format_time(int(rows.times_us[row])) for row in (part.start, part.stop))

    said = f"{rows.machines[0]},verdict,{of(alarm)},,true\n{rows.machines[0]},mask,{of(mask)},s1,\n"
    (tmp_path / "labels.csv").write_text("machine,kind,from,until,sensor,verdict\n" + said)
    options = ["--schema", "plant.toml", "--family", "pca", "--labels", "labels.csv"]
    assert main([str(path), *options, "--json", "b.json", "--scores", "s.csv"]) == 0
    counted = json.loads((tmp_path / "b.json").read_text())["labels"]
    assert (counted["masked_cells"], counted["true_alarms"], counted["rows_left_out"]) == (40, 1, 40)
    out = " ".join(capsys.readouterr().out.split())
    assert "labels.csv: 40 cells of 1 masked sensor count as missing, 40 rows under 1 true alarm are left out" in out
    values = rows.values.copy()
    values[mask, SCHEMA.sensors.index("s1")] = np.nan
    left_out = np.zeros(len(rows), np.bool_)
    left_out[alarm] = True
    masked = replace(rows, values=values)
    labels = recipe().preset.labels(masked, SCHEMA).leaving_out(left_out)
    split = rolling_origin(rows.times_us)[1]
    assert set(range(*alarm.indices(len(rows)))) <= set(split.fit.tolist())
    assert set(range(*mask.indices(len(rows)))) & set(split.test.tolist())
    trained = choose_threshold(fit_pipeline(masked, SCHEMA, labels=labels, split=split, recipe=recipe()))
    by_hand = trained.honest.score[split.test]
    with (tmp_path / "s.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if (line["fold"], line["split"]) == ("2", "test")]
    assert [line["score"] for line in lines] == ["" if math.isnan(one) else repr(float(one)) for one in by_hand]


def test_the_tables_name_every_fold_and_scorer(folds):
    with_all = [replace(fold, baselines=dict.fromkeys(TITLES, fold.baselines["mean-abs-z"])) for fold in folds]
    text = report_text(judge_folds(with_all), recipe=recipe(), schema=SCHEMA)
    for word in ("all 8", "last 4", "60 min ahead", "deployed policy", "(always saying no: ."):
        assert word in text
    begins = [line.split("  ")[0] for line in text.splitlines()]
    for scorer in ("default, pca", *TITLES.values()):
        assert begins.count(scorer) == 1
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.parametrize(("period_s", "words"), [(0.004, "≤ 120 ms"), (86_400.0, "≤ 30 days")])
def test_where_a_day_says_nothing_false_alarms_are_counted_in_a_thousand_rows(folds, period_s, words):
    as_sampled = [replace(fold, model=replace(fold.model, period_s=period_s)) for fold in folds]
    text = report_text(judge_folds(as_sampled), recipe=recipe(), schema=replace(SCHEMA, period_s=period_s))
    assert words in text
    assert "in 1,000 rows" in text
    assert "a day" not in text
    assert "/day" not in text


def test_rows_anomalous_themselves_are_judged_as_rows_and_no_baseline_is_told_the_label(tmp_path, capsys):
    path = write_csv(tmp_path / "mill.csv", mill_like(1000))
    (tmp_path / "plant.toml").write_text(f"{PLANT}[sampling]\nlead_rows = 0\n")
    options = ["--schema", str(tmp_path / "plant.toml"), "--preset", "rows", "--family", "pca", "--json", "b.json"]
    assert main([str(path), *options]) == 0
    found = json.loads(Path("b.json").read_text())
    assert found["overall"]["baselines"].keys() == {"mean-abs-z"}
    deployed, confusion = found["overall"]["deployed"], found["overall"]["confusion"]
    one = deployed["horizons"][-1]
    text = capsys.readouterr().out
    assert "ahead" not in text
    assert "break" not in text
    assert f"{confusion['true_negatives']:,}" in text
    block = text.partition("\nfold")[2].partition("\n\n")[0].splitlines()
    folds = {line.split()[0]: line.split() for line in block[1:9]}
    assert [*folds] == [str(n) for n in range(1, 9)]
    for fold in found["folds"]:
        shown = folds[str(fold["fold"])]
        assert (int(shown[1]), int(shown[2])) == (fold["rows"], fold["positives"])
        assert float(shown[5]) == pytest.approx(fold["confusion"]["accuracy"], abs=5e-4)
        assert float(shown[6]) == pytest.approx(fold["confusion"]["accuracy_of_no"], abs=5e-4)
    assert one["warned"] <= confusion["true_positives"]
    assert max(map(len, text.splitlines())) <= WIDTH


def test_a_file_without_labels_is_scored_and_judged_with_dashes(tmp_path, capsys):
    path = write_csv(tmp_path / "mill.csv", mill_like(1000, break_every=None), labelled=False)
    assert main([str(path), "--schema", "plant.toml", "--family", "pca", "--json", "b.json"]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.json", "mill.csv", "plant.toml"]
    found = json.loads((tmp_path / "b.json").read_text())
    assert (found["overall"]["roc_auc"], found["overall"]["breaks"], found["overall"]["recall"]) == (None, 0, [])
    assert found["later"]["auc_gain_interval"] == {"rows-since-break": None, "mean-abs-z": None}
    said = capsys.readouterr()
    told = said.err.splitlines()
    assert [line[:21] for line in told] == [f"backtest: fold {i} of 8" for i in range(1, 9)]
    assert "left" in told[0]
    assert "left" not in told[-1]
    assert "–" in said.out


def test_on_a_terminal_it_shows_how_far_it_is(capsys, monkeypatch):
    assert _progress("fold 2 of 8") is None
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    fold_of(ROWS, 2, recipe(family="dense"), progress=_progress)
    assert "fold 2 of 8 ████" in capsys.readouterr().err


def test_too_few_rows_are_refused_by_fold(tmp_path):
    path = write_csv(tmp_path / "mill.csv", mill_like(400))
    with pytest.raises(DataError, match=r"fold 1 of 8: .* rows are left to train on"):
        main([str(path), "--schema", "plant.toml", "--family", "pca", "--json", "b.json"])
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--json", "nowhere/b.json"], "nowhere/b.json cannot be written"),
        (["--scores", "."], "cannot be written"),
        (["--preset", "best"], 'no preset "best"'),
        (["--family", "forest"], "the families are"),
        (["--threshold", "luck"], "the policies are"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_training(options, message, tmp_path):
    path = write_csv(tmp_path / "mill.csv", mill_like(100))
    with pytest.raises(DataError, match=message) as refused:
        main([str(path), "--schema", "plant.toml", *options])
    assert "fold" not in str(refused.value)
