"""Windows of scaled features by reference: rows stay once in memory, whatever the length of a window."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.data.labels import Ints

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Windows:
    """n windows over a table of rows."""

    rows: Float32s
    """(rows, sensors) scaled features."""
    index: Ints
    """(n, window) which rows a window holds, oldest first; none crosses a stop."""

    def __len__(self) -> int:
        return len(self.index)

    @property
    def shape(self) -> tuple[int, int]:
        """(window, sensors) of one window, and so of every model's input and output."""
        return self.index.shape[1], self.rows.shape[1]

    def take(self, which: Ints) -> "Windows":
        """The named windows, over the same rows."""
        return Windows(self.rows, self.index[which])

    def gather(self, part: slice = slice(None)) -> Float32s:
        """float32 (n, window, sensors)."""
        return self.rows[self.index[part]]
