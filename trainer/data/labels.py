"""Labels: which rows a break follows, and where one run of the machine ends and the next begins.

A label looks `lead_rows` rows ahead on the same machine, by position, not by the clock. Two ways differ in
what they do at a stop: `label_rows` never reaches across one, since a row before a gap is not "two rows
ahead" of a break after it; `curve_shift` does, as the published transform of Ranjan et al. (arXiv:1809.10717)
does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sheetbreak.rows import BROKEN, INTACT, UNKNOWN, RowBatch, Schema

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Labels:
    """What each row of a history is, in the history's order."""

    will_break: Bools
    """(n,) True where a break starts 1…lead_rows rows later; with lead_rows = 0 where the row itself is
    broken.
    """
    judged: Bools
    """(n,) False on break rows, which the published transform drops; all True with lead_rows = 0."""
    run: Ints
    """(n,) the run of the machine that a row belongs to; every machine has its own. A break row ends its run.
    """
    left_out: Bools | None = None
    """(n,) rows that operators' labels keep from what a model learns; None: there are none."""

    @property
    def normal(self) -> Bools:
        """(n,) The break-free rows: what a model learns from."""
        normal: Bools = self.judged & ~self.will_break
        return normal if self.left_out is None else normal & ~self.left_out

    def leaving_out(self, left_out: Bools | None) -> "Labels":
        """The same with those rows kept from what a model learns: they are judged all the same."""
        return replace(self, left_out=left_out)

    def before(self, end: int) -> "Labels":
        """Of the rows up to that one, itself not among them; a label that looks further stays what it is."""
        left_out = None if self.left_out is None else self.left_out[:end]
        return Labels(self.will_break[:end], self.judged[:end], self.run[:end], left_out)


def label_rows(rows: RowBatch, schema: Schema) -> Labels:
    """The default labels: none reaches across a stop, which is a gap longer than stop_gap_s or a break."""
    return _label(rows, schema, cut_at_gaps=True)


def curve_shift(rows: RowBatch, schema: Schema) -> Labels:
    """The published labels: for a break at n of a machine's rows, rows n-2 and n-1 are positive (lead_rows =
    2) and row n is dropped, whatever time lies between them.
    """
    return _label(rows, schema, cut_at_gaps=False)


def counted_labels(rows: RowBatch, schema: Schema) -> str:
    """How many rows are labelled, for people."""
    if len(rows) and (rows.broken == UNKNOWN).all():
        return "no labels"
    broken = int((rows.broken == BROKEN).sum())
    return f"{broken:,} with a break" if schema.lead_rows else f"{broken:,} anomalous"


def mostly_broken(rows: RowBatch) -> str | None:
    """What to tell the user where more rows are labelled 1 than 0: many a published file means "normal" by 1."""
    broken, labelled = int((rows.broken == BROKEN).sum()), int((rows.broken != UNKNOWN).sum())
    if 2 * broken <= labelled:
        return None
    return f"{broken:,} of {labelled:,} rows are labelled 1, broken or anomalous; if 1 means normal here, swap 0 and 1"


def _label(rows: RowBatch, schema: Schema, *, cut_at_gaps: bool) -> Labels:
    broken = rows.broken == BROKEN
    machine = _machine_numbers(rows.machines)
    ends_run = broken if schema.lead_rows else np.zeros_like(broken)
    run = _runs(machine, rows, ends_run, schema=schema)
    if not schema.lead_rows:
        return Labels(will_break=broken, judged=np.ones_like(broken), run=run)
    # A break's own end of run changes no label: between a sound row and the next break lies no other break.
    will_break = _break_ahead(machine, run if cut_at_gaps else machine, broken, lead_rows=schema.lead_rows)
    return Labels(will_break=will_break & ~broken, judged=~broken, run=run)


def _machine_numbers(machines: Sequence[str]) -> Ints:
    numbers: dict[str, int] = {}
    return np.fromiter((numbers.setdefault(name, len(numbers)) for name in machines), np.int64, count=len(machines))


def _runs(machine: Ints, rows: RowBatch, ends_run: Bools, *, schema: Schema) -> Ints:
    """(n,) run numbers: a new one at a machine's first row, after a stop and after a row that ends a run."""
    order = np.argsort(machine, kind="stable")
    steps_us, intact = np.diff(rows.times_us[order]), rows.broken[order][:-1] == INTACT
    gap_us, lost_us = round(schema.stop_gap_s * 1e6), round(schema.lost_rows_s * 1e6)
    stops = (steps_us > gap_us) & ~(intact & (steps_us <= lost_us))
    first = np.ones(len(order), np.bool_)
    first[1:] = (np.diff(machine[order]) != 0) | stops | ends_run[order][:-1]
    run = np.empty(len(order), np.int64)
    run[order] = np.cumsum(first) - 1
    return run


def _break_ahead(machine: Ints, within: Ints, broken: Bools, *, lead_rows: int) -> Bools:
    """(n,) True where one of the machine's next `lead_rows` rows is broken and has the same number in
    `within`.

    Looks the next break up instead of shifting lead_rows times: a lead may be a day of seconds.
    """
    order = np.argsort(machine, kind="stable")
    position = np.arange(len(order))
    none_ahead = len(order)
    own_or_next = np.minimum.accumulate(np.where(broken[order], position, none_ahead)[::-1])[::-1]
    ahead = np.append(own_or_next[1:], none_ahead)
    group = np.append(within[order], -1)
    hit = (ahead - position <= lead_rows) & (group[ahead] == group[:-1])
    will_break = np.empty(len(order), np.bool_)
    will_break[order] = hit
    return will_break
