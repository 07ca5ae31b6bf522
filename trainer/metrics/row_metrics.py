"""Row metrics: whether the score ranks the rows before a break above the others.

scikit-learn is imported where it is used: it takes a second, and whoever only counts alarms needs none.
"""

import numpy as np

from trainer.data.labels import Bools, Floats
from trainer.metrics.scored_rows import ScoredRows

_CELLS_AT_ONCE = 4_000_000


def roc_auc(rows: ScoredRows) -> float | None:
    """Area under the ROC curve over the judged rows; None unless both classes are there."""
    from sklearn.metrics import roc_auc_score

    label = rows.will_break[rows.judged]
    if label.all() or not label.any():
        return None
    return float(roc_auc_score(label, rows.score[rows.judged]))


def average_precision(rows: ScoredRows) -> float | None:
    """Average precision over the judged rows, None unless both classes are there; chance: their share."""
    from sklearn.metrics import average_precision_score

    label = rows.will_break[rows.judged]
    if label.all() or not label.any():
        return None
    return float(average_precision_score(label, rows.score[rows.judged]))


def roc_points(rows: ScoredRows) -> tuple[Floats, Floats, Floats] | None:
    """False and true positive rates and the threshold of each, highest (infinite) first; None as `roc_auc`."""
    from sklearn.metrics import roc_curve

    label = rows.will_break[rows.judged]
    if label.all() or not label.any():
        return None
    false, true, thresholds = roc_curve(label, rows.score[rows.judged])
    return false, true, thresholds


def precision_recall_points(rows: ScoredRows) -> tuple[Floats, Floats, Floats] | None:
    """Precision and recall at every threshold, lowest first; None as `roc_auc`."""
    from sklearn.metrics import precision_recall_curve

    label = rows.will_break[rows.judged]
    if label.all() or not label.any():
        return None
    precision, recall, thresholds = precision_recall_curve(label, rows.score[rows.judged])
    return precision[:-1], recall[:-1], thresholds  # the last point, without any alarm, has no threshold


def weighted_metrics(label: Bools, score: Floats, *, weights: Floats) -> tuple[Floats, Floats]:
    """ROC AUC and average precision under G sets of row weights, NaN where a class has no weight.

    weights: (G, n). As scikit-learn with sample_weight, for all sets at once: a bootstrap needs hundreds.
    """
    order = np.argsort(-score, kind="stable")
    label, last = label[order], np.append(np.diff(score[order]) != 0, True)[: len(score)]
    auc, precision = np.full(len(weights), np.nan), np.full(len(weights), np.nan)
    if not len(score):
        return auc, precision
    at_once = max(_CELLS_AT_ONCE // len(score), 1)
    for g in range(0, len(weights), at_once):
        some = slice(g, g + at_once)
        auc[some], precision[some] = _areas(label, last, weights[some][:, order])
    return auc, precision


def _areas(label: Bools, last: Bools, weights: Floats) -> tuple[Floats, Floats]:
    """Both areas for rows in falling order of score; last: the last row of those that score the same."""
    true = np.cumsum(weights * label, axis=1)[:, last]
    false = np.cumsum(weights * ~label, axis=1)[:, last]
    new_true, new_false = np.diff(true, prepend=0.0, axis=1), np.diff(false, prepend=0.0, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = ((true - new_true / 2) * new_false).sum(axis=1) / (true[:, -1] * false[:, -1])
        step = np.where(new_true > 0, new_true * true / (true + false), 0.0)
        precision = step.sum(axis=1) / true[:, -1]
    one_class = (true[:, -1] == 0) | (false[:, -1] == 0)
    return np.where(one_class, np.nan, auc), np.where(one_class, np.nan, precision)
