"""Hot reload: a model made current is taken up between two batches; an unfit one is refused, the old kept."""

import logging
from collections.abc import Callable
from pathlib import Path

from monitor.metrics import Metrics
from sheetbreak.artifact import current_version, load
from sheetbreak.engine.model import Artifact
from sheetbreak.errors import ArtifactError

CHECK_EVERY_S = 1.0

log = logging.getLogger(__name__)


class ModelWatch:
    """The model that scores now, and the eye on `models/current`."""

    def __init__(self, models: Path, model: Artifact, *, metrics: Metrics, clock: Callable[[], float]) -> None:
        """model: the current one, loaded from `models`."""
        self._models, self._metrics, self._clock = models, metrics, clock
        self.model = model
        self._tried = self.model.version
        """The version looked at last: one that was refused is not tried again every second."""
        self._checked_at = clock()
        metrics.show_model(self.model.manifest)

    def refresh(self, *, asked: bool) -> bool:
        """Take up a new current model, if there is one. True: `model` is another one now.

        asked: by a signal: try at once, and again even what was refused before.
        """
        if not asked and self._clock() - self._checked_at < CHECK_EVERY_S:
            return False
        self._checked_at = self._clock()
        version = ""
        try:
            version = current_version(self._models)
            if version == self._tried and not asked:
                return False
            model = load(self._models, version)
            self._refuse_other_schema(model)
        except ArtifactError as refusal:
            if version == self._tried and not asked:  # no current model at all, and said so before
                return False
            self._tried = version
            self._metrics.reloads.labels("refused").inc()
            log.error("event=model-refused kept=%s reason=%r", self.model.version, str(refusal))
            return False
        self._tried = version
        self._metrics.reloads.labels("ok").inc()
        log.info("event=model-reloaded version=%s replaces=%s", version, self.model.version)
        self.model = model
        self._metrics.show_model(model.manifest)
        return True

    def _refuse_other_schema(self, model: Artifact) -> None:
        if model.manifest.schema.digest != self.model.manifest.schema.digest:
            raise ArtifactError(
                f"model {model.version} has another schema (sensors, sampling or lead rows) than the old; "
                "restart the monitor to use it"
            )
