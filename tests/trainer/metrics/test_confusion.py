"""Promises of the row-wise figures: scikit-learn's, and nothing divided by nothing."""

import csv

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_score, recall_score, roc_auc_score

from trainer.evaluation.scores_file import roc_file
from trainer.evaluation.tables import confusion_table
from trainer.metrics.confusion import Confusion
from trainer.metrics.scored_rows import ScoredRows


def rows_of(cells: list[tuple[bool, bool, float | None]]) -> ScoredRows:
    """Rows given as label, over, score; the last one is a break row, which is not judged."""
    n = len(cells) + 1
    nothing = np.zeros(n, np.bool_)
    return ScoredRows(
        row=np.arange(n),
        run=np.zeros(n, np.int64),
        broken=np.arange(n) == n - 1,
        break_starts=np.arange(n) == n - 1,
        will_break=np.array([*(label for label, _, _ in cells), True]),
        score=np.array([*(np.nan if score is None else score for _, _, score in cells), 1.0]),
        over=np.array([*(over for _, over, _ in cells), True]),
        opened=nothing,
        alert_open=nothing,
        counted_as=np.full(n, -1),
    )


cells = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.one_of(st.none(), st.integers(0, 5).map(float))), max_size=30
)


@given(cells)
def test_the_confusion_matrix_and_its_shares_are_scikit_learns(found: list[tuple[bool, bool, float | None]]) -> None:
    confusion = Confusion.of(rows_of(found))
    label = np.array([label for label, _, score in found if score is not None], np.bool_)
    over = np.array([over for _, over, score in found if score is not None], np.bool_)
    if not len(label):
        assert set(confusion.as_json().values()) == {0, None}
        return
    matrix = confusion_matrix(label, over, labels=[False, True]).ravel().tolist()
    counts = confusion.as_json()
    assert [counts[f"{kind}s"] for kind in _KINDS] == matrix
    assert confusion.accuracy == pytest.approx(accuracy_score(label, over))
    assert confusion.accuracy_of_no == pytest.approx(accuracy_score(label, np.zeros_like(label)))
    for share, reference in ((confusion.precision, precision_score), (confusion.recall, recall_score)):
        assert share == pytest.approx(reference(label, over, zero_division=np.nan), nan_ok=True) or share is None
    assert confusion.precision is None or over.any()
    assert confusion.recall is None or label.any()
    if confusion.f1 is not None:
        assert confusion.f1 == pytest.approx(f1_score(label, over))


_KINDS = ("true_negative", "false_positive", "false_negative", "true_positive")


@given(cells)
def test_the_area_under_the_points_of_the_roc_file_is_the_roc_auc(
    found: list[tuple[bool, bool, float | None]],
) -> None:
    points = list(csv.DictReader(roc_file({"test": rows_of(found)}).splitlines()))
    label = [label for label, _, score in found if score is not None]
    if len(set(label)) < 2:
        assert points == []
        return
    false, true = (np.array([float(p[f"{kind}_positive_rate"]) for p in points]) for kind in ("false", "true"))
    assert np.trapezoid(true, false) == pytest.approx(roc_auc_score(label, [s for _, _, s in found if s is not None]))
    assert {p["split"] for p in points} == {"test"}
    assert points[0]["threshold"] == ""
    assert all(np.isfinite(float(p["threshold"])) for p in points[1:])


def test_the_table_sets_accuracy_beside_that_of_always_saying_no() -> None:
    table = confusion_table(Confusion(95, 1, 3, 1), lead_rows=2)
    assert "precision .500, recall .250, F1 .333; accuracy .960 (always saying no: .960)" in table
    assert "a break follows           3         1         of 4" in table
    assert "anomalous " in confusion_table(Confusion(95, 1, 3, 1), lead_rows=0)
    assert "precision –, recall –, F1 –" in confusion_table(Confusion(5, 0, 0, 0), lead_rows=2)
