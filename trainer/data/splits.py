"""Splits: which rows a model learns from, which choose its threshold, and on which it is judged."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split

from sheetbreak.errors import DataError
from trainer.data.labels import Ints, Labels

ARTICLE_SEED = 123
ARTICLE_TEST_SIZE = 0.2
MIN_RANDOM_ROWS = 10
LAST_PART_VALIDATES = 0.2
"""Of a CSV that comes with a separate test file."""


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers, ascending, that no two parts share."""

    fit: Ints
    validation: Ints
    test: Ints


def parse_split(text: str) -> tuple[float, float, float]:
    """Fractions from "60/20/20": fit, validation and test in percent; test may be 0.

    Raises DataError if they are not three numbers that add up to 100 with rows to fit and to validate.
    """
    try:
        fit, validation, test = (float(part) for part in text.split("/"))
    except ValueError:
        fit = validation = test = np.nan
    if not (fit > 0 and validation > 0 and test >= 0 and abs(fit + validation + test - 100) < 1e-6):
        raise DataError(
            f'--split "{text}": expected three percentages fit/validation/test that add up to 100, '
            "the first two above 0, such as 60/20/20"
        )
    return fit / 100, validation / 100, test / 100


def chronological(times_us: Ints, fractions: tuple[float, float, float]) -> Split:
    """The earliest fraction fits, the next validates, the rest tests; times_us: (n,), rows of one time stay
    together.

    By time and not by row number: a file may hold one machine after the other.
    """
    first_validation, first_test = (
        _time_of_rank(times_us, share) for share in (fractions[0], fractions[0] + fractions[1])
    )
    return Split(
        fit=np.flatnonzero(times_us < first_validation),
        validation=np.flatnonzero((times_us >= first_validation) & (times_us < first_test)),
        test=np.flatnonzero(times_us >= first_test),
    )


def _time_of_rank(times_us: Ints, share: float) -> int:
    """The time before which `share` of the rows lie; past the last one for all of them."""
    ordered = np.sort(times_us)
    rank = int(len(ordered) * share + 1e-9)
    return int(ordered[rank]) if rank < len(ordered) else int(ordered[-1]) + 1 if len(ordered) else 0


def random_rows(labels: Labels) -> Split:
    """The published split: 80/20 for test, the rest 80/20 for validation, shuffled with seed 123, break rows
    dropped.

    Neighbours of a test row are then in the training set, so its figures flatter; kept for comparison only.
    Raises DataError if there are too few rows.
    """
    rows = np.flatnonzero(labels.judged)
    if len(rows) < MIN_RANDOM_ROWS:
        raise DataError(f"{len(rows)} rows without a break are too few to split; give at least {MIN_RANDOM_ROWS}")
    rest, test = train_test_split(rows, test_size=ARTICLE_TEST_SIZE, random_state=ARTICLE_SEED)
    fit, validation = train_test_split(rest, test_size=ARTICLE_TEST_SIZE, random_state=ARTICLE_SEED)
    return Split(np.sort(fit), np.sort(validation), np.sort(test))
