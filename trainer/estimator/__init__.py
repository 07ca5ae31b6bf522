"""Estimator: a training as scikit-learn's outlier detector, and a backtest of tables with its figures as tables.

`from trainer.estimator import SheetBreakDetector`; docs/python.md shows both from a notebook.
"""

from trainer.estimator.checks import expected_failed_checks
from trainer.estimator.detector import SheetBreakDetector

__all__ = ["SheetBreakDetector", "expected_failed_checks"]
