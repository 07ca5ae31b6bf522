"""Command `sheetbreak train`: fits a model on a history, judges it on later rows, writes the artifact."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sheetbreak.artifact import MANIFEST, check_writable, write
from sheetbreak.artifact.promotion import PROMOTED
from sheetbreak.bounds import Seed
from sheetbreak.cli.options import OptionParser, whole_number
from sheetbreak.engine.model import Manifest
from sheetbreak.errors import DataError
from sheetbreak.history.doubts import warn_of
from sheetbreak.history.reader import read_csv
from sheetbreak.history.times.sampling import sampling_text
from sheetbreak.rows import UNKNOWN, RowBatch, Schema
from trainer.commands.parts.costs import add_costs, given_costs
from trainer.commands.parts.operators import add_labels_option, read_operators
from trainer.commands.parts.promotion import add_promote_option, carry_out, decide_promotion, decision_text
from trainer.commands.parts.provenance import SCORES, epochs_file, policy_file, provenance_of
from trainer.commands.parts.recipe import add_family_options, add_history_options, add_policy_options, given_recipe
from trainer.data.labels import counted_labels, mostly_broken
from trainer.data.oddities import tell_of_sensors
from trainer.data.reading import read_given
from trainer.output.files import check_targets, write_whole
from trainer.output.text import wrap_lines
from trainer.training.versions import library_versions

if TYPE_CHECKING:
    from trainer.data.labels import Labels
    from trainer.data.splits import Split
    from trainer.evaluation.gate import RowsToCompare
    from trainer.evaluation.holdout import Held
    from trainer.training.pipeline import Recipe, Trained

DEFAULT_SPLIT = "60/20/20"


def main(argv: Sequence[str]) -> int:
    """Train and print the evaluation, or with --json the manifest. Raises DataError or ArtifactError."""
    options = _parse(argv)
    history = read_given(options.csv, options.schema, unlabelled=options.test is not None)
    schema, rows = history.schema, history.rows
    if options.until is not None:
        rows = _until(rows, options.until, history.name)
    tell_of_sensors(history, rows=len(rows))
    said = read_operators(options.labels, rows, schema)
    rows = said.rows
    test = _read_test(options.test, schema) if options.test else None
    if test is not None and (known := _in_both(rows, test, timed=schema.time is not None)):
        print(f"warning: {known:,} rows of {options.test} are in {history.name} too: figures flatter", file=sys.stderr)
    for name, labelled in ((history.name, rows), (options.test, test)):
        if labelled is not None and (warning := mostly_broken(labelled)):
            print(f"warning: {name}: {warning}", file=sys.stderr)

    from trainer.training.backend import configure_tensorflow  # seconds that --help and a bad CSV should not cost

    configure_tensorflow(tell=sys.stderr)
    from trainer.data.history import score_history
    from trainer.evaluation.holdout import Held, check_useful, held_out_text, judge_held_out
    from trainer.output.progress import Progress
    from trainer.training.pipeline import check_recipe, choose_threshold, fit_pipeline

    recipe = given_recipe(options)
    preset = recipe.preset
    check_recipe(recipe, schema)
    labels = preset.labels(rows, schema).leaving_out(said.left_out)
    split, split_text = _split(rows, labels, recipe, options)
    started = datetime.now(UTC)
    log_dir = options.models / "tensorboard" / f"{started:%Y%m%dT%H%M%SZ}" if preset.event_files else None
    fit = fit_pipeline(
        rows,
        schema,
        labels=labels,
        split=split,
        recipe=recipe,
        progress=lambda epochs: Progress(sys.stderr, epochs=epochs),
        log_dir=log_dir,
    )
    trained = choose_threshold(fit)
    held = {"validation": Held(rows, labels, trained.results, split.validation)}
    if test is not None:
        _, results = score_history(test, trained.artifact)
        held["test"] = Held.whole(test, preset.labels(test, schema), results)
    elif len(split.test):
        held["test"] = Held(rows, labels, trained.results, split.test)
    costs = given_costs(options)
    found = judge_held_out(held, schema, random_rows=_is_random(recipe, options), costs=costs)
    check_useful(trained.results, labels, schema, name=history.name)
    provenance = provenance_of(options, history, rows, recipe, split, split_text)
    provenance["promise"] = asdict(trained.promise)
    provenance.update(said.counted)
    made = _described(trained, metrics=found.metrics, training=provenance)
    promotion = decide_promotion(
        options.promote,
        options.models,
        replace(trained.artifact, manifest=made),
        lambda: _to_compare(trained, rows, labels, held=None if test is None else held["test"]),
        asked_per_day=trained.promise.promised_per_day,
    )
    files = found.files | {"evaluation/epochs.csv": epochs_file(trained)}
    if test is None and not recipe.preset.random_split:
        files |= policy_file(trained, labels, split, recipe, data=history.name, scores=files[SCORES])
    manifest = write(
        options.models,
        msgspec.structs.replace(made, training=provenance | {"promotion": promotion.as_json()}),
        files=trained.files | files,
        golden=trained.golden,
        now=datetime.now(UTC),
    )
    if options.report:
        from trainer.report.alarms import alarms_file
        from trainer.report.train_page import train_page

        report = train_page(
            manifest,
            trained.artifact,
            trained.fitted,
            held=held,
            found=found,
            rows=rows,
            labels=labels,
            random_rows=_is_random(recipe, options),
            name=history.name,
            costs=costs,
            verdicts=said.verdicts,
        )
        write_whole(options.report, report.page)
        write_whole(alarms_file(options.report), report.alarms)
    directory = options.models / manifest.version
    decision = carry_out(options.models, manifest, promotion)
    what_became = decision_text(options.models, decision)
    if options.json:
        if decision.decision != PROMOTED:
            print(f"{manifest.version} {what_became}", file=sys.stderr)
        sys.stdout.write((directory / MANIFEST).read_text(encoding="utf-8"))
        return 0
    head = (
        f"{history.name}: {len(rows):,} rows, {counted_labels(rows, schema)}; "
        f"trained on {len(split.fit):,}, validated on {len(split.validation):,}\n{sampling_text(schema)}\n"
    )
    print(wrap_lines(head))
    print(wrap_lines(said.words), end="")
    print(f"threshold {trained.artifact.manifest.threshold.policy}: {trained.promise.words}")
    print(wrap_lines(f"severity: {trained.promise.warnings}\n"))
    print(held_out_text(found, schema, random_rows=_is_random(recipe, options), own_file=test is not None))
    became, *remedy = what_became.split("\n")  # a command to be pasted is not wrapped
    model = f"Model {manifest.version} ({manifest.family}, preset {manifest.preset}, threshold "
    remedy += [f"TensorBoard event files are in {log_dir}"] if log_dir else []
    print(wrap_lines(f"\n{model}{manifest.threshold.policy}{_graded(manifest)}) {became}"), *remedy, sep="\n")
    return 0


def _to_compare(trained: "Trained", rows: RowBatch, labels: "Labels", *, held: "Held | None") -> "RowsToCompare":
    """Rows on which a new model and the current one are compared. held: those of a test file, where there is one."""
    from trainer.evaluation.gate import RowsToCompare

    if held is not None:
        return RowsToCompare(rows=held.rows, labels=held.labels, other_file=True)
    return RowsToCompare(rows=rows, labels=labels, known=trained.held_out.with_score(trained.results.score))


def _graded(manifest: Manifest) -> str:
    """Which grades have a level of their own, where that was asked for."""
    from trainer.training.threshold_policies import is_per_grade

    if not is_per_grade(manifest.threshold.policy):
        return ""
    return f", levels for grades: {', '.join(manifest.threshold.grade_levels) or 'none has rows enough'}"


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = OptionParser(
        "sheetbreak train",
        "Fit a model on a history, judge it on rows held out, write it to the models directory, and make it current\n"
        "if it is not worse than the one that is (--promote).\n"
        "An interrupted training leaves the model before it current. Preset article also writes event files for\n"
        "TensorBoard, under tensorboard/ in the models directory.",
        example="sheetbreak train mill.csv\nsheetbreak train mill.csv --preset article --models comparison",
    )
    add_history_options(parser, "the history: one row a sampling period")
    add_family_options(parser)
    add_policy_options(
        parser,
        "rate:5, pr-curve, mean-std:3, quantile:.99, budget:5, evt:.999, trailing:.98 or trailing-past; with /grade "
        "behind it a level for each grade, as in trailing/grade; default: the preset's",
    )
    parser.add_argument(
        "--split",
        metavar="F/V/T",
        help=f"percent of the rows, by time, to fit, to validate and to test; default {DEFAULT_SPLIT}",
    )
    parser.add_argument("--until", type=whole_number(minimum=1), metavar="ROW", help="use only rows before this one")
    parser.add_argument(
        "--test", type=Path, metavar="CSV", help="judge on this file; the last fifth of the history validates"
    )
    parser.add_argument("--seed", type=Seed, default=0, metavar="N", help="seed of the net")
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="DIR", help="where models are kept")
    add_labels_option(parser)
    add_promote_option(parser)
    parser.add_argument("--json", action="store_true", help="print the manifest and nothing else")
    report_help = "write one HTML page of plots there, to be opened in a browser without a network, and FILE.alarms.csv"
    add_costs(parser)
    parser.add_argument("--report", type=Path, metavar="FILE.html", help=report_help)
    options = parser.parse_args(argv)
    if options.split and options.test:
        raise DataError("--split and --test exclude each other: with --test the last fifth of the history validates")
    if options.models.exists() and not options.models.is_dir():
        raise DataError(f"--models {options.models} is not a directory; name one to keep models in")
    check_writable(options.models)
    check_targets([options.report])
    return options


def _until(rows: RowBatch, end: int, name: str) -> RowBatch:
    if end > len(rows):
        raise DataError(f"--until {end}: {name} has {len(rows)} rows, the first is 0; name a row within it")
    return rows.take(slice(end))


def _read_test(path: Path, schema: Schema) -> RowBatch:
    """The rows to judge on. Raises DataError if they have no labels though the schema names their column."""
    test = read_csv(path, sensors_from=schema, tell=warn_of)[1]
    if schema.broken and (test.broken == UNKNOWN).all():
        raise DataError(f'{path} line 1: column "{schema.broken}" is missing; rows to judge on need their labels')
    return test


def _in_both(rows: RowBatch, test: RowBatch, *, timed: bool) -> int:
    """How many test rows are rows of the history: same machine, values, and time if they are `timed`, not numbered."""

    def identities(batch: RowBatch) -> list[tuple[str, int, bytes]]:
        values = [row.tobytes() for row in batch.values]
        times = batch.times_us.tolist() if timed else [0] * len(batch)
        return list(zip(batch.machines, times, values, strict=True))

    history = set(identities(rows))
    return sum(row in history for row in identities(test))


def _is_random(recipe: "Recipe", options: argparse.Namespace) -> bool:
    """Whether validation and test rows are picked at random; a separate test file leaves rows in their order."""
    return recipe.preset.random_split and not options.test


def _split(rows: RowBatch, labels: "Labels", recipe: "Recipe", options: argparse.Namespace) -> "tuple[Split, str]":
    """The rows' split and what it is called. Raises DataError if the options contradict each other."""
    from trainer.data.splits import LAST_PART_VALIDATES, chronological, parse_split, random_rows

    if options.test:
        split = chronological(rows.times_us, (1 - LAST_PART_VALIDATES, LAST_PART_VALIDATES, 0.0))
        return split, f"{100 - 100 * LAST_PART_VALIDATES:g}/{100 * LAST_PART_VALIDATES:g} and {options.test.name}"
    if recipe.preset.random_split:
        if options.split:
            raise DataError(f"--preset {recipe.preset.name} splits at random, as published: leave --split out")
        return random_rows(labels), "random 64/16/20"
    text = options.split or DEFAULT_SPLIT
    return chronological(rows.times_us, parse_split(text)), text


def _described(trained: "Trained", *, metrics: dict[str, Any], training: dict[str, Any]) -> Manifest:
    """The manifest with what is known once the model has been judged."""
    libraries = library_versions()
    return msgspec.structs.replace(trained.artifact.manifest, metrics=metrics, training=training, libraries=libraries)
