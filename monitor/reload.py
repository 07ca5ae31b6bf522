"""Hot reload: a model made current is taken up between two batches; an unfit one is refused, the old kept.

What was decided about models that did not become current is told, too: see sheetbreak/artifact/promotion.py.
"""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from monitor.metrics.metrics import Metrics
from sheetbreak.artifact import current_version, load
from sheetbreak.artifact.promotion import JOURNAL, read_decisions
from sheetbreak.engine.model import Artifact
from sheetbreak.errors import ArtifactError

CHECK_EVERY_S = 1.0
READ_AGAIN_S = 10.0
"""After so long what could not be read is tried again: a disk or a share may be back."""
_LOOKED_AT = 1000
"""Files of an artifact that are looked at for a change, at most."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Refusal:
    """A model that was refused, and what its files looked like."""

    version: str
    reason: str
    unread: bool
    """It could not be read, which says nothing about the model."""
    at_s: float
    files: tuple[object, ...]
    changed: tuple[object, ...] | None = None
    """What they looked like at the last look, where that was otherwise."""

    def may_be_over(self, models: Path, now_s: float) -> bool:
        """Whether to try again: its files have changed (it was being copied) and are at rest, or may be readable."""
        if self.unread and now_s - self.at_s >= READ_AGAIN_S:
            return True
        before, self.changed = self.changed, _look(models / self.version)
        return self.changed != self.files and self.changed == before


class ModelWatch:
    """The model that scores now, and the eye on `models/current`."""

    def __init__(self, models: Path, model: Artifact, *, metrics: Metrics, clock: Callable[[], float]) -> None:
        """model: the current one, loaded from `models`."""
        self._models, self._metrics, self._clock = models, metrics, clock
        self.model = model
        self._tried = self.model.version
        """The version looked at last."""
        self._refused: _Refusal | None = None
        """Where that one was refused: it is not tried again every second."""
        self._checked_at = clock()
        metrics.show_model(self.model.manifest)
        self._promotions = PromotionWatch(models, metrics=metrics)

    def refresh(self, *, asked: bool) -> bool:
        """Take up a new current model, if there is one. True: `model` is another one now.

        asked: by a signal: try at once, and again even what was refused before.
        """
        now_s = self._clock()
        if not asked and now_s - self._checked_at < CHECK_EVERY_S:
            return False
        self._checked_at = now_s
        self._promotions.look()
        version = ""
        files: tuple[object, ...] = ()
        try:
            version = current_version(self._models)
            if version == self._tried and not asked and not self._try_again(now_s):
                return False
            files = _look(self._models / version)  # before loading: a change meanwhile is one since
            model = load(self._models, version)
            self._refuse_other_schema(model)
        except ArtifactError as refusal:
            unread = isinstance(refusal.__cause__, OSError)
            self._refuse(_Refusal(version, str(refusal), unread, now_s, files), asked=asked)
            return False
        self._tried, self._refused = version, None
        self._metrics.reloads.labels("ok").inc()
        log.info("event=model-reloaded version=%s replaces=%s", version, self.model.version)
        self.model = model
        self._metrics.show_model(model.manifest)
        return True

    def _try_again(self, now_s: float) -> bool:
        return self._refused is not None and self._refused.may_be_over(self._models, now_s)

    def _refuse(self, refusal: _Refusal, *, asked: bool) -> None:
        """Keep the old model; told and counted once for each reason."""
        before, self._tried, self._refused = self._refused, refusal.version, refusal
        if before is None or asked or (before.version, before.reason) != (refusal.version, refusal.reason):
            self._metrics.reloads.labels("refused").inc()
            log.error("event=model-refused kept=%s reason=%r", self.model.version, refusal.reason)

    def _refuse_other_schema(self, model: Artifact) -> None:
        if model.manifest.schema.digest != self.model.manifest.schema.digest:
            raise ArtifactError(
                f"model {model.version} has another schema (sensors, sampling or lead rows) than the old; "
                "restart the monitor to use it"
            )


class PromotionWatch:
    """The eye on the journal: a model that did not become current is told where the current one runs."""

    def __init__(self, models: Path, *, metrics: Metrics) -> None:
        self._models, self._metrics = models, metrics
        self._seen: tuple[int, ...] = ()
        self._told = 0
        self.look(told=False)

    def look(self, *, told: bool = True) -> None:
        """Take in what was written since. told: in the log, too."""
        try:
            found = (self._models / JOURNAL).stat()
        except OSError:
            return
        seen = (found.st_ino, found.st_size, found.st_mtime_ns)
        if seen == self._seen:
            return
        self._seen = seen
        decisions = read_decisions(self._models)
        for one in decisions[self._told :] if told else ():
            log.info(
                "event=model-decision version=%s decision=%s by=%r current=%s why=%r",
                one.version,
                one.decision,
                one.by,
                one.current,
                one.why,
            )
        self._told = len(decisions)
        if decisions:
            self._metrics.decisions.show(decisions[-1])


def _look(directory: Path) -> tuple[object, ...]:
    """What tells an artifact's files from changed ones, without reading them."""

    def entries(folder: Path | str) -> Iterator[tuple[object, ...]]:
        with os.scandir(folder) as found:
            for entry in found:
                seen = entry.stat(follow_symlinks=False)
                yield (entry.path, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
                if entry.is_dir(follow_symlinks=False):
                    yield from entries(entry.path)

    try:
        return tuple(sorted(islice(entries(directory), _LOOKED_AT)))
    except OSError as cause:
        return (cause.errno,)
