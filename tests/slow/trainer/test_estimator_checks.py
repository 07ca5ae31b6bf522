"""Checks of scikit-learn's own on the detector: those that fail are the ones that are listed, with reasons."""

from typing import Any

import pytest
from sklearn.utils.estimator_checks import check_estimator

from trainer.estimator import SheetBreakDetector, expected_failed_checks


def failed(detector: SheetBreakDetector) -> tuple[set[str], set[str]]:
    """Checks that failed, and all that ran."""
    found: list[dict[str, Any]] = check_estimator(detector, on_fail=None, on_skip=None)
    ran = {one["check_name"] for one in found if one["status"] != "skipped"}
    return {one["check_name"] for one in found if one["status"] == "failed"}, ran


def test_with_rows_that_stand_for_themselves_it_passes_every_check_of_scikit_learn() -> None:
    detector = SheetBreakDetector(preset="rows", family="pca", fewest_rows=2)
    assert expected_failed_checks(detector) == {}
    wrong, ran = failed(detector)
    assert not wrong
    assert {"check_outliers_train", "check_methods_subset_invariance", "check_estimators_pickle"} <= ran


@pytest.mark.filterwarnings("ignore")
def test_with_rows_in_time_it_fails_the_checks_that_are_listed_and_no_other() -> None:
    detector = SheetBreakDetector(family="pca", fewest_rows=2)
    listed = expected_failed_checks(detector)
    wrong, ran = failed(detector)
    assert wrong == set(listed)
    assert len(ran) > 40
    assert all("rows" in reason for reason in listed.values())
    twenty = expected_failed_checks(SheetBreakDetector(preset="rows", family="pca"))
    assert set(twenty) < set(listed)
