"""Rate of false alarms that was asked for, beside what later rows gave: every policy on the folds of a backtest.

    .venv/bin/python -m benchmarks.detection.rates CSV [--seeds 3] [--family dense] [--json FILE]
        [--policies rate:2,rate:5,rate:10,trailing,trailing-past,quantile:.99]

Each fold of `sheetbreak backtest` is trained once per seed with the default recipe; every policy then chooses on the
same held-out and validation scores and is judged on the test rows, as deployed. "Within x1.5": folds whose rate lies
between two thirds and one and a half times what was asked for. Odds: what held-out rows said of warnings (hits of how
many, and the share of hours that hold a break) beside what became of the warnings of the test rows.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.errors import DataError
from sheetbreak.history.reader import read_csv
from trainer.evaluation.folds import rolling_origin
from trainer.metrics.alarms import judge_deployed
from trainer.metrics.scored_rows import score_rows
from trainer.training.warnings import judge_warnings

_POLICIES = "rate:2,rate:5,rate:10,trailing,trailing-past,quantile:.99"


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--family", default="dense")
    parser.add_argument("--policies", default=_POLICIES)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = measure(options.csv, seeds=options.seeds, family=options.family, policies=options.policies.split(","))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    show(found)


def measure(csv: Path, *, seeds: int, family: str, policies: list[str]) -> list[dict[str, Any]]:
    """One entry for each fold, seed and policy."""
    from trainer.training.backend import configure_tensorflow

    configure_tensorflow()
    from trainer.training.pipeline import Recipe, choose_threshold, fit_pipeline
    from trainer.training.presets import preset_named
    from trainer.training.threshold_policies import parse_policy

    schema, rows = read_csv(csv)
    preset = preset_named("default")
    labels = preset.labels(rows, schema)
    found: list[dict[str, Any]] = []
    for seed in range(seeds):
        for number, split in enumerate(rolling_origin(rows.times_us), start=1):
            recipe = Recipe(preset=preset, family=family, seed=seed)
            trained = choose_threshold(fit_pipeline(rows, schema, labels=labels, split=split, recipe=recipe))
            past = trained.held_out.before(int(split.validation.max()) + 1)
            for policy in policies:
                try:
                    threshold = parse_policy(policy)(trained.evidence)
                except DataError as error:
                    print(f"fold {number}, seed {seed}, {policy}: {error}", file=sys.stderr)
                    continue
                alarms = trained.held_out.alarms(threshold, AlertPolicy())
                given = judge_deployed(score_rows(rows, labels, alarms, schema).of_file_rows(split.test))
                told = judge_warnings(past, threshold, AlertPolicy()).odds
                found.append(
                    {
                        "fold": number,
                        "seed": seed,
                        "policy": policy,
                        "chosen": threshold.policy,
                        "false_alarms_per_day": given.horizons[-1].false_alarms_per_day,
                        "breaks": len(given.leads),
                        "warned": [one.warned for one in given.horizons],
                        "chance": [(one.chance or 0.0) * len(given.leads) for one in given.horizons],
                        "alerts": given.alerts,
                        "true_alerts": given.alerts - given.horizons[-1].false_alarms,
                        "odds": [sum(told.outcomes), len(told.outcomes), told.ahead / max(told.scored, 1)],
                    }
                )
            print(f"fold {number}, seed {seed}: done", file=sys.stderr)
    return found


def show(found: list[dict[str, Any]]) -> None:
    """The tables."""
    print("                 asked  given: mean (least, most)   within   warned of, % (chance), ahead at most")
    print("policy           a day  false alarms a day          x1.5     4 min      20 min     60 min")
    for policy in dict.fromkeys(one["policy"] for one in found):
        some = [one for one in found if one["policy"] == policy]
        rates = np.array([one["false_alarms_per_day"] or 0.0 for one in some])
        asked = asked_of(policy)
        breaks = sum(one["breaks"] for one in some)
        warned = [
            f"{100 * sum(one['warned'][i] for one in some) / breaks:.0f} "
            f"({100 * sum(one['chance'][i] for one in some) / breaks:.0f})"
            for i in range(3)
        ]
        within = f"{np.mean((rates >= asked / 1.5) & (rates <= asked * 1.5)):.0%}" if asked else "-"
        print(
            f"{policy:<16} {asked or '-':>5}  {rates.mean():5.1f} ({rates.min():.1f}, {rates.max():.1f})"
            f"{'':<12} {within:>6}   " + "".join(f"{text:<11}" for text in warned)
        )
    print("\npolicy           warnings that a break followed: told from held-out rows, then given; a random hour")
    for policy in dict.fromkeys(one["policy"] for one in found):
        some = [one for one in found if one["policy"] == policy]
        hits, of = (sum(one["odds"][i] for one in some) for i in (0, 1))
        true, alerts = (sum(one[name] for one in some) for name in ("true_alerts", "alerts"))
        base = np.mean([one["odds"][2] for one in some])
        told = f"{hits} of {of}, {hits / of:.0%}" if of else "-"
        given = f"{true} of {alerts}, {true / alerts:.0%}" if alerts else "-"
        print(f"{policy:<16} {told:<22} {given:<22} {base:.0%}")


def asked_of(policy: str) -> float | None:
    """False alarms a day that a policy is asked for; None where it is asked for something else."""
    name, _, parameter = policy.partition(":")
    if name in ("rate", "budget"):
        return float(parameter or 5)
    return 5.0 if policy in ("trailing", "trailing-past") else None


if __name__ == "__main__":
    main()
