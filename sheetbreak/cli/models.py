"""Command `sheetbreak models`: lists models, makes one current, shows its card, checks, exports, removes them."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from sheetbreak.artifact import current_version, list_versions, load, prune, read_manifest
from sheetbreak.artifact.promotion import promote, read_decisions, warn_of_schema
from sheetbreak.cli.model_card import read_card, reason_of, state_of
from sheetbreak.cli.options import OptionParser, whole_number
from sheetbreak.cli.screen import columns
from sheetbreak.engine.model import Manifest
from sheetbreak.errors import ArtifactError

_OF_ONE = ("use", "promote", "show")
"""Actions on a version that must be named."""
_OF_ONE_OR_NONE = ("verify", "export")
_HEADINGS: tuple[str, ...] = ("  version", "state", "preset", "family", "threshold", "sensors", "AUC", "data")
_NUMBERS = ("sensors", "AUC")
_LEAST_CELL = 8
"""Characters of a file's name; fewer say nothing."""


def main(argv: Sequence[str]) -> int:
    """List, or do what the sub-command says. Raises ArtifactError for a model that is not there or not sound."""
    parser = OptionParser(
        "sheetbreak models",
        "List the models, newest last: the current one, candidates that may become it, former ones, and why.",
        example="sheetbreak models\n"
        "sheetbreak models show 20260501T101500Z-3f9c   # its card, in Markdown\n"
        "sheetbreak models promote 20260501T101500Z-3f9c    # a candidate becomes current\n"
        "sheetbreak models use 20260501T101500Z-3f9c    # roll back; a running monitor takes it up\n"
        "sheetbreak models verify\n"
        'sheetbreak models export --mlflow exported     # the current one, for mlflow.pyfunc.load_model("exported")\n'
        "sheetbreak models prune --keep 5",
    )
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="DIR", help="where the models are")
    where = OptionParser("models", add_help=False)
    where.add_argument("--models", type=Path, default=argparse.SUPPRESS, metavar="DIR", help="where the models are")
    # Sub-commands are parsers of argparse's own making; ours reads the environment, so they are of our class.
    actions = parser.add_subparsers(
        dest="action", metavar="[promote|use|show|verify|export|prune]", parser_class=OptionParser
    )
    for name, described in (
        ("promote", "make a candidate current, whatever the comparison said"),
        ("show", "the card of one version in Markdown: data, promises, held-out figures, why it is current or not"),
        ("use", "make a version current, atomically: roll back or forward"),
        ("verify", "check hashes and golden rows of one version, or of all"),
        ("export", "write a model, the current one if none is named, in MLflow's format: a pyfunc that scores a table"),
        ("prune", "remove all but the newest versions; never the current one"),
    ):
        action = actions.add_parser(name, parents=[where], description=described, help=described)
        if name in _OF_ONE:
            action.add_argument("version", metavar="VERSION")
        elif name in _OF_ONE_OR_NONE:
            action.add_argument("version", metavar="VERSION", nargs="?")
        else:
            action.add_argument("--keep", type=whole_number(minimum=1), default=5, metavar="N", help="versions kept")
        if name == "export":
            action.add_argument("--mlflow", type=Path, required=True, metavar="DIR", help="a new directory for it")
    options = parser.parse_args(argv)
    models: Path = options.models
    named = getattr(options, "version", None)
    if named is not None and named not in list_versions(models):
        raise ArtifactError(f"{models} holds no model {named}; sheetbreak models lists those it holds")
    if options.action in ("use", "promote"):
        return _make_current(models, options.version, by=f"models {options.action}")
    if options.action == "show":
        print(read_card(models, options.version), end="")
        return 0
    if options.action == "export":
        return _export(models, options.mlflow, version=named)
    if options.action == "verify":
        return _verify(models, [named] if named else list_versions(models))
    if options.action == "prune":
        return _prune(models, keep=options.keep)
    return _list(models)


def _make_current(models: Path, version: str, *, by: str) -> int:
    manifest = load(models, version).manifest  # what the monitor would refuse does not become current
    if warning := warn_of_schema(models, manifest):
        print(f"warning: {warning}", file=sys.stderr)
    promote(models, version, by=by, why="by hand" + (f"; warning: {warning}" if warning else ""))
    print(f"{version} is current in {models}")
    return 0


def _export(models: Path, target: Path, *, version: str | None) -> int:
    from sheetbreak.python.pyfunc import export

    print(f"{export(models, target, version=version)} is in {target}, in MLflow's format")
    return 0


def _prune(models: Path, *, keep: int) -> int:
    removed = prune(models, keep=keep)
    for version in removed:
        print(f"removed {version}")
    if not removed:
        print("nothing to remove", file=sys.stderr)
    return 0


def _list(models: Path) -> int:
    versions = list_versions(models)
    if not versions:
        raise ArtifactError(f"{models} holds no model; run sheetbreak train, or name another directory with --models")
    try:
        current = current_version(models)
    except ArtifactError as error:
        current = ""
        print(f"warning: {error}", file=sys.stderr)
    decisions = read_decisions(models)
    listed, reasons = [_HEADINGS], []
    for version in versions:
        mark = "*" if version == current else " "
        try:
            manifest = read_manifest(models / version)
        except ArtifactError as error:
            listed.append((f"{mark} {version}", f"unusable: {error}"))
            continue
        told = (state_of(version, decisions, current), manifest.preset, manifest.family, manifest.threshold.policy)
        figures = (str(len(manifest.schema.sensors)), _test_auc(manifest), str(manifest.training.get("data", "-")))
        listed.append((f"{mark} {version}", *told, *figures))
        if reason := reason_of(manifest, decisions):
            reasons.append(f"{version}  {reason}")
    width = columns()
    print("\n".join(_table(listed, width)))
    if reasons:
        wrapped = reasons if width is None else [fill(one, width, subsequent_indent="  ") for one in reasons]
        print("\n" + "\n".join(wrapped))
    return 0


def _table(listed: Sequence[tuple[str, ...]], width: int | None) -> list[str]:
    """Lines of cells below one another. width: of the terminal; None is no limit.

    The last cell is cut to what is left, and left out where that is next to nothing: a model's card has it whole.
    """
    whole = [cells for cells in listed if len(cells) == len(_HEADINGS)]
    widths = [max(len(cells[i]) for cells in whole) for i in range(len(_HEADINGS) - 1)]
    room = None if width is None else width - sum(widths) - len(widths)
    lines = []
    for cells in listed:
        padded = [
            cell.rjust(wide) if heading in _NUMBERS else cell.ljust(wide)
            for cell, wide, heading in zip(cells[:-1], widths, _HEADINGS, strict=False)
        ]
        lines.append(" ".join([*padded, cells[-1] if len(cells) < len(_HEADINGS) else _cut(cells[-1], room)]).rstrip())
    return lines


def _cut(text: str, room: int | None) -> str:
    if room is None or len(text) <= room:
        return text
    return "" if room < _LEAST_CELL else text[: room - 1] + "…"


def _test_auc(manifest: Manifest) -> str:
    """As the list shows it; a dash where the evaluation was not of that kind."""
    test = manifest.metrics.get("test")
    auc = test.get("roc_auc") if isinstance(test, dict) else None
    return f"{auc:.2f}" if isinstance(auc, float) else "-"


def _verify(models: Path, versions: Sequence[str]) -> int:
    """0 when all are sound, else 2; says which is not and why, and goes on."""
    if not versions:
        raise ArtifactError(f"{models} holds no model; run sheetbreak train, or name another directory with --models")
    sound = True
    for version in versions:
        try:
            load(models, version)
        except ArtifactError as error:
            sound = False
            print(f"{version}  BAD  {error}")
        else:
            print(f"{version}  ok")
    return 0 if sound else 2
