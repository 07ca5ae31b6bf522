"""Command `sheetbreak whatif`: another threshold or alert policy on scores that are stored; trains nothing."""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sheetbreak.cli.options import OptionParser
from sheetbreak.errors import DataError
from trainer.commands.parts.alert_options import ALERT_HELP, alert_policy
from trainer.commands.parts.costs import add_costs, given_costs
from trainer.evaluation.policy_file import SUFFIX, Stored, read_policy_file
from trainer.evaluation.tables import other_breaks
from trainer.evaluation.whatif import Replayed, replay_policy, sweep
from trainer.metrics.worth import Costs, Worth, money
from trainer.output.text import wrap, wrap_lines

_BAR = 30
_SCORES = "evaluation/scores.csv"


def main(argv: Sequence[str]) -> int:
    """Replay the scores under the policy and print what came of it. Raises DataError or ArtifactError."""
    parser = OptionParser(
        "sheetbreak whatif",
        "What would another policy have warned of, and cost? Runs the monitor's own decisions over the scores that\n"
        "`backtest --scores` wrote, or that a model was evaluated by. It gives what a new backtest with that policy\n"
        "would give, in a second. Trains nothing and changes no model.",
        example="sheetbreak whatif scores.csv --threshold rate:2 --alert open_after=2\n"
        "sheetbreak whatif 20260501T101500Z-3f9c --sweep --break-cost 25000",
    )
    parser.add_argument("scores", metavar="SCORES|VERSION", help="a file of backtest --scores, or a model's version")
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="DIR", help="where the models are")
    parser.add_argument("--threshold", metavar="POLICY", help="as in train; default: the one that was evaluated")
    parser.add_argument("--alert", action="append", default=[], metavar="KNOB=N", help=ALERT_HELP)
    add_costs(parser)
    parser.add_argument("--sweep", action="store_true", help="the net value over the rate of false alarms asked for")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON and nothing else")
    options = parser.parse_args(argv)
    stored, costs = _read(options), given_costs(options)
    alert = alert_policy(options.alert) if options.alert else stored.facts.alert
    if options.sweep:
        if options.threshold:
            raise DataError("--sweep tries rate:N for several N: leave --threshold out")
        return _sweep(stored, alert, costs, as_json=options.json)
    policy = options.threshold or stored.facts.policy
    found = replay_policy(stored, policy, alert)
    if options.json:
        print(json.dumps(_figures(policy, found, costs), indent=2, allow_nan=False))
    else:
        print(_text(stored, policy, found, costs))
    return 0


def _read(options: argparse.Namespace) -> Stored:
    """A file where there is one by that name, else a model. Raises DataError or ArtifactError."""
    named = Path(options.scores)
    if named.is_file():
        return read_policy_file(named)
    from sheetbreak.artifact import list_versions, read_manifest

    versions = list_versions(options.models)
    if options.scores not in versions:
        raise DataError(
            f"{options.scores} is neither a scores file nor one of the {len(versions)} models in {options.models}; "
            "sheetbreak backtest --scores writes one, sheetbreak models lists the others"
        )
    folder = options.models / options.scores
    manifest = read_manifest(folder)
    for name in (_SCORES, _SCORES + SUFFIX):
        if name not in manifest.files:
            raise DataError(
                f"{folder} holds no {name}: it was judged on a file of its own or on rows at random, or an older "
                "version made it; name a file of sheetbreak backtest --scores"
            )
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != manifest.files[name]:
                raise DataError(f"{folder / name} was altered after training; restore it or train again")
    return read_policy_file(folder / _SCORES)


def _figures(policy: str, found: Replayed, costs: Costs) -> dict[str, Any]:
    worth = Worth.of(found.deployed, costs)
    return {
        "threshold": policy,
        "rows": len(found.rows),
        "operating_days": found.rows.days,
        "breaks": worth.breaks,
        "deployed": asdict(found.deployed),
        "net_value": worth.net,
        "worth": [worth.worst, worth.best],
        "verdict": worth.sentence,
    }


def _text(stored: Stored, policy: str, found: Replayed, costs: Costs) -> str:
    worth, deployed = Worth.of(found.deployed, costs), found.deployed
    last, folds = deployed.horizons[-1], len(stored.folds)
    minutes = last.horizon_rows * stored.facts.schema.period_s / 60
    held = "test rows" if len(stored.folds[0].test) else "validation rows, which chose the threshold"
    of_folds = f" of {folds} folds" if folds > 1 else ""
    shown = {
        f"breaks warned of within {minutes:.0f} min": f"{worth.warned} of {worth.breaks}, "
        f"{worth.by_chance:.1f} by chance",
        "false alarms": f"{last.false_alarms} of {deployed.alerts}, {_number(last.false_alarms_per_day)} a day",
        **({"and of the breaks": others} if (others := other_breaks(deployed)) else {}),
        "lead time, median": "-" if deployed.median_lead_minutes is None else f"{deployed.median_lead_minutes:.1f} min",
        "in alarm": f"{100 * (deployed.time_in_alarm or 0.0):.0f} % of the time",
        **{what: f"{amount:>9}  {why}" for what, amount, why in worth.account},
    }
    lines = [f"{stored.facts.data}: {len(found.rows):,} {held}{of_folds}, {found.rows.days:.1f} operating days"]
    lines += [f"threshold {policy}", "", worth.sentence, ""]
    for name, value in shown.items():
        lines += wrap(f"{name:<32}{value}", indent=" " * 32)
    return wrap_lines("\n".join(lines))


def _sweep(stored: Stored, alert: Any, costs: Costs, *, as_json: bool) -> int:
    """A line a rate as it is found; bars once the largest value is known."""
    found = [(rate, one) for rate, one in sweep(stored, alert)]
    if as_json:
        print(json.dumps([_figures(f"rate:{rate}", one, costs) for rate, one in found], indent=2, allow_nan=False))
        return 0
    worths = [Worth.of(one.deployed, costs) for _, one in found]
    largest = max(1.0, *(abs(one.net) for one in worths))
    head = (
        f"{stored.facts.data}: net value by false alarms a day asked for, at {costs.of_break:,.0f} a break and "
        f"{costs.of_alarm:,.0f} an alarm"
    )
    print(wrap_lines(head) + "\n")
    print("asked  got a day  warned of  by chance  net value")
    for (rate, one), worth in zip(found, worths, strict=True):
        bar = ("█" if worth.net > 0 else "░") * round(_BAR * abs(worth.net) / largest)
        got = _number(one.deployed.horizons[-1].false_alarms_per_day)
        print(f"{rate:>5}  {got:>9}  {worth.warned:>9}  {worth.by_chance:>9.1f}  {money(worth.net):>9}  {bar}")
    best = max(range(len(found)), key=lambda i: worths[i].net)
    if worths[best].net > 0:
        print("\n" + wrap_lines(f"Best at rate:{found[best][0]}. {worths[best].sentence}"))
    else:
        print("\nAt no rate do the breaks warned of beyond chance outweigh the alarms.")
    sys.stdout.flush()
    return 0


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
