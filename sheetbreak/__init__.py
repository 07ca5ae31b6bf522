"""Library of the trainer, the monitor and the replay; loads numpy and msgspec at import time, nothing heavier.

From Python: `sheetbreak.load("models").score(frame)` (docs/python.md). Both names are loaded when they are first asked
for, so that `import sheetbreak` costs nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sheetbreak.python.model import Model, load

__all__ = ["Model", "load"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from sheetbreak.python import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
