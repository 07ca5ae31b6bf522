"""From rows that were taken to the windows that the model scores: all machines of a batch at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sheetbreak.engine.admission import Stretch
from sheetbreak.engine.features import LARGEST, FeatureFold, Features, FeatureState, Float32s
from sheetbreak.engine.moments import Floats, Ints, numbers


class Memory(NamedTuple):
    """What of a machine's past its next windows are made with."""

    features: FeatureState
    recent: Float32s
    """(rows since the last stop, at most window - 1; sensors) features of the last rows, unscaled; NaN where one was
    missing and the model is to estimate it."""


class Folded(NamedTuple):
    """n rows, one stretch's after another's."""

    places: list[int]
    """(n,) each row's place in the batch."""
    since_restart: list[int]
    """(n,) rows since the machine's last stop."""
    features: Features
    scorable: Ints
    """(m,) the rows that have a window: past the warm-up, and far enough from the last stop."""
    windows: Floats
    """(m, window, sensors) features, unscaled; NaN in cells that the model is to estimate."""
    after: list[Memory]
    """Of each stretch."""


def fold(
    stretches: Sequence[tuple[Stretch, Memory]],
    values: Floats,
    *,
    using: FeatureFold,
    window: int,
    estimates: bool,
) -> Folded:
    """Fold the rows of stretches, each on from what is remembered before it, and cut the windows that end in them.

    values: (rows of the batch, sensors) plant units. estimates: whether the model is to estimate what is missing;
    else the last value stands in.
    """
    places = [place for stretch, _ in stretches for place in stretch.rows]
    since = [rows for stretch, _ in stretches for rows in stretch.since_restart]
    lengths = [len(stretch.rows) for stretch, _ in stretches]
    states, features = using.fold(
        [before.features for _, before in stretches],
        np.clip(values[places], -LARGEST, LARGEST),
        lengths=lengths,
        hold=[rows < using.params.hold_rows for rows in since],
    )
    z = features.z
    if estimates and features.imputed:
        z = z.copy()
        for row, sensors in features.imputed.items():
            z[row, sensors] = np.nan
    unscored = [using.warm_up_rows - before.features.rows for _, before in stretches]
    warm = numbers(np.array(lengths, np.intp)) >= np.repeat(unscored, lengths)
    if window == 1:
        scorable, recents = np.flatnonzero(warm), [before.recent[:0] for _, before in stretches]
        windows = z[scorable, None]
    else:
        recents = [before.recent[1 - window :] for _, before in stretches]
        if not estimates:  # kept by a monitor that did
            recents = [np.where(np.isnan(recent), using.normal, recent).astype(np.float32) for recent in recents]
        track = _Track(recents, z, lengths=lengths, since_restart=since)
        scorable = np.flatnonzero(warm & (track.unbroken >= window))
        windows, recents = track.windows(scorable, window), track.last(window - 1)
    after = [Memory(state, recent) for state, recent in zip(states, recents, strict=True)]
    return Folded(places, since, features, scorable, windows, after)


class _Track:
    """Features of n rows as they are stored, those of each stretch behind what is remembered before it."""

    def __init__(
        self, recents: Sequence[Float32s], z: Floats, *, lengths: Sequence[int], since_restart: Sequence[int]
    ) -> None:
        # float32 as stored, so that a window has the same bits whether or not a snapshot cut it in two
        self._recents, self._lengths = recents, lengths
        stored = np.split(z.astype(np.float32), np.cumsum(lengths)[:-1])
        self._rows = np.concatenate([part for both in zip(recents, stored, strict=True) for part in both])
        self._at = np.arange(len(z)) + np.repeat(np.cumsum([len(recent) for recent in recents]), lengths)
        unbroken, since = list[int](), iter(since_restart)
        for recent, rows in zip(recents, lengths, strict=True):
            count = len(recent)
            for _ in range(rows):
                count = 1 if next(since) == 0 else count + 1
                unbroken.append(count)
        self.unbroken = np.array(unbroken, np.intp)
        """(n,) rows of the track up to each row, itself among them, without a stop between them."""

    def windows(self, ends: Ints, window: int) -> Floats:
        """(len(ends), window, sensors) of those that end in these rows."""
        found: Floats = self._rows[self._at[ends][:, None] + np.arange(1 - window, 1)].astype(np.float64)
        return found

    def last(self, most: int) -> list[Float32s]:
        """Of each stretch the last rows, at most so many, since the last stop."""
        found, end = list[Float32s](), 0
        for recent, rows in zip(self._recents, self._lengths, strict=True):
            end += rows
            if rows:
                at, keep = self._at[end - 1] + 1, min(most, self.unbroken[end - 1])
                recent = self._rows[at - keep : at].copy()
            found.append(recent)
        return found
