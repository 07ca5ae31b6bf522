"""Scores: what the model makes of all windows of a batch at once, and what explains one of them. The third stage.

Missing sensors may be estimated by the model: what it makes of the others, put in and rebuilt again until that settles.
An autoencoder rebuilds a row from what its sensors have in common. Where cells are missing its own reconstruction
takes their place, again and again: for principal components that leads to the least-squares fit to the cells that are
known, as the EM algorithm does (Roweis, "EM algorithms for PCA and SPCA", 1998), for a net to a row that it rebuilds
as it is. Every window is filled by itself, so that its bits do not depend on those beside it.
"""

from collections.abc import Sequence

import numpy as np

from sheetbreak.engine.features import Features
from sheetbreak.engine.model import Float32s, Reconstruct
from sheetbreak.engine.moments import Bools, Floats
from sheetbreak.engine.scoring import Scorer, TopSensor, top_sensors
from sheetbreak.engine.windows import Windows

MAX_ROUNDS = 20
"""Calls of the model for a window, at most: most settle in ten, and where principal components hardly see a sensor
they would creep on for hundreds, to no better estimate."""
TOLERANCE = 1e-3
"""Scaled units, in which a sensor's usual range is 1."""


class Scores:
    """The scores of m windows."""

    def __init__(self, windows: Windows, *, reconstruct: Reconstruct, scorer: Scorer, normal: Floats) -> None:
        """Run the model over all windows; where cells are to be estimated, until they settle.

        normal: (sensors,) the features that an estimate begins with.
        """
        self._ends, self._scorer = windows.ends, scorer
        self.places = [windows.places[row] for row in windows.ends.tolist()]
        """(m,) the scored rows' places in the batch."""
        features = windows.gather()
        unseen = np.isnan(features)
        holed = np.flatnonzero(unseen.any(axis=(1, 2)))
        if len(holed):
            features = np.where(unseen, normal, features)
        scaled = scorer.scale(features)
        rebuilt = reconstruct(scaled) if len(scaled) else scaled
        if len(holed):
            scaled[holed], rebuilt[holed] = estimate(scaled[holed], unseen[holed], reconstruct, limits=scorer.limits)
        self.contributions = scorer.contributions(scaled, rebuilt)
        """(m, sensors) each sensor's part in the score."""
        if len(holed):  # estimates have no error of their own: the score is the mean over what was seen
            seen = (~unseen[holed]).sum(axis=(1, 2))
            self.contributions[holed] *= (unseen[0].size / seen)[:, None]
        self.scores = scorer.scores(self.contributions)
        """(m,)"""
        self._rebuilt, self._unseen = rebuilt[:, -1], unseen[:, -1]

    def by_place(self, n: int) -> list[float | None]:
        """The score of each of the batch's n rows; None where it has none."""
        found: list[float | None] = [None] * n
        for place, score in zip(self.places, self.scores.tolist(), strict=True):
            found[place] = score
        return found

    def top(self, number: int, features: Features, sensors: Sequence[str]) -> list[TopSensor]:
        """The sensors with the largest part in the score of the window of this number."""
        observed, expected = self.in_plant_units(features, number)
        return top_sensors(sensors, self.contributions[number], observed=observed, expected=expected)

    def in_plant_units(self, features: Features, number: int | slice = slice(None)) -> tuple[Floats, Floats]:
        """Observed and expected values of the last row of one window, or of all: (sensors,) or (m, sensors) each."""
        row = self._ends[number]
        expected = features.centre[row] + self._scorer.unscale(self._rebuilt[number]) * features.spread[row]
        return np.where(self._unseen[number], expected, features.observed[row]), expected


def estimate(
    windows: Float32s, unseen: Bools, reconstruct: Reconstruct, *, limits: tuple[float, float]
) -> tuple[Float32s, Float32s]:
    """Windows with the model's estimate in their unseen cells, and what it then rebuilds; there the two are equal.

    windows, unseen: (n, window, sensors), scaled; an unseen cell holds what to start from. limits: the least and the
    greatest scaled value.
    """
    filled, rebuilt = windows.copy(), np.empty_like(windows)
    moving = np.arange(len(windows))
    for _ in range(MAX_ROUNDS):
        before, cells = filled[moving], unseen[moving]
        found = reconstruct(before)
        after = np.where(cells, np.clip(found, *limits), before)
        filled[moving], rebuilt[moving] = after, np.where(cells, after, found)
        moving = moving[np.abs(after - before).max(axis=(1, 2)) > TOLERANCE]
        if not len(moving):
            break
    return filled, rebuilt
