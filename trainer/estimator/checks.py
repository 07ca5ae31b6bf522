"""Checks of scikit-learn that a detector of rows in time is expected to fail, each with its reason.

With preset "rows" and `fewest_rows=2` it fails none: `check_estimator(SheetBreakDetector(preset="rows", family="pca",
fewest_rows=2))`. What is listed here are checks of few rows, in which there is nothing for a detector in time to learn.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.estimator.detector import SheetBreakDetector

_TWENTY = 20
_OF_TWENTY_ROWS = (
    "check_classifier_data_not_an_array",
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_estimators_dtypes",
    "check_estimators_fit_returns_self",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_fit2d_1feature",
    "check_fit2d_predict1d",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_n_features_in_after_fitting",
    "check_readonly_memmap_input",
)
_OF_A_HUNDRED_ROWS = (
    "check_dtype_object",
    "check_fit_check_is_fitted",
    "check_fit_idempotent",
    "check_fit_score_takes_y",
    "check_n_features_in",
    "check_pipeline_consistency",
    "check_positive_only_tag_during_fit",
)


def expected_failed_checks(detector: "SheetBreakDetector") -> dict[str, str]:
    """Reason by check, for `check_estimator(detector, expected_failed_checks=expected_failed_checks(detector))`."""
    from trainer.training.presets import preset_named

    found: dict[str, str] = {}
    if detector.fewest_rows >= _TWENTY:
        few = f"gives some 20 rows, and fit refuses fewer than fewest_rows={detector.fewest_rows} to learn from"
        found |= dict.fromkeys(_OF_TWENTY_ROWS, few)
    if preset_named(detector.preset).features == "streaming-z":
        warm = (
            f'gives at most 100 rows; under preset "{detector.preset}" a machine warms up for 120 before it is scored'
        )
        found |= dict.fromkeys((*_OF_TWENTY_ROWS, *_OF_A_HUNDRED_ROWS), warm)
    return found
