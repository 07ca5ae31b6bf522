"""A level for each grade: what training gives it, what the monitor makes of it, and who keeps the common one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.artifact import load, save
from sheetbreak.engine.advance import advance
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.engine.thresholds import Threshold, Trailing, level_now
from sheetbreak.errors import DataError
from sheetbreak.rows import RowBatch
from tests.engine.test_alerts import dial, rows_of
from tests.support.data.histories import mill_like, schema_of
from tests.trainer.training.test_threshold_policies import evidence_of
from trainer.data.splits import chronological
from trainer.training.pipeline import Recipe, Trained, choose_threshold, fit_pipeline
from trainer.training.presets import preset_named
from trainer.training.threshold_evidence import known_grades
from trainer.training.threshold_policies import GRADE_ROWS, POLICIES, Evidence, parse_policy

LOUD = Threshold(4.0, "fixed/grade", grade_levels={"loud": 16.0})


def readings(values: list[float], grades: list[str | None]) -> RowBatch:
    rows = rows_of("." * len(values))
    return replace(rows, values=np.array(values).reshape(-1, 1), grades=grades)


def over(rows: RowBatch, threshold: Threshold) -> list[bool]:
    flags: list[bool] = advance({}, rows, dial(AlertPolicy(), threshold=threshold))[1].over.tolist()
    return flags


# The monitor


def test_a_grade_with_a_level_of_its_own_is_held_against_it_and_every_other_against_the_common_one() -> None:
    rows = readings([3, 3, 3, 5, 5], ["loud", "new", None, "loud", "other"])
    assert over(rows, LOUD) == [False, True, True, True, True]
    results = advance({}, rows, dial(AlertPolicy(), threshold=LOUD))[1]
    assert results.threshold.tolist() == [16, 4, 4, 16, 4]


def test_a_row_without_a_grade_has_that_of_the_row_before_it() -> None:
    rows = readings([3, 3, 3, 3], [None, "loud", None, "new"])
    assert over(rows, LOUD) == [True, False, False, True]
    states = advance({}, rows.take(slice(2)), dial(AlertPolicy(), threshold=LOUD))[0]
    assert not advance(states, rows.take(slice(2, 3)), dial(AlertPolicy(), threshold=LOUD))[1].over[0]


@given(
    scores=st.lists(st.sampled_from([1.0, 1.5, 2.0, 3.0, 5.0]), min_size=30, max_size=60),
    grades=st.lists(st.sampled_from(["A", "B", None]), min_size=60, max_size=60),
    ratio=st.sampled_from([0.25, 4.0]),
)
def test_a_grade_that_scores_higher_throughout_is_judged_as_if_it_did_not(
    scores: list[float], grades: list[str | None], ratio: float
) -> None:
    """One trailing window serves all grades. Powers of two, so that not a bit is lost."""
    usual = Threshold(4.0, "trailing", 0.8, trailing_rows=20, min_rows=10)
    by_grade = replace(usual, grade_levels={"B": 4.0 * ratio})
    rows = readings(scores, grades[: len(scores)])
    known = known_grades(rows)
    louder = [score * ratio**0.5 if grade == "B" else score for score, grade in zip(scores, known, strict=True)]
    assert over(readings(louder, rows.grades), by_grade) == over(rows, usual)


def test_without_levels_for_grades_the_grade_makes_no_difference() -> None:
    trailing = Trailing(10, [1.0, 2.0, 3.0])
    for threshold in (Threshold(5.0, ""), Threshold(5.0, "", 0.5, min_rows=2)):
        assert level_now(threshold, trailing, "A") == level_now(threshold, trailing, None)


# The trainer


def graded(*, fit: dict[str, np.ndarray], validation: dict[str, np.ndarray]) -> Evidence:
    """Every 25th validation row precedes a break; a threshold's false alarms are the other rows over it, by 100."""

    def part(grades: list[str]) -> Evidence:
        scores, labels = (np.concatenate([one[grade] for grade in grades]) for one in (validation, LABELS))
        alarms: Callable[[Threshold], float] = lambda t: float((scores > t.level).sum()) / 100  # noqa: E731 - closes over scores
        return evidence_of(scores, labels, fit_scores=np.concatenate([fit[g] for g in grades]), alarms=alarms)

    return replace(part(sorted(fit)), by_grade={grade: part([grade]) for grade in fit})


RNG = np.random.default_rng(8)
FEW = GRADE_ROWS - 1
SIZES = {"few": FEW, "high": 900, "low": GRADE_ROWS}
SCALES = {"few": 1.0, "high": 3.0, "low": 1.0}
LABELS = {grade: np.arange(n) % 25 == 0 for grade, n in SIZES.items()}
FIT = {grade: SCALES[grade] * RNG.exponential(size=n) for grade, n in SIZES.items()}
VALIDATION = {grade: SCALES[grade] * (RNG.exponential(size=n) + LABELS[grade]) for grade, n in SIZES.items()}


@pytest.mark.parametrize("name", POLICIES)
def test_a_grade_with_rows_enough_has_the_level_that_its_own_rows_choose(name: str) -> None:
    evidence = graded(fit=FIT, validation=VALIDATION)
    common, found = parse_policy(name)(evidence), parse_policy(f"{name}/grade")(evidence)
    assert set(found.grade_levels) == {"high", "low"}
    assert replace(found, grade_levels={}, policy=common.policy) == common
    assert found.policy == f"{common.policy}/grade"
    assert parse_policy(found.policy)(evidence).grade_levels == pytest.approx(found.grade_levels)
    for grade, level in found.grade_levels.items():
        own = evidence.by_grade[grade]
        if name.startswith(("trailing", "rate")):
            assert found.quantile is not None
            quantiles = [np.quantile(one.fit_scores, found.quantile) for one in (own, evidence)]
            assert level / found.level == pytest.approx(quantiles[0] / quantiles[1])
        else:
            assert level == pytest.approx(parse_policy(common.policy)(own).level)
    assert found.grade_levels["high"] > 1.5 * found.grade_levels["low"]


def test_a_grade_without_a_break_keeps_the_common_level_of_pr_curve() -> None:
    evidence = graded(fit=FIT, validation=VALIDATION)
    calm = replace(evidence.by_grade["low"], will_break=np.zeros(SIZES["low"], np.bool_))
    evidence = replace(evidence, by_grade={**evidence.by_grade, "low": calm})
    assert set(parse_policy("pr-curve/grade")(evidence).grade_levels) == {"high"}


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e9])
def test_a_grade_that_is_a_fault_in_the_data_keeps_the_common_level(scale: float) -> None:
    odd = {**FIT, "low": FIT["low"] * scale}
    assert set(parse_policy("quantile:.5/grade")(graded(fit=odd, validation=VALIDATION)).grade_levels) == {"high"}


@pytest.mark.parametrize("text", ["quantile:.99/grades", "quantile/grade:.99", "/grade", "trailing/"])
def test_a_policy_by_anything_else_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="--threshold"):
        parse_policy(text)


SCHEMA = replace(schema_of(6), grade="grade")


@pytest.fixture(scope="module")
def trained() -> Trained:
    """Grade B, every other 100 rows, is three times as noisy; C has too few rows for a level."""
    rows = mill_like(2600, break_every=None)
    number = np.arange(len(rows)) // 100
    grade = np.where(number % 2 == 0, "A", "B")
    rows.values[grade == "B"] += np.random.default_rng(2).normal(size=rows.values.shape)[grade == "B"]
    grade[:120] = "C"
    named = [str(one) if place % 10 == 0 else None for place, one in enumerate(grade)]
    return _train(replace(rows, grades=named), "quantile:.95/grade")


def _train(rows: RowBatch, policy: str, **settings) -> Trained:
    recipe = Recipe(preset=preset_named("rows"), family="pca", policy=policy, **settings)
    split = chronological(rows.times_us, (0.8, 0.1, 0.1))
    fit = fit_pipeline(rows, SCHEMA, labels=recipe.preset.labels(rows, SCHEMA), split=split, recipe=recipe)
    return choose_threshold(fit)


def test_a_training_by_grade_gives_each_grade_about_the_share_of_alarms_that_was_asked_for(trained: Trained) -> None:
    levels = trained.artifact.manifest.threshold.grade_levels
    assert set(levels) == {"A", "B"}
    assert levels["B"] > 1.3 * levels["A"]
    place = np.arange(2080)
    of_b = (place // 100) % 2 == 1
    shares = [trained.honest.over[:2080][chosen & (place >= 120)].mean() for chosen in (of_b, ~of_b)]
    assert shares == pytest.approx([0.05, 0.05], abs=0.01)


def test_the_levels_are_saved_with_the_model(trained: Trained, tmp_path: Path) -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    save(tmp_path, trained.artifact.manifest, files=trained.files, golden=trained.golden, now=now)
    assert load(tmp_path).manifest.threshold == trained.artifact.manifest.threshold


@pytest.mark.parametrize(
    ("policy", "alert"), [("quantile:.9/grade", AlertPolicy()), ("quantile:.9", AlertPolicy(grade_change_rows=5))]
)
def test_a_history_without_a_grade_is_refused_before_any_work(policy: str, alert: AlertPolicy) -> None:
    rows, recipe = mill_like(100), Recipe(preset=preset_named("rows"), family="pca", policy=policy, alert=alert)
    split = chronological(rows.times_us, (0.8, 0.1, 0.1))
    with pytest.raises(DataError, match="the history has no grade; name its column in the schema file"):
        fit_pipeline(rows, schema_of(6), labels=recipe.preset.labels(rows, SCHEMA), split=split, recipe=recipe)
