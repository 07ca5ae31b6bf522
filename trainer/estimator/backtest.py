"""Backtest of a table: a detector judged as if it had been in use, its figures as tables of the same kind."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sheetbreak.errors import DataError
from sheetbreak.python.tables import Column, new_table
from sheetbreak.rows import BROKEN, RowBatch, Schema
from sheetbreak.times import format_time
from trainer.data.labels import Labels
from trainer.estimator.detector import SheetBreakDetector, ready_tensorflow
from trainer.estimator.frames import SchemaLike, read_frame

if TYPE_CHECKING:
    from trainer.data.splits import Split
    from trainer.metrics.evaluation import Evaluation, Figures

_OVERALL, _LATER = "all folds", "last 4 folds"
_NESTED = ("recall", "deployed")


@dataclass(frozen=True)
class Backtest:
    """What a detector would have warned of: tables of the kind that was given, and a text for people.

    folds: a line a fold, then "all folds" and "last 4 folds", on which no choice was made: rows, breaks, ROC AUC and
    average precision with their 95 % intervals. recall: the breaks warned of with the best threshold in hindsight, by
    horizon and false alarms a day, with chance beside. deployed: what the detector's own threshold gave; without lines
    for a detector that has none. scores: every row of the test parts, higher is more unusual, NaN where it has none.
    """

    folds: Any
    recall: Any
    deployed: Any
    scores: Any
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class _Run:
    """One fold, run."""

    number: int
    split: "Split"
    figures: "Figures"
    threshold: str | None
    seconds: float


def backtest(
    frame: Any,
    detector: Any = None,
    *,
    schema: SchemaLike | None = None,
    broken: Any = None,
    preset: str | None = None,
) -> Backtest:
    """Judge a detector on a history as `sheetbreak backtest` does: eight times, fit on the past, score what follows.

    frame: as `SheetBreakDetector.fit` takes it, with a column of labels, or `broken` beside it. detector: a
    SheetBreakDetector (default: one as it comes), trained and judged as the command does; or any other with `fit` and
    `score_samples` or `decision_function`, which sees the features of `preset` (default: "default") as `compare`
    gives them to it, and of which the score alone counts. Neither is changed. Raises DataError.
    """
    own = SheetBreakDetector() if detector is None else detector
    if isinstance(own, SheetBreakDetector):
        if preset is not None and preset != own.preset:
            raise DataError(f'preset "{preset}" contradicts the detector\'s own, "{own.preset}"; leave it out')
        schema, preset = own.schema if schema is None else schema, own.preset
    ready_tensorflow()
    from trainer.evaluation.folds import rolling_origin
    from trainer.training.presets import preset_named

    rows, settled = read_frame(frame, schema, labels=broken)
    if not (rows.broken == BROKEN).any():
        raise DataError(
            "no row is labelled as a break: nothing to judge by; name the column of labels, or give broken="
        )
    found = preset_named(preset or "default")
    order = np.argsort(rows.times_us, kind="stable")
    ordered = rows.take(order)
    labels = found.labels(ordered, settled)
    folds = enumerate(rolling_origin(ordered.times_us), start=1)
    run = _by_recipe if isinstance(own, SheetBreakDetector) else _by_detector
    runs = [run(own, number, split, ordered, settled, labels, found) for number, split in folds]
    return _judged(runs, ordered, order, labels, frame, deployed=isinstance(own, SheetBreakDetector), schema=settled)


def _by_recipe(
    detector: SheetBreakDetector, number: int, split: "Split", rows: RowBatch, schema: Schema, labels: Labels, _: Any
) -> _Run:
    from trainer.evaluation.folds import run_fold
    from trainer.metrics.evaluation import measure

    fold = run_fold(
        number,
        split,
        rows,
        schema,
        labels=labels,
        recipe=detector.recipe(),
        with_costly=False,
        progress=lambda _: None,
    )
    return _Run(number, split, measure(fold.model, number=number), fold.threshold, fold.seconds)


def _by_detector(
    detector: Any, number: int, split: "Split", rows: RowBatch, schema: Schema, labels: Labels, preset: Any
) -> _Run:
    from threadpoolctl import threadpool_limits

    from trainer.evaluation.detectors import copies_of
    from trainer.evaluation.fold_baselines import fit_inputs, outside_score
    from trainer.metrics.evaluation import measure
    from trainer.metrics.scored_rows import unscored_rows

    begin = time.perf_counter()
    name = f"fold {number} of 8: {type(detector).__name__}"
    with threadpool_limits(limits=1):  # as `compare`: sums have one order
        inputs = fit_inputs(
            rows, schema, labels=labels, split=split, kind=preset.features, break_is_stop=preset.break_is_stop
        )
        score = outside_score(copies_of(detector), inputs, labels=labels, split=split, seed=None, name=name)
    seconds = time.perf_counter() - begin
    scored = unscored_rows(rows, labels, schema)
    scored = scored.with_score(np.asarray(score[scored.row])).of_file_rows(split.test)
    return _Run(number, split, measure(scored, number=number), None, seconds)


def _judged(
    runs: Sequence[_Run],
    rows: RowBatch,
    order: "np.ndarray[Any, Any]",
    labels: Labels,
    frame: Any,
    *,
    deployed: bool,
    schema: Schema,
) -> Backtest:
    from trainer.evaluation.folds import LATER
    from trainer.evaluation.tables import deployed_table, fold_table
    from trainer.metrics.evaluation import summarise

    figures = [run.figures for run in runs]
    scopes = {str(run.number): [run.figures] for run in runs} | {_OVERALL: figures, _LATER: figures[LATER]}
    evaluations = {name: summarise(found, deployed=deployed) for name, found in scopes.items()}
    short = {name.replace("folds", "").strip(): found for name, found in evaluations.items()}
    texts = [fold_table(short, period_s=schema.period_s)]
    if deployed and schema.lead_rows:
        texts.append(deployed_table(short, period_s=schema.period_s))
    return Backtest(
        folds=new_table(_columns(_fold_lines(runs, evaluations, rows)), like=frame),
        recall=new_table(_columns(_nested_lines(evaluations, "recall")), like=frame),
        deployed=new_table(_columns(_nested_lines(evaluations, "deployed")), like=frame),
        scores=new_table(_score_columns(runs, rows, order, labels), like=frame),
        text="\n\n".join(texts),
    )


def _fold_lines(runs: Sequence[_Run], found: "Mapping[str, Evaluation]", rows: RowBatch) -> list[dict[str, Any]]:
    of_run = {str(run.number): run for run in runs}
    lines = []
    for name, evaluation in found.items():
        run = of_run.get(name)
        line: dict[str, Any] = {"fold": name}
        times = rows.times_us[run.split.test] if run else np.empty(0, np.int64)
        line["fit_rows"] = float(len(run.split.fit)) if run else None
        line["test_from"], line["test_until"] = (
            (format_time(int(times.min())), format_time(int(times.max()))) if len(times) else ("", "")
        )
        for key, value in evaluation.as_json().items():
            if key.endswith("_interval"):
                low, high = value or (None, None)
                line[key.replace("_interval", "_low")], line[key.replace("_interval", "_high")] = low, high
            elif key not in _NESTED:
                line[key] = value
        line |= {"threshold": (run.threshold or "") if run else "", "seconds": run.seconds if run else None}
        lines.append(line)
    return lines


def _nested_lines(found: "Mapping[str, Evaluation]", what: str) -> list[dict[str, Any]]:
    lines = []
    for name, evaluation in found.items():
        content = evaluation.as_json()
        if what == "recall":
            for one in content["recall"]:
                low, high = one.pop("interval") or (None, None)
                lines.append({"fold": name} | one | {"recall_low": low, "recall_high": high})
        elif content["deployed"]:
            whole = content["deployed"]
            common = {key: value for key, value in whole.items() if key not in ("horizons", "leads")}
            for one in whole["horizons"]:
                low, high = one.pop("recall_interval") or (None, None)
                lines.append({"fold": name} | one | {"recall_low": low, "recall_high": high} | common)
    return lines


def _columns(lines: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """Texts as texts, counts as whole numbers, everything else as floats, NaN where there is nothing to say."""
    columns: dict[str, Column] = {}
    for name in dict.fromkeys(key for line in lines for key in line):
        cells = [line.get(name) for line in lines]
        if any(isinstance(cell, str) for cell in cells):
            columns[name] = np.array(cells)
        elif all(isinstance(cell, int) for cell in cells):
            columns[name] = np.array(cells, np.int64)
        else:
            columns[name] = np.array([np.nan if cell is None else cell for cell in cells], np.float64)
    return columns


def _score_columns(
    runs: Sequence[_Run], rows: RowBatch, order: "np.ndarray[Any, Any]", labels: Labels
) -> dict[str, Column]:
    """row: as the frame has it, from 0."""
    parts = [run.figures.rows for run in runs]
    row = np.concatenate([part.row for part in parts])
    return {
        "row": order[row].astype(np.int64),
        "time": np.array([format_time(time_us) for time_us in rows.times_us[row].tolist()]),
        "machine": np.array([rows.machines[i] for i in row.tolist()]),
        "fold": np.concatenate([np.full(len(part), run.number) for part, run in zip(parts, runs, strict=True)]),
        "score": np.concatenate([part.score for part in parts]),
        "over": np.concatenate([part.over for part in parts]),
        "will_break": labels.will_break[row],
        "broken": rows.broken[row] == BROKEN,
    }
