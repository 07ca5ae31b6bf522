"""Smoothing: the mean of a machine's last scores in the place of each score, where a model asks for it.

It never reaches across a stop, so that fewer scores count at first. Sums are exact (math.fsum) and rounded once: a mean
is the same bits whatever came in one batch.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence

from sheetbreak.engine.admission import RUN, Stretch

RecentScores = tuple[float, ...]
"""A machine's last scores as the model gave them, oldest first: those that the next mean may take in."""


def smooth(
    stretches: Mapping[str, Stretch],
    scores: Sequence[float | None],
    recent: Mapping[str, RecentScores],
    *,
    rows: int,
) -> tuple[list[float | None], dict[str, RecentScores]]:
    """By place the mean of each score and up to rows - 1 before it, None where there is no score; and what comes next.

    stretches: one of each machine. recent: of each of them, before it. A row without a score is passed by.
    """
    found, after = list(scores), dict[str, RecentScores]()
    if rows == 1:
        return found, dict.fromkeys(stretches, ())
    for machine, stretch in stretches.items():
        last = deque(recent[machine], maxlen=rows)
        for place, what, since_restart in stretch.steps:
            if what != RUN:
                continue
            if not since_restart:
                last.clear()
            score = scores[place]
            if score is not None:
                last.append(score)
                found[place] = math.fsum(last) / len(last)
        after[machine] = tuple(last)[1 - rows :]
    return found, after
