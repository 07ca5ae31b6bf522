"""What the model makes of the rows of a batch: all of them scored at once, and one of them explained."""

import numpy as np

from sheetbreak.engine.imputation import estimate
from sheetbreak.engine.model import Artifact
from sheetbreak.engine.scoring import TopSensor, top_sensors
from sheetbreak.engine.windows import Folded


class Scored:
    """The rows that have a window and their scores."""

    def __init__(self, folded: Folded, model: Artifact) -> None:
        """Run the model over all windows; where cells are to be estimated, until they settle."""
        self._folded, self._model = folded, model
        self.places = [folded.places[row] for row in folded.scorable.tolist()]
        """(m,) their places in the batch."""
        self._number = {place: number for number, place in enumerate(self.places)}
        scorer, windows, unseen = model.scorer, folded.windows, np.isnan(folded.windows)
        holed = np.flatnonzero(unseen.any(axis=(1, 2)))
        if len(holed):
            windows = np.where(unseen, model.features.normal, windows)
        scaled = scorer.scale(windows)
        rebuilt = model.reconstruct(scaled) if len(scaled) else scaled
        if len(holed):
            scaled[holed], rebuilt[holed] = estimate(
                scaled[holed], unseen[holed], model.reconstruct, limits=scorer.limits
            )
        self.contributions = scorer.contributions(scaled, rebuilt)
        """(m, sensors) each sensor's part in the score."""
        if len(holed):  # estimates have no error of their own: the score is the mean over what was seen
            seen = (~unseen[holed]).sum(axis=(1, 2))
            self.contributions[holed] *= (unseen[0].size / seen)[:, None]
        self.scores = scorer.scores(self.contributions)
        """(m,)"""
        self._rebuilt, self._unseen = rebuilt[:, -1], unseen[:, -1]
        self.score = dict(zip(self.places, self.scores.tolist(), strict=True))
        """By place."""

    def top(self, place: int) -> list[TopSensor]:
        """The sensors with the largest part in a row's score."""
        number, features = self._number[place], self._folded.features
        row = self._folded.scorable[number]
        expected = features.centre[row] + self._model.scorer.unscale(self._rebuilt[number]) * features.spread[row]
        observed = np.where(self._unseen[number], expected, features.observed[row])
        sensors = self._model.manifest.schema.sensors
        return top_sensors(sensors, self.contributions[number], observed=observed, expected=expected)

    def masked(self, place: int) -> tuple[str, ...]:
        """A row's sensors that are missing for so long that they count as normal."""
        sensors = self._model.manifest.schema.sensors
        found = self._folded.features.masked.get(int(self._folded.scorable[self._number[place]]), ())
        return tuple(sensors[sensor] for sensor in found)
