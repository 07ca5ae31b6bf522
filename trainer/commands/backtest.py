"""Command `sheetbreak backtest`: rolling-origin evaluation of a whole CSV; changes no model."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from sheetbreak.bounds import Seed
from sheetbreak.cli.options import OptionParser
from sheetbreak.times import duration
from trainer.commands.parts.costs import add_costs, given_costs
from trainer.commands.parts.operators import add_labels_option, read_operators
from trainer.commands.parts.recipe import (
    add_family_options,
    add_history_options,
    add_policy_options,
    data_facts,
    given_recipe,
)
from trainer.data.labels import counted_labels, mostly_broken
from trainer.data.oddities import tell_of_sensors
from trainer.data.reading import read_given
from trainer.output.files import check_targets, write_whole
from trainer.output.progress import Progress
from trainer.output.text import wrap_lines

if TYPE_CHECKING:
    from trainer.data.labels import Labels
    from trainer.evaluation.folds import Fold
    from trainer.training.pipeline import Recipe


def main(argv: Sequence[str]) -> int:
    """Run the folds, print their tables, write what was asked for. Raises DataError for what the user must change."""
    parser = OptionParser(
        "sheetbreak backtest",
        "Evaluate a recipe as if it had been in use: eight times, train on the past and judge the rows that follow.\n"
        "Prints what it would have warned of, beside what chance and trivial scores give. Changes no model.",
        example="sheetbreak backtest mill.csv --baselines --json backtest.json",
    )
    add_history_options(parser, "the history: at least some weeks, with breaks")
    add_family_options(parser)
    add_policy_options(parser)
    add_labels_option(parser)
    parser.add_argument("--seed", type=Seed, default=0, metavar="N", help="seed of the net")
    baselines_help = "beside it also Isolation Forest, ECOD and the published model; takes twice as long"
    parser.add_argument("--baselines", action="store_true", help=baselines_help)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--scores", type=Path, metavar="FILE", help="write the score of every held-out row there (CSV)")
    report_help = "write one HTML page of plots there, to be opened in a browser without a network, and FILE.alarms.csv"
    add_costs(parser)
    parser.add_argument("--report", type=Path, metavar="FILE.html", help=report_help)
    options = parser.parse_args(argv)
    check_targets([options.json, options.scores, options.report])
    history = read_given(options.csv, options.schema)
    tell_of_sensors(history)
    schema = history.schema
    said = read_operators(options.labels, history.rows, schema)
    rows = said.rows
    if warning := mostly_broken(rows):
        print(f"warning: {history.name}: {warning}", file=sys.stderr)

    from trainer.training.backend import configure_tensorflow  # seconds that --help and a bad CSV should not cost

    configure_tensorflow(tell=sys.stderr)
    from trainer.evaluation.backtest import judge_folds, report_json, report_text
    from trainer.evaluation.folds import ORIGINS, rolling_origin, run_fold
    from trainer.evaluation.policy_file import SUFFIX
    from trainer.evaluation.scores_file import write_header, write_scores
    from trainer.training.pipeline import check_recipe

    recipe = given_recipe(options)
    check_recipe(recipe, schema)
    begin = time.perf_counter()
    labels = recipe.preset.labels(rows, schema).leaving_out(said.left_out)
    scores = StringIO()
    write_header(scores, folds=True)
    folds: list[Fold] = []
    for number, split in enumerate(rolling_origin(rows.times_us), start=1):
        fold_begin = time.perf_counter()
        fold = run_fold(
            number, split, rows, schema, labels=labels, recipe=recipe, with_costly=options.baselines, progress=_progress
        )
        if options.scores:
            parts = {"validation": split.validation, "test": split.test}
            write_scores(scores, rows, labels, fold.results, parts=parts, fold=number)
        folds.append(fold)
        if not sys.stderr.isatty():  # on a terminal a bar shows it
            now = time.perf_counter()
            left_s = (now - begin) / number * (len(ORIGINS) - number)
            print(f"backtest: {_done(number, len(ORIGINS), now - fold_begin, left_s)}", file=sys.stderr, flush=True)
    report = judge_folds(folds)
    print(wrap_lines(f"{history.name}: {len(rows):,} rows, {counted_labels(rows, schema)}\n"))
    print(wrap_lines(said.words), end="")
    print(report_text(report, recipe=recipe, schema=schema))
    if options.json:
        found = report_json(report, folds, rows=rows, recipe=recipe, source=data_facts(history, rows))
        found |= said.counted
        found["seconds"] = round(time.perf_counter() - begin, 2)
        write_whole(options.json, json.dumps(found, indent=2, allow_nan=False) + "\n")
    if options.scores:
        write_whole(options.scores, scores.getvalue())
        beside = options.scores.with_name(options.scores.name + SUFFIX)
        write_whole(beside, _policy_file(folds, labels, recipe, data=history.name, scores=scores.getvalue()))
    if options.report:
        from trainer.report.alarms import alarms_file
        from trainer.report.backtest_page import backtest_page

        written = backtest_page(
            report,
            folds,
            rows=rows,
            labels=labels,
            schema=schema,
            recipe=recipe,
            name=history.name,
            costs=given_costs(options),
            verdicts=said.verdicts,
        )
        write_whole(options.report, written.page)
        write_whole(alarms_file(options.report), written.alarms)
    return 0


def _policy_file(folds: "list[Fold]", labels: "Labels", recipe: "Recipe", *, data: str, scores: str) -> bytes:
    """What `whatif` needs beside the scores."""
    from trainer.evaluation.policy_file import FoldScores, pack_policy_file

    return pack_policy_file(
        folds[0].held_out,
        labels,
        [
            FoldScores(
                fit=fold.split.fit,
                validation=fold.split.validation,
                test=fold.split.test,
                learned=fold.learned,
                held_out=fold.held_out.score,
                score=fold.held_out.score,
            )
            for fold in folds
        ],
        data=data,
        policy=recipe.policy or recipe.preset.threshold,
        alert=recipe.alert,
        scores=scores.encode(),
    )


def _progress(label: str) -> Callable[[int], Progress] | None:
    """A bar on a terminal, nothing elsewhere: the tables say all."""
    if not sys.stderr.isatty():
        return None
    return lambda epochs: Progress(sys.stderr, epochs=epochs, label=label)


def _done(number: int, count: int, seconds: float, left_s: float) -> str:
    """A fold, its baselines among it, and a guess of what is left, which is no finer than a minute from one on."""
    guess = max(1, round(left_s)) if left_s < 60 else 60 * round(left_s / 60)
    left = f", about {duration(guess)} left" if number < count else ""
    return f"fold {number} of {count} in {seconds:.1f} s{left}"
