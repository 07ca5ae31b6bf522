"""Recipe of a training: the options that name one, as every command has them that fits a model on a history."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sheetbreak.cli.options import OptionParser
from sheetbreak.history.joining import History
from sheetbreak.rows import BROKEN, RowBatch
from trainer.commands.parts.alert_options import ALERT_HELP, alert_policy
from trainer.data.reading import add_files
from trainer.settings.families import family_names
from trainer.settings.values import add_set_option

if TYPE_CHECKING:
    from trainer.training.pipeline import Recipe

THRESHOLD_HELP = "as in train; default: the preset's"


def add_history_options(parser: OptionParser, what: str) -> None:
    """The files of a history, `--schema` and `--preset`."""
    add_files(parser, what)
    parser.add_argument("--schema", type=Path, metavar="FILE", help="which column means what, in TOML")
    parser.add_argument("--preset", default="default", metavar="NAME", help="default, article or rows")


def add_family_options(parser: OptionParser) -> None:
    """`--family` and `--set`, for one family."""
    parser.add_argument("--family", default="dense", metavar="NAME", help=f"model family: {family_names()}")
    add_set_option(parser)


def add_policy_options(parser: OptionParser, threshold_help: str = THRESHOLD_HELP) -> None:
    """`--threshold` and `--alert`."""
    parser.add_argument("--threshold", metavar="POLICY", help=threshold_help)
    parser.add_argument("--alert", action="append", default=[], metavar="KNOB=N", help=ALERT_HELP)


def given_recipe(options: Namespace) -> "Recipe":
    """What the options and `--seed` say. Raises DataError for what does not exist."""
    from trainer.training.pipeline import Recipe, settings_given  # seconds that --help should not cost
    from trainer.training.presets import preset_named

    return Recipe(
        preset=preset_named(options.preset),
        family=options.family,
        policy=options.threshold,
        seed=options.seed,
        settings=settings_given(options.family, options.set),
        alert=alert_policy(options.alert),
    )


def data_facts(history: History, rows: RowBatch) -> dict[str, Any]:
    """What the JSON of an evaluation says of its data."""
    return {
        "csv": history.name,
        "sha256": history.sha256,
        "rows": len(rows),
        "break_rows": int((rows.broken == BROKEN).sum()),
    }
