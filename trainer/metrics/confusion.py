"""Confusion matrix of the deployed threshold, row by row, and the ROC curve behind it."""

from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass
from typing import Any

from trainer.metrics.scored_rows import ScoredRows


@dataclass(frozen=True, slots=True)
class Confusion:
    """Judged rows by label and alarm."""

    true_negatives: int
    false_positives: int
    false_negatives: int
    true_positives: int

    @classmethod
    def of(cls, rows: ScoredRows) -> "Confusion":
        """Counts of rows that will break against rows over the deployed threshold."""
        label, over = rows.will_break[rows.judged], rows.over[rows.judged]
        return cls(
            true_negatives=int((~label & ~over).sum()),
            false_positives=int((~label & over).sum()),
            false_negatives=int((label & ~over).sum()),
            true_positives=int((label & over).sum()),
        )

    @classmethod
    def total(cls, parts: Iterable["Confusion"]) -> "Confusion":
        """The counts of all parts together."""
        return cls(*(sum(counts) for counts in zip(*(astuple(part) for part in parts), strict=True)))

    @property
    def rows(self) -> int:
        """All judged rows."""
        return self.true_negatives + self.false_positives + self.false_negatives + self.true_positives

    @property
    def accuracy(self) -> float | None:
        """Share of rows judged right. It flatters: compare `accuracy_of_no`."""
        return _share(self.true_negatives + self.true_positives, self.rows)

    @property
    def accuracy_of_no(self) -> float | None:
        """The accuracy of always saying no."""
        return _share(self.true_negatives + self.false_positives, self.rows)

    @property
    def precision(self) -> float | None:
        """Share of the rows over the threshold that a break follows."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float | None:
        """Share of the rows before a break that are over the threshold."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        wrong = self.false_positives + self.false_negatives
        return _share(2 * self.true_positives, 2 * self.true_positives + wrong)

    def as_json(self) -> dict[str, Any]:
        """Counts and shares; null where there is nothing to divide by."""
        names = ("accuracy", "accuracy_of_no", "precision", "recall", "f1")
        return asdict(self) | {name: getattr(self, name) for name in names}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
