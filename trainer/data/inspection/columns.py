"""Columns of a table as text: numbers, words and distinct texts of each, taken in chunk by chunk.

Of a column of numbers eight bytes a row are kept and of a column of text its cells, so that a year of a mill fits
into memory.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from trainer.data.labels import Bools, Floats, Ints

MOST_TEXTS = 400
"""Distinct texts of a column that are told apart; a column with more of them is no label, grade or machine."""
MOST_WORDS = 60
"""Distinct words of a column that are counted."""
_EMPTY = -1

ToNumber = Callable[[str], float | None]
"""The number that a cell's text stands for; None where it is none."""


@dataclass(slots=True)
class Seen:
    """How often a text stands in a column, and the line of the first."""

    count: int
    line: int


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, all of its rows."""

    name: str
    numbers: Floats
    """(rows,) NaN where a cell is blank or holds no number."""
    blank: int
    words: dict[str, Seen]
    """Texts that are no numbers, MOST_WORDS of them."""
    word_cells: int
    texts: dict[str, Seen] | None
    """All distinct texts, the blank one too, in the order of their first rows; None: more than MOST_TEXTS."""
    codes: Ints | None
    """(rows,) each row's text by its place in `texts`."""
    cells: list[str] | None
    """All cells, of a column that is mostly text with many distinct ones: a time, a remark."""

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.numbers)

    @property
    def known(self) -> Floats:
        """(n,) the numbers of the rows that have one."""
        found: Floats = self.numbers[~np.isnan(self.numbers)]
        return found

    @property
    def filled(self) -> int:
        """Rows that hold something."""
        return self.rows - self.blank

    @property
    def is_text(self) -> bool:
        """Whether words are as many as numbers, or more."""
        return self.word_cells > 0 and self.word_cells >= self.filled - self.word_cells

    def samples(self, most: int = 400) -> list[str]:
        """Filled cells of a column of text or of few texts, from all over the file."""
        if self.cells is not None:
            places = sorted({*range(0, len(self.cells), max(len(self.cells) // most, 1)), *range(min(most, self.rows))})
            return [cell for place in places if (cell := self.cells[place])]
        return [text for text in self.texts or {} if text]


@dataclass(slots=True)
class _Fold:
    """What is known of one column so far."""

    numbers: list[Floats] = field(default_factory=list)
    words: dict[str, Seen] = field(default_factory=dict)
    word_cells: int = 0
    blank: int = 0
    texts: dict[str, Seen] | None = field(default_factory=dict)
    codes: list[Ints] = field(default_factory=list)
    cells: list[str] | None = field(default_factory=list)

    def take(self, cells: Sequence[str], lines: Sequence[int], to_number: ToNumber) -> None:
        numbers, words = _parse(cells, to_number)
        self.numbers.append(numbers)
        self.blank += cells.count("")
        self.word_cells += len(words)
        for i in words:
            self._count(self.words, cells[i], lines[i], most=MOST_WORDS)
        if self.texts is not None:
            self._take_texts(self.texts, cells, lines)
        if self.cells is not None:
            self.cells.extend(cells)
            if 2 * self.word_cells < len(self.cells):  # numbers: they are kept as such
                self.cells = None

    def _take_texts(self, texts: dict[str, Seen], cells: Sequence[str], lines: Sequence[int]) -> None:
        for text, count in Counter(cells).items():
            if text in texts:
                texts[text].count += count
            else:
                texts[text] = Seen(count, lines[cells.index(text)])
            if len(texts) > MOST_TEXTS:
                self.texts, self.codes = None, []
                return
        place = {text: i for i, text in enumerate(texts)}
        self.codes.append(np.fromiter((place[text] for text in cells), np.int64, len(cells)))

    @staticmethod
    def _count(seen: dict[str, Seen], text: str, line: int, *, most: int) -> None:
        if text in seen:
            seen[text].count += 1
        elif len(seen) < most:
            seen[text] = Seen(1, line)


def read_columns(
    names: Sequence[str], rows: Iterable[tuple[int, Sequence[str]]], to_number: ToNumber, *, at_once: int = 4096
) -> tuple[list[Column], Ints]:
    """The columns of a table, and (rows,) the line that each row stands on.

    rows: line number and cells, as many as there are names.
    """
    folds = [_Fold() for _ in names]
    all_lines: list[int] = []
    chunk: list[Sequence[str]] = []

    def fold() -> None:
        lines = all_lines[len(all_lines) - len(chunk) :]
        for one, cells in zip(folds, zip(*chunk, strict=True), strict=True):
            one.take([cell.strip() for cell in cells], lines, to_number)
        chunk.clear()

    for line, cells in rows:
        all_lines.append(line)
        chunk.append(cells)
        if len(chunk) == at_once:
            fold()
    if chunk:
        fold()
    return [_column(name, one) for name, one in zip(names, folds, strict=True)], np.array(all_lines, np.int64)


def same_number(a: Floats, b: Floats) -> Bools:
    """(n,) where two columns hold the same, a missing value too."""
    same: Bools = (a == b) | (np.isnan(a) & np.isnan(b))
    return same


def _column(name: str, fold: _Fold) -> Column:
    none = np.empty(0)
    texts = fold.texts
    return Column(
        name=name,
        numbers=np.concatenate(fold.numbers) if fold.numbers else none,
        blank=fold.blank,
        words=fold.words,
        word_cells=fold.word_cells,
        texts=texts,
        codes=np.concatenate([np.empty(0, np.int64), *fold.codes]) if texts is not None else None,
        cells=fold.cells if texts is None else None,
    )


def _parse(cells: Sequence[str], to_number: ToNumber) -> tuple[Floats, list[int]]:
    """(n,) the numbers, NaN where there is none, and the places of the cells that are neither number nor blank."""
    numbers = np.full(len(cells), np.nan)
    words = []
    known: dict[str, float | None] = {"": None}
    for i, cell in enumerate(cells):
        number = known[cell] if cell in known else to_number(cell)
        if number is not None:
            numbers[i] = number
        elif cell:
            words.append(i)
            known[cell] = None  # words come again and again, and each attempt to read one is dear
    return numbers, words
