"""Rolling origin: eight expanding folds, each fitted on the past alone and judged on the rows that follow.

b = 20, 30 … 90 % of the rows by time: fit on [0, b-5 %), validate on [b-5 %, b), test on [b, b+10 %). Design
choices are made on the earlier four; the later four say what they are worth.
"""

from trainer.labels import Ints
from trainer.splits import Split, chronological

ORIGINS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
VALIDATED = 0.05
TESTED = 0.1
LATER = slice(4, None)
"""The folds that no design choice was made on."""


def rolling_origin(times_us: Ints) -> list[Split]:
    """The folds of rows at these times, (n,) in any order; rows of one time stay together."""
    folds = []
    for origin in ORIGINS:
        past = chronological(times_us, (origin - VALIDATED, VALIDATED, 1 - origin))
        future = chronological(times_us, (origin, TESTED, 1 - origin - TESTED))
        folds.append(Split(past.fit, past.validation, future.validation))
    return folds
