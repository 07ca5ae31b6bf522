"""Promises of the threshold policies: statistics as the books define them, budgets kept, errors that help."""

from collections.abc import Callable
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy.stats import genpareto
from sklearn.metrics import fbeta_score

from sheetbreak.engine.thresholds import Threshold
from sheetbreak.errors import DataError
from trainer.training.threshold_policies import POLICIES, Evidence, parse_policy


def evidence_of(
    scores: list[float] | np.ndarray,
    labels: list[bool] | np.ndarray | None = None,
    *,
    fit_scores: list[float] | np.ndarray | None = None,
    alarms: Callable[[Threshold], float] = lambda _: 0.0,
) -> Evidence:
    known = np.asarray(scores, np.float64)
    return Evidence(
        fit_scores=known if fit_scores is None else np.asarray(fit_scores, np.float64),
        scores=known,
        will_break=np.zeros(len(known), np.bool_) if labels is None else np.asarray(labels, np.bool_),
        false_alarms_per_day=alarms,
        past_false_alarms_per_day=alarms,
        settled_share=lambda _threshold: 0.04,
    )


def exponential(count: int) -> np.ndarray:
    return np.random.default_rng(3).exponential(size=count)


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_names_itself_so_that_the_name_gives_the_same_threshold_again(name: str) -> None:
    labels = np.arange(500) % 25 == 0
    evidence = evidence_of(exponential(500) + labels, labels)
    found = parse_policy(name)(evidence)
    assert np.isfinite(found.level)
    assert found.policy.split(":")[0] == name
    assert parse_policy(found.policy)(evidence) == found


@pytest.mark.parametrize("text", ["", "best", "Quantile:.9", "trailing .98", ":.9"])
def test_an_unknown_policy_is_refused_with_the_names_of_the_known(text: str) -> None:
    with pytest.raises(DataError, match="pr-curve, mean-std, quantile, budget, evt, trailing"):
        parse_policy(text)


@pytest.mark.parametrize(
    "text",
    [
        "quantile:", "quantile:1.1", "quantile:-0.1", "quantile:nan", "quantile:high", "trailing:1", "trailing:0",
        "evt:1", "budget:-1", "budget:inf", "mean-std:nan", "mean-std:inf", "pr-curve:0",
    ],
)  # fmt: skip
def test_a_parameter_out_of_range_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(DataError, match=f"after the colon stands .*{text.split(':', maxsplit=1)[0]}:"):
        parse_policy(text)


@given(
    st.lists(st.tuples(st.integers(0, 8).map(float), st.booleans()), min_size=2, max_size=40),
    st.sampled_from([0.5, 1.0, 2.0]),
)
def test_pr_curve_has_the_best_f_beta_of_all_levels(rows: list[tuple[float, bool]], beta: float) -> None:
    scores, labels = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    if labels.all() or not labels.any():
        with pytest.raises(DataError, match="validation rows"):
            parse_policy("pr-curve")(evidence_of(scores, labels))
        return
    level = parse_policy(f"pr-curve:{beta}")(evidence_of(scores, labels)).level
    levels = [-1.0, *np.unique(scores)[:-1]]
    best = max(fbeta_score(labels, scores > one, beta=beta) for one in levels)
    assert fbeta_score(labels, scores > level, beta=beta) == pytest.approx(best)


def test_beta_says_whether_missed_breaks_or_false_alarms_weigh_more() -> None:
    """Over 5: precision 1, recall 2/3, so F2 .71 and F.5 .91. All rows: 3/8 and 1, so F2 .75 and F.5 .43."""
    evidence = evidence_of([7, 6, 5, 4, 3, 2, 1, 0], [True, True, False, False, False, False, False, True])
    assert parse_policy("pr-curve:2")(evidence).level < 0
    assert 5 < parse_policy("pr-curve:.5")(evidence).level < 6


def test_mean_std_and_quantile_look_at_break_free_training_rows_alone() -> None:
    evidence = evidence_of([50.0, 60.0], fit_scores=[1.0, 2.0, 3.0, 4.0, 5.0])
    assert parse_policy("mean-std:2")(evidence).level == pytest.approx(3 + 2 * np.sqrt(2))
    assert parse_policy("quantile:.75")(evidence).level == 4.0


def test_evt_finds_the_quantile_of_a_tail_that_has_hardly_been_seen() -> None:
    level = parse_policy("evt:.9999")(evidence_of(exponential(4000))).level
    assert level == pytest.approx(-np.log(1e-4), rel=0.15)


def test_evt_is_scipys_generalised_pareto_over_the_tail() -> None:
    scores = exponential(1000)
    start = np.quantile(scores, 0.95)
    tail = scores[scores > start] - start
    shape, _, scale = genpareto.fit(tail, floc=0)
    closed_form = start + scale / shape * ((0.001 * len(scores) / len(tail)) ** -shape - 1)
    assert parse_policy("evt:.999")(evidence_of(scores)).level == pytest.approx(closed_form, rel=1e-6)


def test_evt_leaves_rows_before_a_break_out() -> None:
    scores, labels = exponential(1000), np.arange(1000) < 20
    with_breaks = evidence_of(np.where(labels, 100.0, scores), labels)
    without = evidence_of(scores[~labels])
    assert parse_policy("evt")(with_breaks) == parse_policy("evt")(without)


def test_evt_within_what_was_seen_is_the_quantile() -> None:
    scores = exponential(1000)
    assert parse_policy("evt:.5")(evidence_of(scores)).level == np.quantile(scores, 0.5)


def test_evt_refuses_too_few_rows() -> None:
    with pytest.raises(DataError, match="59 break-free validation rows, 60 are needed"):
        parse_policy("evt")(evidence_of(exponential(59)))


def test_a_budget_is_kept_and_used_up() -> None:
    scores = np.linspace(0, 1, 2001)
    seen: list[float] = []

    def alarms(threshold: Threshold) -> float:
        seen.append(threshold.level)
        return float((scores > threshold.level).sum()) / 10

    chosen = parse_policy("budget:7")(evidence_of(scores, alarms=alarms))
    assert (scores > chosen.level).sum() <= 70
    assert (scores > chosen.level).sum() > 70 / 1.25, "the next level tried would have been over the budget"
    assert chosen.level == seen[-2], "the search ends at the first level over the budget"
    assert seen == sorted(seen, reverse=True)


def test_a_budget_of_no_false_alarm_ends_above_every_score() -> None:
    scores = exponential(100)
    chosen = parse_policy("budget:0")(evidence_of(scores, alarms=lambda t: float((scores > t.level).sum())))
    assert chosen.level == scores.max()


def test_an_alarm_that_never_ends_does_not_pass_as_one_within_the_budget() -> None:
    """Few alerts open when all rows are over the level: the search must not go there."""
    scores = exponential(1000)
    chosen = parse_policy("budget:5")(evidence_of(scores, alarms=lambda _: 0.0))
    assert np.mean(scores > chosen.level) <= 0.1


def test_trailing_alone_chooses_the_lowest_quantile_within_five_false_alarms_a_day() -> None:
    def alarms(threshold: Threshold) -> float:
        assert threshold.quantile is not None
        return (1 - threshold.quantile) * 500

    found = parse_policy("trailing")(evidence_of(exponential(500), alarms=alarms))
    assert found.quantile is not None
    assert 4.0 < (1 - found.quantile) * 500 <= 5.0
    assert found.policy == f"trailing:{found.quantile:g}"


@pytest.mark.parametrize("period_s", [0.004, 86_400.0])
def test_trailing_alone_allows_five_false_alarms_in_720_rows_where_a_day_says_nothing(period_s: float) -> None:
    per_row = 86_400.0 / period_s

    def alarms(threshold: Threshold) -> float:
        assert threshold.quantile is not None
        return (1 - threshold.quantile) * per_row

    found = parse_policy("trailing")(replace(evidence_of(exponential(500), alarms=alarms), period_s=period_s))
    assert found.quantile is not None
    assert 0.8 * 5 / 720 < 1 - found.quantile <= 5 / 720


def test_trailing_past_alone_counts_on_all_of_the_past_trailing_and_budget_on_validation_rows() -> None:
    def none(_: Threshold) -> float:
        return 0.0

    def many(_: Threshold) -> float:
        return 9.0

    evidence = evidence_of(exponential(500))
    quantiles, of_the_past, levels = [], [], []
    for of_validation, of_past in ((none, many), (many, none)):
        seen = replace(evidence, false_alarms_per_day=of_validation, past_false_alarms_per_day=of_past)
        quantiles.append(parse_policy("trailing")(seen).quantile)
        of_the_past.append(parse_policy("trailing-past")(seen).quantile)
        levels.append(parse_policy("budget:5")(seen).level)
    assert quantiles == [0.9, 0.9995]
    assert of_the_past == [0.9995, 0.9]
    assert levels[0] < np.quantile(evidence.scores, 0.95)
    assert levels[1] == evidence.scores.max()


def test_trailing_keeps_the_validation_quantile_until_the_window_has_filled() -> None:
    scores = exponential(500)
    found = parse_policy("trailing:.98")(evidence_of(scores, fit_scores=scores * 100))
    assert (found.quantile, found.level) == (0.98, np.quantile(scores, 0.98))


def test_without_a_scored_validation_row_every_policy_says_so() -> None:
    for name in POLICIES:
        with pytest.raises(DataError, match="no validation row was scored"):
            parse_policy(name)(evidence_of([], fit_scores=[1.0]))
