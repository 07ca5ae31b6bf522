"""Trainer: learns what the machine looks like while the sheet holds; the only package that imports tensorflow.

From Python: `trainer.backtest(frame, detector=…)` and `trainer.estimator.SheetBreakDetector` (docs/python.md). What
they need is loaded when they are first asked for, so that `import trainer` costs nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.estimator.backtest import Backtest, backtest

__all__ = ["Backtest", "backtest"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from trainer.estimator import backtest as found

        return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
