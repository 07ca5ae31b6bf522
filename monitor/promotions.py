"""Promotions: the last decision about a model, from the journal beside the models, as metrics and a line in the log."""

import logging
from pathlib import Path

from monitor.metrics.metrics import Metrics
from sheetbreak.promotion import JOURNAL, read_decisions

log = logging.getLogger(__name__)


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
