"""Comparison: every scorer judged as a backtest judges it, paired with the first, and kept so that nothing is lost."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.errors import DataError
from sheetbreak.times import format_time
from tests.support.data.histories import SCHEMA_TOML, mill_like, schema_of, with_labels, with_values, write_csv
from trainer.commands.compare import main
from trainer.comparison.ledger import Ledger, ground_digest
from trainer.comparison.pool import Pool
from trainer.comparison.result import averaged, compare_scorers, differ
from trainer.comparison.scorers import BASELINES, Baseline, Scorer, named_scorers
from trainer.comparison.tasks import Ground, Outcome, Task, run_task
from trainer.evaluation.fold_baselines import TITLES
from trainer.evaluation.folds import run_fold
from trainer.families import FAMILIES
from trainer.metrics.bootstrap import blocks_of, draw_blocks
from trainer.metrics.evaluation import Figures, measure, summarise
from trainer.metrics.scored_rows import COLUMNS, ScoredRows
from trainer.training.pipeline import Recipe
from trainer.training.presets import PRESETS, preset_named

SCHEMA = schema_of(6)
ROWS = mill_like(1500)
GROUND = Ground.of(ROWS, SCHEMA, preset_named("default"))


def scorers_of(names: str, *texts: str, preset: str = "default") -> list[Scorer]:
    return named_scorers(names, base=Recipe(preset=preset_named(preset)), texts=texts, schema=SCHEMA)


def task_of(name: str, *texts: str, seed: int = 0, fold: int = 1) -> Task:
    return Task(scorer=scorers_of(name, *texts)[0], seed=seed, fold=fold)


def assert_same(one: Outcome, other: Outcome) -> None:
    assert one.threshold == other.threshold
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one.figures.rows, name), getattr(other.figures.rows, name), err_msg=name)
    for name in ("roc_auc", "average_precision", "resampled_auc", "resampled_precision"):
        np.testing.assert_array_equal(getattr(one.figures, name), getattr(other.figures, name), err_msg=name)
    assert list(one.figures.points) == list(other.figures.points)
    assert list(one.figures.curves) == list(other.figures.curves)
    for horizon, curve in one.figures.curves.items():
        for name in ("recall", "chance", "time_in_alarm"):
            np.testing.assert_array_equal(getattr(curve, name), getattr(other.figures.curves[horizon], name))
    for place, point in one.figures.points.items():
        there = other.figures.points[place]
        np.testing.assert_array_equal(point.recall, there.recall)
        np.testing.assert_array_equal(point.leads, there.leads)
        assert (point.chance, point.threshold, point.time_in_alarm) == (
            there.chance,
            there.threshold,
            there.time_in_alarm,
        )


@pytest.fixture(scope="module")
def cheap() -> dict[tuple[str, int, int], Outcome]:
    """Two baselines on all folds, one with two seeds."""
    tasks = [
        Task(scorer=scorer, seed=seed, fold=fold)
        for scorer in scorers_of("mean-abs-z,isolation-forest")
        for seed in scorer.seeds(2)
        for fold in GROUND.splits
    ]
    return {task.place: run_task(task, GROUND) for task in tasks}


def test_all_names_every_family_and_every_baseline_once() -> None:
    found = scorers_of("all")
    assert [one.name for one in found][: len(FAMILIES)] == list(FAMILIES)
    assert {one.title for one in found} == {*FAMILIES, *TITLES.values()}
    assert len(found) == len(FAMILIES) + len(TITLES)
    for name in BASELINES:
        assert scorers_of(name)[0].name == name


@pytest.mark.parametrize("preset", PRESETS)
def test_a_baseline_without_a_suffix_sees_what_the_models_of_the_preset_see(preset: str) -> None:
    for scorer in scorers_of("isolation-forest,ecod", preset=preset):
        assert isinstance(scorer.other, Baseline)
        assert scorer.other.kind == preset_named(preset).features


def test_with_rows_that_are_judged_themselves_the_label_is_no_scorer() -> None:
    base, schema = Recipe(preset=preset_named("rows")), schema_of(6, lead_rows=0)
    assert "rows-since-break" not in [one.name for one in named_scorers("all", base=base, texts=[], schema=schema)]
    with pytest.raises(DataError, match="rows-since-break: with lead_rows 0"):
        named_scorers("pca,rows-since-break", base=base, texts=[], schema=schema)


def test_what_is_named_twice_is_one_line_but_a_label_is_a_line_of_its_own() -> None:
    assert [one.name for one in scorers_of("ecod,ecod-z,pca,pca,ecod")] == ["ecod", "pca"]
    plain, small = scorers_of("pca,pca:small", "pca:small.latent=2")
    assert (plain.settings or {})["latent"] == 16
    assert (small.settings or {})["latent"] == 2
    assert small.recipe
    assert small.recipe.family == "pca"


@pytest.mark.parametrize(
    ("names", "texts", "message"),
    [
        (",", [], "names nothing to compare; there are all, the families dense"),
        ("pca,forest", [], '"forest": there are all, the families .*baselines isolation-forest, ecod'),
        ("forest:x", [], '"forest:x": there are all'),
        ("ecod", ["latent=3"], "none of ecod is a family"),
        ("pca", ["nose=3"], "family pca has no setting 'nose'"),
        ("pca,dense", ["dense:b.latent=3"], "no family 'dense:b' is to be trained"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_what_can(names: str, texts: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        scorers_of(names, *texts)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_compared(family: str) -> None:
    texts = ["epochs=1"] if FAMILIES[family].learns else []
    found = run_task(task_of(family, *texts, fold=2), GROUND)
    assert found.figures.roc_auc is not None
    assert len(found.figures.rows) == len(GROUND.splits[2].test)
    assert found.threshold
    assert found.seconds > 0


def test_a_family_is_scored_as_a_backtest_scores_it() -> None:
    task = task_of("pca")
    assert task.scorer.recipe
    fold = run_fold(
        1,
        GROUND.splits[1],
        ROWS,
        SCHEMA,
        labels=GROUND.labels,
        recipe=task.scorer.recipe,
        with_costly=False,
        progress=lambda _: None,
    )
    expected = Outcome(figures=measure(fold.model, number=1), threshold=fold.threshold, seconds=0.0)
    assert_same(run_task(task, GROUND), expected)


@pytest.mark.parametrize("name", TITLES)
def test_every_baseline_is_scored_as_a_backtest_scores_it(name: str) -> None:
    recipe = Recipe(preset=preset_named("default"), family="pca")
    task = task_of(name, fold=2)
    if task.scorer.recipe:  # a hundred epochs say no more than one
        quick = replace(task.scorer.recipe, settings={"epochs": 1})
        task = replace(task, scorer=replace(task.scorer, recipe=quick))
        assert (quick.preset.name, quick.family) == ("article", "dense")
        found = run_task(task, GROUND)
        assert not found.figures.rows.over.any()
        assert found.figures.rows.scored.sum() > 100
        return
    fold = run_fold(
        2,
        GROUND.splits[2],
        ROWS,
        SCHEMA,
        labels=GROUND.labels,
        recipe=recipe,
        with_costly=False,
        progress=lambda _: None,
    )
    found = run_task(task, GROUND)
    if name in fold.baselines:
        assert_same(found, Outcome(figures=measure(fold.baselines[name], number=2), threshold=None, seconds=0))
    assert found.figures.rows.scored.sum() == fold.model.scored.sum()
    assert found.threshold is None


def test_seeds_are_averaged_within_a_fold_and_make_no_interval_of_their_own(cheap) -> None:
    found = compare_scorers(scorers_of("isolation-forest,mean-abs-z"), cheap, seeds=2, folds=list(GROUND.splits))
    forest, z = found.scorers
    assert (forest.seeds, z.seeds, z.spread) == ((0, 1), (0,), None)
    by_seed = [
        np.mean([cheap["isolation-forest", seed, fold].figures.roc_auc for fold in (5, 6, 7, 8)]) for seed in (0, 1)
    ]
    assert forest.seed_aucs == pytest.approx(by_seed)
    assert by_seed[0] != by_seed[1]
    assert forest.later.roc_auc == pytest.approx(np.mean(by_seed))
    assert forest.spread == pytest.approx(np.std(by_seed, ddof=1))
    assert forest.later.breaks == z.later.breaks > 0
    assert z.overall == summarise([cheap["mean-abs-z", 0, fold].figures for fold in GROUND.splits], deployed=False)
    pair = [cheap["isolation-forest", seed, 5].figures for seed in (0, 1)]
    mean = averaged(pair)
    np.testing.assert_allclose(mean.resampled_auc, (pair[0].resampled_auc + pair[1].resampled_auc) / 2)
    point = (30, 5)
    assert mean.points[point].recall[0] == pytest.approx(np.mean([one.points[point].recall[0] for one in pair]))


def rows_like(seed: int, *, signal: float, silent: int) -> ScoredRows:
    """600 rows with a break every 50; the score is noise and a signal; the first `silent` rows of a run have none."""
    draw = np.random.default_rng(seed)
    place = np.arange(600)
    broken = place % 50 == 49
    will_break = np.isin(place % 50, (47, 48))
    score = draw.normal(size=600).round(1) + signal * will_break
    nothing = np.zeros(600, np.bool_)
    return ScoredRows(
        row=place,
        run=place // 50,
        broken=broken,
        break_starts=broken,
        will_break=will_break,
        score=np.where(broken | (place % 50 < silent), np.nan, score),
        over=nothing,
        opened=nothing,
        alert_open=nothing,
        counted_as=np.full(600, -1),
    )


def pair_auc(label: np.ndarray, score: np.ndarray, weight: np.ndarray) -> float:
    """By its definition: the share of pairs in the right order, ties half."""
    a, b = score[label], score[~label]
    right = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    pairs = weight[label][:, None] * weight[~label]
    return float((right * pairs).sum() / pairs.sum())


def by_hand(mine: Sequence[Sequence[ScoredRows]], theirs: Sequence[Sequence[ScoredRows]]) -> np.ndarray:
    """(1 + DRAWS,) mean over folds of the difference of the seeds' mean AUC, on rows that both score."""
    gains = []
    for number, (one, other) in enumerate(zip(mine, theirs, strict=True), start=5):
        both = one[0].judged & other[0].judged
        block = blocks_of(one[0])
        draws = draw_blocks(int(block.max()) + 1, part=number)

        weights = draws[block[both]].T.astype(float)
        aucs = [
            [np.mean([pair_auc(s.will_break[both], s.score[both], weight) for s in seeds]) for weight in weights]
            for seeds in (one, other)
        ]
        gains.append(np.array(aucs[0]) - np.array(aucs[1]))
    return np.asarray(np.mean(gains, axis=0))


def test_a_paired_difference_is_what_a_hand_computation_gives() -> None:
    mine = [[rows_like(10 * fold + seed, signal=1.5, silent=10) for seed in (0, 1)] for fold in (5, 6)]
    theirs = [[rows_like(99 * fold, signal=0.8, silent=0)] for fold in (5, 6)]
    figures = [
        [[measure(rows, number=fold) for rows in seeds] for fold, seeds in enumerate(each, start=5)]
        for each in (mine, theirs)
    ]
    found = differ(*figures, folds=(5, 6))
    expected = by_hand(mine, theirs)
    assert found.roc_auc == pytest.approx(expected[0])
    assert found.roc_auc_interval == pytest.approx(tuple(np.percentile(expected[1:], [2.5, 97.5])))
    assert found.roc_auc
    assert found.roc_auc_interval
    assert found.roc_auc_interval[0] < found.roc_auc < found.roc_auc_interval[1]
    back = differ(*reversed(figures), folds=(5, 6))
    assert back.roc_auc == pytest.approx(-expected[0])
    recall = next(r for r in found.recall if (r.horizon_rows, r.false_alarms_per_day) == (30, 5))
    draws = [
        np.mean([one.points[30, 5].recall for one in seeds], axis=0) - other[0].points[30, 5].recall
        for seeds, other in zip(*figures, strict=True)
    ]
    assert recall.recall == pytest.approx(np.mean(draws, axis=0)[0])
    assert recall.interval == pytest.approx(tuple(np.percentile(np.mean(draws, axis=0)[1:], [2.5, 97.5])))


def test_of_fewer_than_five_breaks_no_difference_has_an_interval() -> None:
    rows = rows_like(3, signal=1, silent=0)
    starts = np.flatnonzero(rows.break_starts)
    few = rows.break_starts & (np.arange(len(rows.break_starts)) <= starts[3])
    one, other = ([[measure(replace(r, break_starts=few), number=5)]] for r in (rows, rows_like(4, signal=1, silent=0)))
    found = differ(one, other, folds=(5,))
    assert found.roc_auc is not None
    assert [found.roc_auc_interval, *(recall.interval for recall in found.recall)] == [None] * (1 + len(found.recall))


def test_a_scorer_differs_from_itself_by_nothing() -> None:
    figures: list[list[Figures]] = [[measure(rows_like(3, signal=1, silent=0), number=5)]]
    found = differ(figures, figures, folds=(5,))
    assert (found.roc_auc, found.roc_auc_interval) == (0.0, (0.0, 0.0))
    assert {r.recall for r in found.recall} == {0.0}


def test_the_ledger_gives_back_what_it_was_given(cheap, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "work", GROUND)
    task = task_of("mean-abs-z", fold=5)
    assert ledger.read(task) is None
    ledger.write(task, cheap[task.place])
    found = ledger.read(task)
    assert found
    assert_same(found, cheap[task.place])
    assert found.seconds == cheap[task.place].seconds
    assert len(list((tmp_path / "work").iterdir())) == 1
    assert ledger.read(replace(task, fold=6)) is None


def test_a_file_that_is_not_whole_counts_as_absent(cheap, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, GROUND)
    task = task_of("mean-abs-z", fold=5)
    ledger.write(task, cheap[task.place])
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert ledger.read(task) is None
    changed = bytearray(whole)
    changed[len(whole) // 3] ^= 1
    path.write_bytes(bytes(changed))
    assert ledger.read(task) is None
    other = task_of("mean-abs-z", fold=6)
    ledger.write(other, cheap[other.place])
    path.write_bytes(next(p for p in tmp_path.iterdir() if p != path).read_bytes())
    assert ledger.read(task) is None  # whole, but another task's


def test_anything_that_decides_a_figure_makes_it_another_task(cheap, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, GROUND)
    task = task_of("pca")
    ledger.write(task, cheap["mean-abs-z", 0, 5])
    assert ledger.read(task_of("pca:label"))  # a name decides nothing
    for other in (task_of("pca", "latent=3"), task_of("pca", seed=1), task_of("dense"), task_of("ecod")):
        assert ledger.read(other) is None
    for base in (
        Recipe(preset=GROUND.preset, policy="quantile:.9"),
        Recipe(preset=GROUND.preset, alert=AlertPolicy(open_after=2)),
    ):
        (other_alarm,) = named_scorers("pca", base=base, texts=[], schema=SCHEMA)
        assert ledger.read(replace(task, scorer=other_alarm)) is None
    values = ROWS.values.copy()
    values[-1, -1] += 1e-9
    labels = ROWS.broken.copy()
    labels[-1] = 1 - labels[-1]
    digests = {ground_digest(GROUND)}
    for rows in (with_values(ROWS, values), with_labels(ROWS, labels)):
        ground = Ground.of(rows, SCHEMA, GROUND.preset)
        assert Ledger(tmp_path, ground).read(task) is None
        digests.add(ground_digest(ground))
    digests.add(ground_digest(Ground.of(ROWS, schema_of(6, lead_rows=3), GROUND.preset)))
    assert len(digests) == 4


def test_processes_give_the_same_bits_as_this_one_and_an_error_comes_out_whole(tmp_path: Path) -> None:
    tasks = [task_of("dense", "epochs=2", seed=seed) for seed in (0, 1)]
    ledger = Ledger(tmp_path / "two", GROUND)
    with Pool(GROUND, ledger, jobs=2) as pool:
        assert {task.seed for task in pool.run(tasks)} == {0, 1}
        with pytest.raises(DataError, match=r"pca, seed 0, fold 1: .* rows are left to train on"):
            list(pool.run([task_of("pca", "window=200")]))
    for task in tasks:
        found = ledger.read(task)
        assert found
        assert_same(found, run_task(task, GROUND))


def test_the_files_and_tables_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path / "mill.csv", mill_like(900, machines=("pm1", "pm2")))
    (tmp_path / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    options = ["--schema", "plant.toml", "--family", "pca,isolation-forest", "--seeds", "2", "--jobs", "1"]
    assert main([str(path), *options, "--json", "c.json", "--report", "c.html"]) == 0
    first = capsys.readouterr()
    found = json.loads((tmp_path / "c.json").read_text())
    assert [one["name"] for one in found["scorers"]] == ["pca", "isolation-forest"]
    assert [one["seeds"] for one in found["scorers"]] == [[0], [0, 1]]
    assert (found["first"], found["scorers"][0]["difference"]) == ("pca", None)
    assert len(found["folds"]) == len(found["scorers"][0]["folds"]) == 8
    assert found["later_folds"] == [5, 6, 7, 8]
    later = found["scorers"][1]["later"]
    assert f"{later['roc_auc']:.2f}".removeprefix("0") in first.out
    assert "2 ±.0" in next(line for line in first.out.splitlines() if line.startswith("Isolation Forest, streaming z"))
    assert "comparing: 24/24" in first.err
    assert max(map(len, first.out.splitlines())) <= 120
    page = (tmp_path / "c.html").read_text()
    assert all(word in page for word in ("Isolation Forest, streaming z", "Against pca, on the later folds"))
    gain = found["scorers"][1]["difference"]["roc_auc"]
    assert f'data-value="{gain!r}"' in page
    assert main([str(path), *options]) == 0  # nothing is left to do
    again = capsys.readouterr()
    assert again.out == first.out
    assert again.err == ""


def test_what_operators_said_holds_for_every_scorer(tmp_path: Path) -> None:
    path, machine = write_csv(tmp_path / "mill.csv", ROWS), ROWS.machines[0]
    (tmp_path / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    first, end = (format_time(int(ROWS.times_us[row])) for row in (200, 500))
    said = f"{machine},verdict,{first},{end},,true\n{machine},mask,{first},{end},s1,\n"
    (tmp_path / "labels.csv").write_text("machine,kind,from,until,sensor,verdict\n" + said)
    options = ["--schema", "plant.toml", "--family", "mean-abs-z", "--jobs", "1", "--labels"]
    assert main([str(path), *options, "labels.csv", "--json", "c.json"]) == 0
    found = json.loads((tmp_path / "c.json").read_text())
    assert (found["labels"]["masked_cells"], found["labels"]["rows_left_out"]) == (300, 300)
    values, left_out = ROWS.values.copy(), np.zeros(len(ROWS), np.bool_)
    values[200:500, SCHEMA.sensors.index("s1")], left_out[200:500] = np.nan, True
    ground = Ground.of(replace(ROWS, values=values), SCHEMA, preset_named("default"), left_out=left_out)
    masked = replace(ground, labels=ground.labels.leaving_out(None))
    by_hand = run_task(task_of("mean-abs-z", fold=2), ground).figures
    assert found["scorers"][0]["folds"][1]["average_precision"] == by_hand.average_precision
    assert ground_digest(ground) != ground_digest(masked) != ground_digest(GROUND)
    for name in ("pca", "isolation-forest"):  # the rows under the alarm are none that it learns from
        kept, learned = (run_task(task_of(name, fold=2), one).figures.rows.score for one in (ground, masked))
        assert not np.array_equal(kept, learned, equal_nan=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--json", "nowhere/c.json"], "nowhere/c.json cannot be written"),
        (["--work", "mill.csv"], "--work mill.csv"),
        (["--preset", "best"], 'no preset "best"'),
        (["--threshold", "luck", "--family", "pca"], "the policies are"),
        (["--seeds", "0"], "whole number from 1"),
        (["--jobs", "0"], "whole number from 1"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(options: list[str], message: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "mill.csv", mill_like(100))
    (tmp_path / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    with pytest.raises(DataError, match=message):
        main([str(path), "--schema", "plant.toml", *options])
    assert not (tmp_path / "compare-work").exists() or not list((tmp_path / "compare-work").iterdir())
