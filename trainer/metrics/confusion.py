"""Rows judged one by one: the confusion matrix of the deployed threshold, and the ROC curve behind it."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple, dataclass
from io import StringIO
from typing import Any

from trainer.metrics.row_metrics import roc_points
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


def confusion_table(found: Confusion, *, lead_rows: int) -> str:
    """The matrix and what follows from it, for people."""
    no, yes = ("no break follows", "a break follows") if lead_rows else ("normal", "anomalous")
    negatives, positives = found.true_negatives + found.false_positives, found.false_negatives + found.true_positives
    return "\n".join(
        [
            f"  {'rows':<26}{'under':<10}{'over':<10}threshold",
            f"  {no:<26}{found.true_negatives:<10,}{found.false_positives:<10,}of {negatives:,}",
            f"  {yes:<26}{found.false_negatives:<10,}{found.true_positives:<10,}of {positives:,}",
            f"  {shares_line(found)}",
        ]
    )


def shares_line(found: Confusion) -> str:
    """What follows from the matrix, in a line."""
    return (
        f"precision {_text(found.precision)}, recall {_text(found.recall)}, F1 {_text(found.f1)}; "
        f"accuracy {_text(found.accuracy)} (always saying no: {_text(found.accuracy_of_no)})"
    )


def roc_file(parts: Mapping[str, ScoredRows]) -> str:
    """CSV of the points of each part's ROC curve; empty but for its header where a class is missing."""
    out = StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(["split", "threshold", "false_positive_rate", "true_positive_rate"])
    for name, rows in parts.items():
        points = roc_points(rows)
        if points is None:
            continue
        false, true, thresholds = points
        # The first point, where no row is an alarm, has an infinite threshold: left empty.
        shown = ["", *(repr(float(threshold)) for threshold in thresholds[1:])]
        lines.writerows(zip([name] * len(shown), shown, map(float, false), map(float, true), strict=True))
    return out.getvalue()


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".removeprefix("0")
