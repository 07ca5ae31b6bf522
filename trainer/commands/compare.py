"""Command `sheetbreak compare`: families and baselines side by side under the protocol of `backtest`."""

import json
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sheetbreak.cli.options import OptionParser, whole_number
from sheetbreak.errors import DataError
from trainer.commands.parts.alert_options import alert_policy
from trainer.commands.parts.operators import add_labels_option, read_operators
from trainer.commands.parts.recipe import add_history_options, add_policy_options, data_facts
from trainer.data.labels import counted_labels, mostly_broken
from trainer.data.oddities import tell_of_sensors
from trainer.data.reading import read_given
from trainer.output.files import check_targets, write_whole
from trainer.output.progress import TaskProgress
from trainer.output.text import wrap_lines
from trainer.settings.families import family_names
from trainer.settings.values import add_set_option

if TYPE_CHECKING:
    from trainer.comparison.tasks import Ground, Outcome, Task

DEFAULT_WORK = Path("compare-work")
_DEFAULT_SCORERS = "dense,pca,isolation-forest,ecod,mean-abs-z,rows-since-break"


def main(argv: Sequence[str]) -> int:
    """Do what is not yet done, print the tables, write what was asked for. Raises DataError."""
    parser = OptionParser(
        "sheetbreak compare",
        "Compare model families and baselines as if each had been in use: eight times, train on the past and judge\n"
        "the rows that follow. Changes no model. What is finished is kept in --work: started again after an\n"
        "interruption, with a scorer or a seed more, it does only what is missing.",
        example="sheetbreak compare mill.csv --family dense,pca,isolation-forest --seeds 3\n"
        "sheetbreak compare mill.csv --family all --seeds 3 --json comparison.json\n"
        "sheetbreak compare mill.csv --family dense,dense:narrow --set dense:narrow.latent=4\n"
        "sheetbreak compare mill.csv --family dense --detector pyod.models.ecod:ECOD --scores mine=scores.csv",
    )
    add_history_options(parser, "the history: at least some weeks, with breaks")
    families = f"{family_names()}; isolation-forest, ecod, mean-abs-z, rows-since-break, published; or all"
    family_help = f"what to compare, separated by commas, the others with the first: {families}"
    parser.add_argument("--family", default=_DEFAULT_SCORERS, metavar="NAMES", help=family_help)
    add_set_option(parser)
    detector_help = "and this detector: anything with fit and score_samples or decision_function; may be given again"
    parser.add_argument("--detector", action="append", default=[], metavar="[NAME=]MODULE:FACTORY", help=detector_help)
    scores_help = "and the scores in this CSV, columns row and score, higher is more unusual; may be given again"
    parser.add_argument("--scores", action="append", default=[], metavar="NAME=FILE", help=scores_help)
    add_policy_options(parser)
    add_labels_option(parser)
    seeds_help = "run what depends on a seed with seeds 0 to N-1"
    parser.add_argument("--seeds", type=whole_number(minimum=1, maximum=1000), default=1, metavar="N", help=seeds_help)
    add_work_options(parser, DEFAULT_WORK)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    report_help = "write one HTML page of plots there, to be opened in a browser; it needs no network"
    parser.add_argument("--report", type=Path, metavar="FILE.html", help=report_help)
    options = parser.parse_args(argv)
    check_targets([options.json, options.report])
    check_cluster_option(options.cluster)
    history = read_given(options.csv, options.schema)
    tell_of_sensors(history)
    schema = history.schema
    said = read_operators(options.labels, history.rows, schema)
    rows = said.rows
    if warning := mostly_broken(rows):
        print(f"warning: {history.name}: {warning}", file=sys.stderr)

    from trainer.training.backend import configure_tensorflow  # seconds that --help and a bad CSV should not cost

    configure_tensorflow(tell=sys.stderr)
    from trainer.comparison.ledger import Ledger
    from trainer.comparison.outside import outside_scorers
    from trainer.comparison.result import compare_scorers
    from trainer.comparison.scorers import named_scorers
    from trainer.comparison.tasks import Ground, Task
    from trainer.comparison.text import comparison_json, comparison_text, seconds_text
    from trainer.training.pipeline import Recipe
    from trainer.training.presets import preset_named

    preset = preset_named(options.preset)
    base = Recipe(preset=preset, policy=options.threshold, alert=alert_policy(options.alert))
    scorers = named_scorers(options.family, base=base, texts=options.set, schema=schema)
    scorers += outside_scorers(
        options.detector, options.scores, preset=preset, rows=len(rows), taken=[one.name for one in scorers]
    )
    ground = Ground.of(rows, schema, preset, left_out=said.left_out)
    tasks = [
        Task(scorer=scorer, seed=seed, fold=fold)
        for fold in sorted(ground.splits, reverse=True)  # the longest first, and of every scorer one early
        for seed in range(options.seeds)
        for scorer in scorers
        if seed in scorer.seeds(options.seeds)
    ]
    outcomes = _run(tasks, ground, Ledger(options.work, ground), options)
    found = compare_scorers(scorers, outcomes, seeds=options.seeds, folds=list(ground.splits))
    facts = f"{history.name}: {len(rows):,} rows, {counted_labels(rows, schema)}; preset {preset.name}"
    print(f"{facts}\n")
    print(wrap_lines(said.words), end="")
    print(comparison_text(found, schema=schema))
    print(f"\n{seconds_text(found)}")
    if options.json:
        content = comparison_json(found, ground=ground, source=data_facts(history, rows)) | said.counted
        write_whole(options.json, json.dumps(content, indent=2, allow_nan=False) + "\n")
    if options.report:
        from trainer.commands.parts.compare_page import comparison_page

        write_whole(options.report, comparison_page(found, schema=schema, facts=[facts, seconds_text(found)]))
    return 0


def add_work_options(parser: OptionParser, work: Path) -> None:
    """`--work`, `--jobs` and `--cluster`, as `compare` and `tune` have them."""
    work_help = "what is finished is kept there, whatever the interruption"
    parser.add_argument("--work", type=Path, default=work, metavar="DIR", help=work_help)
    jobs_help = "processes at once; default: one a core that is ours. Changes no figure"
    parser.add_argument("--jobs", type=whole_number(minimum=1, maximum=1024), metavar="N", help=jobs_help)
    cluster_help = "have the workers of this Dask cluster do it, such as tcp://scheduler:8786. Changes no figure"
    parser.add_argument("--cluster", metavar="ADDRESS", help=cluster_help)


def check_cluster_option(address: str | None) -> None:
    """Raises DataError within seconds where `--cluster` names none: before the CSV is read and TensorFlow loaded."""
    if address:
        from trainer.comparison.cluster import check_cluster

        check_cluster(address)


def _run(tasks: "Sequence[Task]", ground: "Ground", ledger: Any, options: Namespace) -> "dict[Any, Outcome]":
    """The outcomes of all tasks, from the ledger or done now; an interruption says what is kept."""
    from trainer.comparison.pool import Pool, usable_cores

    work = options.work

    outcomes = {task.place: outcome for task in tasks if (outcome := ledger.read(task))}
    missing = [task for task in tasks if task.place not in outcomes]
    if not missing:
        return outcomes
    if outcomes:
        print(f"{len(outcomes)} of {len(tasks)} are finished, in {work}", file=sys.stderr)
    progress = TaskProgress(sys.stderr, label="comparing", tasks=len(tasks))
    begin, spent_s = time.monotonic(), 0.0
    jobs = min(options.jobs or (len(missing) if options.cluster else usable_cores()), len(missing))
    with Pool(ground, ledger, jobs=jobs, cluster=options.cluster) as pool:
        try:
            progress.tell(len(outcomes), left_s=_work_left_s(tasks, outcomes) / pool.jobs)
            for task in pool.run(missing, tick=progress.tick):
                found = ledger.read(task)
                if found is None:
                    raise DataError(f"--work {work}: what was written there just now is gone; name another directory")
                outcomes[task.place] = found
                # Judging and starting count too: what a second of work took here so far, the rest will take.
                spent_s += found.seconds
                pace = (time.monotonic() - begin) / spent_s
                progress.tell(len(outcomes), left_s=pace * _work_left_s(tasks, outcomes), says=str(task))
        except KeyboardInterrupt:
            progress.close()
            kept = f"{len(outcomes)} of {len(tasks)} are kept in {work}"
            print(f"interrupted: {kept}; the same command goes on from there", file=sys.stderr)
            raise
        finally:
            progress.close()
    return outcomes


def _work_left_s(tasks: "Sequence[Task]", outcomes: "dict[Any, Outcome]") -> float:
    """Seconds of work in the missing tasks: each as long as those of its scorer took, or as all did; NaN: not known."""
    known: dict[str, list[float]] = {}
    for (name, _, _), outcome in outcomes.items():
        known.setdefault(name, []).append(outcome.seconds)
    if not known:
        return float("nan")
    means = {name: sum(found) / len(found) for name, found in known.items()}
    usual = sum(means.values()) / len(means)
    return sum(means.get(task.scorer.name, usual) for task in tasks if task.place not in outcomes)
