"""tune: later rows cannot be seen, an interruption changes nothing, and what is printed is what was judged."""

import contextlib
import io
import json
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from msgspec import Meta
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from sheetbreak.errors import DataError
from sheetbreak.rows import BROKEN, RowBatch
from tests.support.data.histories import SCHEMA_TOML, mill_like, schema_of, with_labels, with_values, write_csv
from tests.trainer.comparison.test_comparison import rows_like
from trainer.commands.tune import main
from trainer.comparison.ledger import Ledger
from trainer.comparison.pool import Pool
from trainer.comparison.tasks import Outcome
from trainer.comparison.tuning.search import Found, Search, dev_ground, goal_value
from trainer.comparison.tuning.space import search_space, settings_tried
from trainer.comparison.tuning.study import open_study
from trainer.evaluation.folds import rolling_origin
from trainer.families import FAMILIES
from trainer.metrics.evaluation import measure
from trainer.settings.values import Family, settings_of, within
from trainer.training.pipeline import Recipe
from trainer.training.presets import preset_named

SCHEMA = schema_of(24)
OPTIONS = ["--schema", "plant.toml", "--family", "pca", "--set", "scaling=standard", "--minutes", "60", "--trials", "3"]


def noisy(count: int = 1200) -> RowBatch:
    """Breaks that are hard to see, so that settings matter."""
    rows = mill_like(count, sensors=24)
    return with_values(rows, rows.values + 2.0 * np.random.default_rng(1).normal(size=rows.values.shape))


ROWS = noisy()


def prepared(folder: Path, rows: RowBatch = ROWS) -> Path:
    (folder / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    return write_csv(folder / "mill.csv", rows)


def tuned(csv: Path, *more: str, work: str = "tune-work") -> dict[str, Any]:
    assert main([str(csv), *OPTIONS, "--jobs", "1", *more, "--work", work, "--json", f"{work}.json"]) == 0
    found: dict[str, Any] = json.loads(Path(f"{work}.json").read_text())
    return found


@cache
def _undisturbed() -> tuple[dict[str, Any], str]:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        csv = prepared(folder)
        patch.chdir(folder)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            found = tuned(csv)
    return found, said.getvalue()


@pytest.fixture(scope="module")
def undisturbed() -> tuple[dict[str, Any], str]:
    """What three trials on one core find, and what they say; found once for all files that ask."""
    return _undisturbed()


def test_garbage_in_place_of_every_later_row_changes_nothing(undisturbed, tmp_path, capsys) -> None:
    end = rolling_origin(ROWS.times_us)[3].test[-1] + 1
    assert end == 0.6 * len(ROWS)
    values, broken = ROWS.values.copy(), ROWS.broken.copy()
    values[end:] = 1e6 * np.random.default_rng(0).normal(size=values[end:].shape)
    broken[end:] = np.arange(len(broken) - end) % 3 == 0
    garbage = with_labels(with_values(ROWS, values), broken)
    found = tuned(prepared(tmp_path, garbage), "--minutes", "50")
    assert found == undisturbed[0]
    assert len(found["trials"]) == 3
    commands = "\nJudge them once"  # they name the file by its path
    expected, said = undisturbed[1], capsys.readouterr().out
    assert commands in expected
    assert said.partition(commands)[0] == expected.partition(commands)[0]


def test_the_dev_ground_holds_the_folds_of_a_backtest_and_no_later_row() -> None:
    order = np.random.default_rng(2).permutation(len(ROWS))  # a file need not be in order of time
    shuffled = ROWS.take(order)
    ground = dev_ground(shuffled, SCHEMA, preset_named("default"))
    whole = rolling_origin(shuffled.times_us)
    assert list(ground.splits) == [1, 2, 3, 4]
    assert len(ground.rows) == 0.6 * len(ROWS)
    assert ground.rows.times_us.max() < shuffled.times_us[whole[4].test].min()
    for number, split in ground.splits.items():
        for name in ("fit", "validation", "test"):
            mine, theirs = getattr(split, name), getattr(whole[number - 1], name)
            np.testing.assert_array_equal(ground.rows.values[mine], shuffled.values[theirs])


def test_what_is_printed_is_what_was_judged(undisturbed) -> None:
    found, said = undisturbed
    values = {json.dumps(trial["settings"]): trial["value"] for trial in found["trials"] if trial["value"] is not None}
    best = max([found["default_value"], *values.values()])
    assert found["value"] == pytest.approx(best)
    assert found["tuned"]["roc_auc"] == pytest.approx(best)
    assert found["best"], "the noisy mill is such that a trial wins"
    assert values[json.dumps(found["best"])] == found["value"]
    words = [f"{name}={value}" for name, value in found["best"].items()]
    lines = said.splitlines()
    assert max(map(len, lines)) <= 80
    whole = said.replace("\\\n", "").splitlines()
    pasted = shlex.split(whole[whole.index("best settings:") + 1])
    assert pasted == [part for word in words for part in ("--set", word)]
    compare, backtest = (shlex.split(line) for line in whole[-2:])
    assert compare[:2] == ["sheetbreak", "compare"]
    assert compare[compare.index("--family") + 1] == "pca,pca:tuned"
    assert {"scaling=standard", *(f"pca:tuned.{word}" for word in words)} <= set(compare)
    assert {"scaling=standard", *words} <= set(backtest)
    assert "These figures flatter" in said


def build(
    windows: object,
    *,
    latent: Annotated[int, within(1, 65_536, "units of the layer", search=(2, 64))] | None = None,
    noise: Annotated[float, within(0, 10, "added while training")] = 0.5,
    share: Annotated[float, within(0, 1, "of something", search=(0.2, 0.4))] = 0.3,
    penalty: Annotated[float, within(0, 10, "nothing says where to look")] = 0.0,
    depth: Annotated[int, within(1, 3, "layers")] = 2,
    output: Annotated[Literal["linear", "tanh"], Meta(description="activation")] = "linear",
) -> None:
    """A family."""


def test_the_space_is_what_the_settings_declare_by_the_logarithm_over_decades() -> None:
    found = search_space("f", Family(build), given={})
    assert {name: where for name, where in found.items() if name not in ("learning_rate", "batch")} == {
        "latent": IntDistribution(2, 64, log=True),
        "noise": FloatDistribution(0.125, 2.0, log=True),
        "share": FloatDistribution(0.2, 0.4),
        "depth": IntDistribution(1, 3),
    }
    named = search_space("f", Family(build), given={}, only=["output"])
    assert named == {"output": CategoricalDistribution(("linear", "tanh"))}
    assert isinstance(found["learning_rate"], FloatDistribution)
    assert found["learning_rate"].log
    assert "latent" not in search_space("f", Family(build), given={"latent": 3})
    assert list(search_space("f", Family(build), given={}, only=["depth", "loss"])) == ["depth", "loss"]


@pytest.mark.parametrize(
    ("only", "message"),
    [
        (["nois"], "family f has window"),
        (["latent"], "--set gives it the value 3"),
        (["penalty"], "nothing says where to look; set it: --set penalty=a number from 0 to 10"),
    ],
)
def test_what_cannot_be_searched_is_refused(only: Sequence[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        search_space("f", Family(build), given={"latent": 3}, only=only)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_tuned_and_takes_what_the_space_draws(family: str) -> None:
    known = settings_of(FAMILIES[family])
    for name, where in search_space(family, FAMILIES[family], given={}).items():
        if isinstance(where, CategoricalDistribution):
            ends: Sequence[Any] = where.choices
        else:
            assert isinstance(where, IntDistribution | FloatDistribution)
            ends = (where.low, where.high)
        for value in ends:
            tried = settings_tried({name: value})[name]
            assert known[name].checked(tried) == tried


@contextlib.contextmanager
def searching(folder: Path, space: dict[str, BaseDistribution]) -> Iterator[tuple[Search, Ledger]]:
    ground = dev_ground(ROWS, SCHEMA, preset_named("default"))
    recipe = Recipe(preset=preset_named("default"), family="pca", policy="quantile:.9")
    ledger = Ledger(folder, ground)
    with open_study(folder, "words") as study, Pool(ground, ledger, jobs=1) as pool:
        yield Search(study, recipe, ground, ledger=ledger, pool=pool, space=space, goal="auc"), ledger


def run_to(search: Search, trials: int) -> Found:
    search.run(trials=trials, over=lambda: False, tell=lambda _: None, tick=lambda: None)
    found = search.found()
    assert found
    return found


def test_a_trial_that_cannot_be_judged_is_counted_and_the_search_goes_on(tmp_path: Path) -> None:
    with searching(tmp_path, {"window": CategoricalDistribution([1, 200])}) as (search, _):
        found = run_to(search, 5)
        too_long = [value for tried, value in found.tried if tried == {"window": 200}]
        assert (found.trials, found.failed) == (5, len(too_long))
        assert 0 < found.failed < 5
        assert set(too_long) == {None}
        search.run(trials=9, over=lambda: True, tell=lambda _: None, tick=lambda: None)
        assert search.found() == found


def test_a_trial_that_starts_worse_than_most_is_cut_short_and_the_best_is_found(tmp_path: Path) -> None:
    """The ledger knows what every setting gives: the fewer components the better, from the first fold on."""
    with searching(tmp_path, {"latent": IntDistribution(1, 8)}) as (search, ledger):
        for latent in (None, *range(1, 9)):
            settings: dict[str, Any] = {"latent": latent} if latent else {}
            for task in search._tasks(settings, "any"):
                rows = rows_like(task.fold, signal=3.0 / (latent or 16), silent=0)
                ledger.write(task, Outcome(figures=measure(rows, number=task.fold), threshold=None, seconds=0.1))
        found = run_to(search, 16)
    values = {int(str(tried["latent"])): value for tried, value in found.tried}
    complete = {latent: value for latent, value in values.items() if value is not None}
    assert found.best == {"latent": min(complete)}
    assert found.value == max(complete.values()) > found.default_value
    assert found.cut_short == sum(value is None for _, value in found.tried) > 0
    assert all(value is not None for _, value in found.tried[:5])
    assert sorted(complete.values(), reverse=True) == [complete[latent] for latent in sorted(complete)]
    assert found.gain.roc_auc == pytest.approx(found.value - found.default_value)


def test_no_break_in_the_dev_folds_is_said(tmp_path: Path) -> None:
    quiet = with_labels(ROWS, np.where(np.arange(len(ROWS)) < 0.6 * len(ROWS), 0, ROWS.broken).astype(np.int8))
    assert (quiet.broken == BROKEN).any()
    with pytest.raises(DataError, match="no break in the rows that the dev folds judge"):
        main([str(prepared(tmp_path, quiet)), *OPTIONS, "--jobs", "1"])


def test_the_goal_warned_is_recall_less_chance() -> None:
    folds = [measure(rows_like(seed, signal=2, silent=0), number=seed) for seed in (1, 2)]
    points = [one.points[30, 5] for one in folds]
    expected = np.mean([point.recall[0] - point.chance for point in points])
    assert goal_value(folds, "warned") == pytest.approx(expected)
    assert goal_value(folds, "auc") == pytest.approx(np.mean([one.roc_auc for one in folds]))
