"""Every table and summary fits 80 columns, with the widest figures and names that they may hold."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from tests.support.data.scored_examples import make_rows
from trainer.commands import families
from trainer.comparison.tables import compared_table, difference_table, point_heads
from trainer.evaluation.anomaly_tables import anomaly_folds, anomaly_table
from trainer.evaluation.tables import confusion_table, deployed_table, evaluation_table, fold_table, scorer_table
from trainer.families import FAMILIES
from trainer.metrics.confusion import Confusion
from trainer.metrics.evaluation import Evaluation, evaluate
from trainer.metrics.worth import Costs, Worth
from trainer.output.text import WIDTH, table, wrap_lines

LONG = "Isolation Forest of the second machine, streaming z, window 12"
NAMES = ["1", "all 8", "last 4"]
CONFUSION = Confusion(
    true_negatives=12_345_678, false_positives=1_234_567, false_negatives=123_456, true_positives=98_765
)


@lru_cache
def wide(lead_rows: int = 2) -> Evaluation:
    """Every share is 1, every interval has two digits, some breaks are covered or unscored."""
    rows = make_rows(
        np.random.default_rng(1).random(1500),
        breaks=[2, *range(500, 1500, 100)],
        opened=range(450, 1500, 100),
        alert_open=range(460, 1500),
        lead_rows=lead_rows,
    )
    found = evaluate([rows])
    assert found.deployed
    horizons = [replace(one, recall=1.0, chance=1.0, false_alarms_per_day=1234.5) for one in found.deployed.horizons]
    return replace(
        found,
        rows=12_345_678,
        roc_auc=1.0,
        roc_auc_interval=(0.99, 1.0),
        average_precision=1.0,
        average_precision_interval=(0.999, 1.0),
        recall=[replace(one, recall=1.0, chance=1.0, interval=(1.0, 1.0), time_in_alarm=1.0) for one in found.recall],
        deployed=replace(found.deployed, horizons=horizons, time_in_alarm=1.0, breaks_covered=8, breaks_unscored=1),
    )


def narrow(text: str) -> bool:
    return max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.parametrize("period_s", [120.0, 7.5, 86_400.0])
def test_tables_of_an_evaluation_fit(period_s: float) -> None:
    found, by_name = wide(), dict.fromkeys(NAMES, wide())
    assert narrow(evaluation_table(found, period_s=period_s, title="validation rows, which chose epoch and threshold"))
    assert narrow(fold_table(by_name, period_s=period_s))
    assert narrow(deployed_table(by_name, period_s=period_s))
    assert narrow(deployed_table({LONG: found, "dense": found}, period_s=period_s, head="last 4 folds"))
    gains = {"rows since the last break": (-0.05, 0.05), LONG: (-0.05, 0.05)}
    assert narrow(scorer_table({"default, lstm-variational": (found, found)}, gains, period_s=period_s))
    assert narrow(scorer_table({LONG: (found, found)}, gains, period_s=period_s))


def test_what_stands_in_the_tables_is_whole_though_they_are_in_blocks() -> None:
    found = wide()
    shown = fold_table(dict.fromkeys(NAMES, found), period_s=120.0)
    assert shown.count("100(100)") == 9 * len(NAMES)
    compared = compared_table({LONG: (found, found, "3 ±.012")}, period_s=120.0, later="last 4 of 8 folds", events=True)
    assert compared.count("100 [100, 100] (100)") == 2
    assert narrow(compared)
    cells = [(-0.999, (-0.999, -0.888))] * 3
    heads = ["AUC", *point_heads([(10, 5), (30, 5)], 120.0)]
    differences = difference_table({LONG: cells, "pca": cells}, first="default, dense", heads=heads)
    assert differences.count("-99.9 [-99.9, -88.8]") == 6
    assert narrow(differences)


def test_tables_of_anomalous_rows_fit() -> None:
    found = wide(lead_rows=0)
    assert narrow(anomaly_table(found, title="validation rows, which chose epoch and threshold"))
    assert narrow(anomaly_folds(dict.fromkeys(NAMES, (found, CONFUSION))))
    assert narrow(confusion_table(CONFUSION, lead_rows=2))
    assert narrow(confusion_table(CONFUSION, lead_rows=0))


def test_what_a_policy_is_worth_and_the_list_of_families_fit() -> None:
    found = wide().deployed
    assert found
    assert narrow(wrap_lines(Worth.of(found, Costs()).sentence))
    shown = families._text(FAMILIES)
    assert "lstm-variational" in shown
    assert narrow(shown)


def test_a_table_that_is_too_wide_goes_on_below_with_its_names_again() -> None:
    lines = table("fold", ["a" * 30, "b" * 30, "c"], {"one": ["1", "2", "3"], "two": ["4", "5", "6"]})
    assert [line.split() for line in lines] == [
        ["fold", "a" * 30, "b" * 30, "c"], ["one", "1", "2", "3"], ["two", "4", "5", "6"],
    ]  # fmt: skip
    lines = table("fold", ["a" * 40, "b" * 40], {"one": ["1", "2"]})
    assert [line.split() for line in lines] == [["fold", "a" * 40], ["one", "1"], [], ["fold", "b" * 40], ["one", "2"]]
    assert max(map(len, lines)) <= WIDTH
