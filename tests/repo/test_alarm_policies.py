"""The search for an alert policy: what it says of a policy is what a backtest says of it, and it goes uphill."""

import numpy as np
import pytest

from benchmarks.detection.alarm_policies import search
from benchmarks.detection.alarm_search import JUDGED, Candidate, Fold, neighbours
from sheetbreak.engine.alerts import AlertPolicy
from tests.support.data.histories import mill_like, schema_of
from trainer.data.labels import label_rows
from trainer.data.splits import chronological
from trainer.metrics.alarms import judge_deployed
from trainer.metrics.bootstrap import DRAWS
from trainer.metrics.scored_rows import score_rows
from trainer.training.pipeline import Recipe, choose_threshold, fit_pipeline
from trainer.training.presets import preset_named

SCHEMA = schema_of(6)
ROWS = mill_like(3000, break_every=130)
LABELS = label_rows(ROWS, SCHEMA)
SPLIT = chronological(ROWS.times_us, (0.5, 0.2, 0.3))


def fold_of(score: np.ndarray) -> Fold:
    return Fold(1, SPLIT, score, rows=ROWS, labels=LABELS, schema=SCHEMA, choose=SPLIT.validation)


@pytest.mark.parametrize("alert", [AlertPolicy(), AlertPolicy(open_after=2, close_after=3, rearm_rows=20)])
def test_what_was_deployed_is_what_a_backtest_counts(alert: AlertPolicy) -> None:
    recipe = Recipe(preset=preset_named("default"), family="pca", policy="trailing", alert=alert)
    trained = choose_threshold(fit_pipeline(ROWS, SCHEMA, labels=LABELS, split=SPLIT, recipe=recipe))
    expected = judge_deployed(score_rows(ROWS, LABELS, trained.honest, SCHEMA).of_file_rows(SPLIT.test))
    found = fold_of(trained.held_out.score).figures(Candidate(alert))
    assert expected.alerts > 2
    for place, horizon in enumerate(JUDGED):
        by_horizon = next(one for one in expected.horizons if one.horizon_rows == horizon)
        assert found.deployed[place, 0] == by_horizon.recall
        assert found.deployed_chance[place] == pytest.approx(by_horizon.chance)
    assert found.deployed_false[0] == pytest.approx(expected.horizons[-1].false_alarms_per_day)


def noise_that_is_loud_before_breaks(*, burst_rows: int) -> np.ndarray:
    """Bursts of one row anywhere, and of `burst_rows` in the rows before a break."""
    score = np.random.default_rng(4).random(len(ROWS))
    score[:120] = np.nan
    score[130::37] += 5.0
    for row in np.flatnonzero(LABELS.will_break[1:] & ~LABELS.will_break[:-1]):
        score[row - burst_rows + 1 : row + 1] = 9.0 + score[row - burst_rows + 1 : row + 1]
    return score


def test_a_score_that_knows_the_breaks_warns_of_all_and_chance_of_few() -> None:
    found = fold_of(noise_that_is_loud_before_breaks(burst_rows=4)).figures(Candidate())
    assert found.recall.shape == (len(JUDGED), 1 + DRAWS)
    assert found.recall[:, 0].tolist() == [1.0, 1.0]
    assert (found.chance < 0.5).all()


def test_the_search_finds_that_a_delay_tells_bursts_before_breaks_from_the_others() -> None:
    """Bursts before breaks are no higher than the others here, but longer: no level tells them apart."""
    score = np.minimum(noise_that_is_loud_before_breaks(burst_rows=6), 3.0)
    tried = search([fold_of(score)])
    best = max(tried, key=lambda candidate: tried[candidate].recall[:, 0].mean())
    assert best.policy.open_after > 1
    assert tried[best].recall[:, 0].mean() > tried[Candidate()].recall[:, 0].mean() + 0.3


def test_neighbours_differ_in_one_knob_each_and_are_named_by_it() -> None:
    found = list(neighbours(Candidate()))
    assert len(set(found)) == len(found)
    assert all(one.text() != "default" and "," not in one.text() for one in found)
    assert Candidate().text() == "default"
