"""Promises of the splits: later rows judge earlier ones, and the article's split is scikit-learn's, twice."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from sklearn.model_selection import train_test_split

from sheetbreak.errors import DataError
from trainer.data.labels import Labels
from trainer.data.splits import chronological, parse_split, random_rows


def test_a_split_is_three_percentages() -> None:
    assert parse_split("60/20/20") == pytest.approx((0.6, 0.2, 0.2))
    assert parse_split("80/20/0") == pytest.approx((0.8, 0.2, 0.0))


@pytest.mark.parametrize(
    "text", ["", "60/40", "60/20/30", "0/50/50", "50/0/50", "120/-40/20", "a/b/c", "nan/50/50", "60/20/20/0"]
)
def test_a_split_that_leaves_nothing_to_fit_or_validate_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="60/20/20"):
        parse_split(text)


@given(st.lists(st.integers(0, 50), max_size=60), st.sampled_from(["60/20/20", "80/20/0", "34/33/33"]))
def test_every_row_lands_in_one_part_and_no_later_part_holds_an_earlier_time(times: list[int], text: str) -> None:
    times_us = np.asarray(times, np.int64)
    split = chronological(times_us, parse_split(text))
    parts = [split.fit, split.validation, split.test]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(times)))
    for i, earlier in enumerate(parts):
        for later in parts[i + 1 :]:
            if len(earlier) and len(later):
                assert times_us[earlier].max() < times_us[later].min()


def test_rows_of_one_machine_are_cut_at_the_percentages() -> None:
    split = chronological(np.arange(18_398, dtype=np.int64), parse_split("60/20/20"))
    assert (len(split.fit), len(split.validation), len(split.test)) == (11_038, 3_680, 3_680)


def test_the_article_splits_the_judged_rows_twice_at_random_with_its_own_seed() -> None:
    judged = np.ones(1000, np.bool_)
    judged[::50] = False
    split = random_rows(Labels(will_break=~judged, judged=judged, run=np.zeros(1000, np.int64)))
    rest, test = train_test_split(np.flatnonzero(judged), test_size=0.2, random_state=123)
    fit, validation = train_test_split(rest, test_size=0.2, random_state=123)
    assert (split.fit.tolist(), split.validation.tolist(), split.test.tolist()) == (
        sorted(fit), sorted(validation), sorted(test),
    )  # fmt: skip
