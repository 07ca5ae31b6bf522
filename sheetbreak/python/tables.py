"""Tables of Python: data frames, mappings of columns and 2-D arrays read alike, and answered in their own kind."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sheetbreak.errors import DataError

Column = npt.NDArray[Any]
"""(n,) of one kind; what has no kind of numpy's is of Python objects."""
_KINDS = (
    "a pandas or polars DataFrame, a mapping of column names to arrays, or an array of (rows, sensors) in the order "
    "of the model's sensors"
)


class Table(Protocol):
    """Named columns of n rows, and how an answer of the same kind is made."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def column(self, name: str, /) -> Column:
        """The values of a column: numbers, datetime64 for times without a zone, or objects."""
        ...

    def answer(self, columns: Mapping[str, Column], *, kept: Sequence[str]) -> Any:
        """New columns in a table of the same kind, behind the `kept` ones of this table."""
        ...


def table_of(frame: Any, *, sensors: Sequence[str], time: str | None) -> Table:
    """The table that a caller's object is. time: the name of the column of times, which an index may stand for.

    Raises DataError where it is none.
    """
    if isinstance(frame, np.ndarray):
        return _Array(frame, sensors)
    if isinstance(frame, Mapping):
        return _Mapping(frame)
    if isinstance(frame, list | tuple | str | bytes | int | float | type(None)):
        raise DataError(f"a {type(frame).__name__} is no table of rows; {_KINDS} is expected")
    return _frame(frame, time)


def new_table(columns: Mapping[str, Column], *, like: Any) -> Any:
    """Columns as a table of the kind of `like`, of whatever length; a dictionary of arrays where that is no frame."""
    if isinstance(like, np.ndarray | Mapping):
        return dict(columns)
    import narwhals as nw

    backend = nw.from_native(like, eager_only=True).implementation
    series = {name: nw.new_series(name, _plain(column), backend=backend) for name, column in columns.items()}
    return nw.from_dict(series, backend=backend).to_native()


class _Array:
    """(rows, sensors) without names, times and machines; answered by a structured array of (rows,)."""

    def __init__(self, values: npt.NDArray[Any], sensors: Sequence[str]) -> None:
        if values.dtype.names is not None:
            raise DataError(f"an array with named fields is no table here; {_KINDS} is expected")
        if values.ndim != 2 or values.shape[1] != len(sensors):
            raise DataError(
                f"the array is of shape {values.shape}, expected (rows, {len(sensors)}): one column for each of the "
                f"model's sensors, {_some(sensors)}"
            )
        self.names = tuple(sensors)
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def column(self, name: str, /) -> Column:
        return self._values[:, self.names.index(name)]

    def answer(self, columns: Mapping[str, Column], *, kept: Sequence[str]) -> Column:
        assert not kept
        found = np.empty(len(self), [(name, column.dtype) for name, column in columns.items()])
        for name, column in columns.items():
            found[name] = column
        return found


class _Mapping:
    """Column names and arrays, or what becomes arrays; answered by a dictionary of arrays."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self.names = tuple(columns)
        self._columns = columns
        self._arrays = {name: self._array(name) for name in columns}
        lengths = {name: len(column) for name, column in self._arrays.items()}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{name} {count:,}" for name, count in list(lengths.items())[:12])
            raise DataError(f"the columns are of different lengths: {shown}; every column needs one value a row")
        self._length = next(iter(lengths.values()), 0)

    def __len__(self) -> int:
        return self._length

    def column(self, name: str, /) -> Column:
        return self._arrays[name]

    def answer(self, columns: Mapping[str, Column], *, kept: Sequence[str]) -> dict[str, Any]:
        return {name: self._columns[name] for name in kept} | dict(columns)

    def _array(self, name: str) -> Column:
        given = self._columns[name]
        if isinstance(given, list | tuple):  # numpy would make texts of all, where one cell is a text
            return _objects(given)
        found = np.asarray(given)
        if found.ndim != 1:
            raise DataError(f"column {name}: of shape {found.shape}, expected one value a row")
        return found


def _frame(frame: Any, time: str | None) -> Table:
    try:
        import narwhals as nw
    except ImportError as cause:
        raise DataError(
            f"a {type(frame).__name__} needs narwhals: pip install 'sheetbreak[frames]', or give a mapping of column "
            "names to arrays"
        ) from cause
    try:
        return _Frame(nw.from_native(frame, eager_only=True), time)
    except (TypeError, ValueError, nw.exceptions.NarwhalsError) as cause:
        lazy = "; a lazy frame has no rows yet: collect() it" if hasattr(frame, "collect") else ""
        raise DataError(
            f"a {type(frame).__module__.partition('.')[0]} {type(frame).__name__} is no table that can be read "
            f"({' '.join(str(cause).split())[:200]}); {_KINDS} is expected{lazy}"
        ) from cause


class _Frame:
    """Data frame of pandas, polars or another library narwhals knows; an index is kept, and may stand for columns."""

    def __init__(self, frame: Any, time: str | None) -> None:
        import narwhals as nw

        self._frame = frame
        self._index = nw.maybe_get_index(frame)
        self._levels: dict[str, Any] = {}
        """Series of the index that stand for columns: those with a column's name, and one of times."""
        index: Any = () if self._index is None else self._index
        for i, name in enumerate(getattr(index, "names", ())):
            values: Any = index.get_level_values(i).to_series()
            level: nw.Series[Any] = nw.from_native(values, series_only=True)
            if isinstance(name, str):
                self._levels[name] = level
            if time is not None and isinstance(level.dtype, nw.Datetime):
                self._levels.setdefault(time, level)
        self.names = tuple(dict.fromkeys([*frame.columns, *self._levels]))

    def __len__(self) -> int:
        return len(self._frame)

    def column(self, name: str, /) -> Column:
        import narwhals as nw

        given = name in self._frame.columns
        series = self._frame.get_column(name) if given else self._levels[name]
        kind = series.dtype
        if isinstance(kind, nw.Datetime):
            gone = series.is_null().to_numpy()
            times = np.zeros(len(series), np.int64)
            times[~gone] = series.drop_nulls().dt.timestamp("us").to_numpy()
            found = times.view("M8[us]")
            found[gone] = np.datetime64("NaT")
            return found if kind.time_zone is None else _with_zone(found)
        if kind.is_integer() and not series.is_null().any():
            return np.asarray(series.to_numpy())
        if kind.is_numeric():
            return np.asarray(series.cast(nw.Float64).to_numpy(), np.float64)
        return _objects(series.to_list())

    def answer(self, columns: Mapping[str, Column], *, kept: Sequence[str]) -> Any:
        import narwhals as nw

        backend = self._frame.implementation
        series = [nw.new_series(name, _plain(column), backend=backend) for name, column in columns.items()]
        answer = nw.from_dict({one.name: one for one in series}, backend=backend)
        names = [name for name in kept if name in self._frame.columns and name not in columns]
        if names:
            answer = nw.concat([nw.maybe_reset_index(self._frame.select(names)), answer], how="horizontal")
        if self._index is not None:
            native = answer.to_native()
            native.index = self._index
            return native
        return answer.to_native()


def _plain(column: Column) -> Any:
    return column.tolist() if column.dtype.kind in "UO" else column


def _objects(cells: Sequence[Any]) -> Column:
    found = np.empty(len(cells), object)
    for i, cell in enumerate(cells):
        found[i] = cell
    return found


def _with_zone(times: Column) -> Column:
    """datetime64 in UTC as datetimes that say so; None where there is none."""
    return _objects([moment and moment.replace(tzinfo=UTC) for moment in times.tolist()])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + ("…" if len(names) > 12 else "")
