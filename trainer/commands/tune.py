"""Command `sheetbreak tune`: searches the settings of a family on the dev folds of a CSV; changes no model."""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sheetbreak.bounds import Positive, Seed
from sheetbreak.cli.commands import INTERRUPTED
from sheetbreak.cli.options import OptionParser, whole_number
from trainer.commands.compare import add_work_options, check_cluster_option
from trainer.commands.parts.operators import add_labels_option, read_operators
from trainer.commands.parts.recipe import add_family_options, add_history_options
from trainer.data.oddities import tell_of_sensors
from trainer.data.reading import read_given
from trainer.output.files import check_targets, write_whole
from trainer.output.progress import TaskProgress
from trainer.output.text import command_lines, wrap_lines
from trainer.settings.values import shown

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from trainer.comparison.tasks import Ground
    from trainer.comparison.tuning.search import Found

DEFAULT_WORK = Path("tune-work")


def main(argv: Sequence[str]) -> int:
    """Search until the time is over and print what was found. Raises DataError for what the user must change."""
    options = _parse(argv)
    check_cluster_option(options.cluster)
    history = read_given(options.csv, options.schema)
    tell_of_sensors(history)
    schema = history.schema
    said = read_operators(options.labels, history.rows, schema)
    rows = said.rows

    from trainer.training.backend import configure_tensorflow  # seconds that --help and a bad CSV should not cost

    configure_tensorflow(tell=sys.stderr)
    from trainer.comparison.ledger import Ledger
    from trainer.comparison.pool import Pool, usable_cores
    from trainer.comparison.tuning.search import Search, dev_ground, study_name
    from trainer.comparison.tuning.space import search_space, space_text
    from trainer.comparison.tuning.study import open_study
    from trainer.evaluation.fold_baselines import LABEL_FREE_POLICY
    from trainer.families import FAMILIES
    from trainer.training.pipeline import Recipe, check_recipe, settings_given
    from trainer.training.presets import preset_named

    given = settings_given(options.family, options.set)
    preset = preset_named(options.preset)
    recipe = Recipe(preset=preset, family=options.family, policy=LABEL_FREE_POLICY, seed=options.seed, settings=given)
    check_recipe(recipe, schema)
    only = [name.strip() for name in options.search.split(",")] if options.search else []
    space = search_space(options.family, FAMILIES[options.family], given=given, only=only)
    ground = dev_ground(rows, schema, preset, left_out=said.left_out)
    ledger = Ledger(options.work, ground)
    folds = len(ground.splits)
    jobs = min(options.jobs or (folds if options.cluster else usable_cores()), folds)
    deadline = time.monotonic() + 60 * options.minutes
    progress = TaskProgress(sys.stderr, label="tuning: trials", tasks=options.trials)

    def tell(done: "Sequence[FrozenTrial]") -> None:
        values = [trial.value for trial in done if trial.value is not None]
        says = f"best {max(values):.3f}" if values else ""
        progress.tell(len(done), left_s=max(deadline - time.monotonic(), 0.0), says=says)

    code = 0
    with (
        open_study(options.work, study_name(ground, recipe, space, options.goal)) as study,
        Pool(ground, ledger, jobs=jobs, cluster=options.cluster) as pool,
    ):
        search = Search(study, recipe, ground, ledger=ledger, pool=pool, space=space, goal=options.goal)
        try:
            search.run(
                trials=options.trials,
                over=lambda: time.monotonic() >= deadline,
                tell=tell,
                tick=progress.tick,
            )
        except KeyboardInterrupt:
            code = INTERRUPTED
        finally:
            progress.close()
        found = search.found()
    if code:
        kept = f"interrupted: what is finished is kept in {options.work}; the same command goes on from there"
        print(kept, file=sys.stderr)
    if found:
        print(_text(found, ground, options, all_rows=len(rows), space=space_text(space)))
        if options.json:
            write_whole(options.json, json.dumps(_as_json(found, options, ground), indent=2, allow_nan=False) + "\n")
    return code


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = OptionParser(
        "sheetbreak tune",
        "Search the settings of a model family for so many minutes, on the first four folds of backtest alone: the\n"
        "rows behind them are cut off before anything is computed. Changes no model. Trials are kept in --work: the\n"
        "same command goes on where it was interrupted, and Ctrl-C prints what was found.",
        example="sheetbreak tune mill.csv --family dense --minutes 30\n"
        "sheetbreak tune mill.csv --family dense --search latent,noise --set epochs=20 --for warned",
    )
    add_history_options(parser, "the history: at least some weeks, with breaks")
    add_family_options(parser)
    add_labels_option(parser)
    search_help = "search these settings, separated by commas; default: those that say where to look"
    parser.add_argument("--search", default="", metavar="NAMES", help=search_help)
    goal_help = "what is to be best, mean over the folds. auc: ROC AUC; warned: breaks warned of within 30 rows at 5 "
    goal_help += "false alarms a day, less what chance warns of"
    parser.add_argument("--for", dest="goal", choices=("auc", "warned"), default="auc", help=goal_help)
    parser.add_argument("--minutes", type=Positive, default=30.0, metavar="M", help="time to search this time")
    trials_help = "stop at so many trials, those of earlier runs included; default: when the time is over"
    parser.add_argument("--trials", type=whole_number(minimum=1), metavar="N", help=trials_help)
    seed_help = "seed of the nets and of the search"
    parser.add_argument("--seed", type=Seed, default=0, metavar="N", help=seed_help)
    add_work_options(parser, DEFAULT_WORK)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every trial there")
    options = parser.parse_args(argv)
    check_targets([options.json])
    return options


def _text(found: "Found", ground: "Ground", options: argparse.Namespace, *, all_rows: int, space: str) -> str:
    """What was found, as figures of the dev folds, and how to judge it."""
    seen = f"the first {len(ground.rows):,} rows by time of {all_rows:,}; the others were not looked at"
    files = ", ".join(path.name for path in options.csv)
    lines = [
        f"{files}: folds 1 to {len(ground.splits)}, {seen}",
        f"family {options.family}, searched: {space}",
        f"{found.trials} trials, {found.cut_short} cut short, {found.failed} failed\n",
        _line("defaults", found.defaults, found.default_value, options.goal),
    ]
    if not found.best:
        verdict = "No trial was better: stay with the defaults." if found.trials else "No trial is finished yet."
        return wrap_lines("\n".join([*lines, f"\n{verdict}"]))
    lines.append(_line("best trial", found.tuned, found.value, options.goal))
    gain, at = found.gain.roc_auc, found.gain.roc_auc_interval
    if gain is not None and at:
        lines.append(f"best trial less defaults: AUC {gain:+.3f} [{at[0]:+.3f}, {at[1]:+.3f}]")
    return "\n".join([wrap_lines("\n".join(lines)), "", *_how_to_judge(found, options)])


def _how_to_judge(found: "Found", options: argparse.Namespace) -> list[str]:
    """The best settings, and commands to judge them with on rows that the search has not seen."""
    label = f"{options.family}:tuned"
    best = [f"{name}={shown(value)}" for name, value in found.best.items()]
    # dense.noise=.1 is to hold for both lines of the comparison.
    given = _words("", (text.removeprefix(f"{options.family}.") for text in options.set))
    data = shlex.join(map(str, options.csv))
    data += f" --schema {shlex.quote(str(options.schema))}" if options.schema else ""
    data += f" --labels {shlex.quote(str(options.labels))}" if options.labels else ""
    data += f" --preset {options.preset}" if options.preset != "default" else ""
    tuned = _words(f"{label}.", best)
    return [
        "best settings:",
        command_lines(_words("", best), indent="  "),
        "",
        wrap_lines(
            f"These figures flatter: the settings were chosen on these very rows, as the best of {found.trials} trials."
        ),
        "Judge them once, on the later folds, and take what comes out:",
        command_lines(
            f"sheetbreak compare {data} --family {options.family},{label}{given}{tuned} --seeds 3", indent="  "
        ),
        command_lines(f"sheetbreak backtest {data} --family {options.family}{given}{_words('', best)}", indent="  "),
    ]


def _words(prefix: str, settings: Iterable[str]) -> str:
    """Settings as --set takes them, each with a blank before."""
    return "".join(f" --set {shlex.quote(prefix + text)}" for text in settings)


def _line(name: str, found: Any, value: float, goal: str) -> str:
    auc, at = found.roc_auc, found.roc_auc_interval
    interval = f" [{at[0]:.3f}, {at[1]:.3f}]" if at else ""
    warned = next((r for r in found.recall if (r.horizon_rows, r.false_alarms_per_day) == (30, 5)), None)
    text = f"{name:<12}dev AUC {auc:.3f}{interval}" if auc is not None else f"{name:<12}dev AUC –"
    if warned:
        share = f"{100 * warned.recall:.0f} % ({100 * warned.chance:.0f} % by chance)"
        text += f"; within 30 rows at 5 false alarms a day {share}"
    return text + (f"; less chance {100 * value:+.0f} points" if goal == "warned" else "")


def _as_json(found: "Found", options: argparse.Namespace, ground: "Ground") -> dict[str, Any]:
    return {
        "format": 1,
        "family": options.family,
        "preset": options.preset,
        "for": options.goal,
        "seed": options.seed,
        "dev_rows": len(ground.rows),
        "best": found.best,
        "value": found.value,
        "default_value": found.default_value,
        "tuned": found.tuned.as_json(),
        "defaults": found.defaults.as_json(),
        "trials": [{"settings": settings, "value": value} for settings, value in found.tried],
    }
