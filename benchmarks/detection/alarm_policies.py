"""Alert policies searched on the earlier folds of a backtest: which warns of most breaks at five false alarms a day.

    .venv/bin/python -m benchmarks.detection.alarm_policies CSV [--seeds 3] [--scores FILE.npz]
        [--alert KNOB=N] [--later]

Scores the eight folds of `sheetbreak backtest` with the default recipe, once per seed (--scores keeps them for another
run), then judges those scores by one alert policy after the other, with the code of the monitor: from the default on,
the best change of one knob, then the best further one, until none gains. Folds 1 to 4 choose; --later judges the
default and the choice on folds 5 to 8, which is to be looked at once. Recall is the mean over folds and seeds; the
difference to the default is taken draw by draw over the same resampled blocks of four hours.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection.alarm_search import JUDGED, Candidate, Figures, Fold, mean_figures, neighbours
from sheetbreak.engine.thresholds import TRAILING_ROWS
from sheetbreak.history.reader import read_csv
from sheetbreak.history.schema_file import load_schema
from sheetbreak.rows import RowBatch, Schema
from trainer.commands.parts.alert_options import alert_policy
from trainer.data.labels import Floats
from trainer.evaluation.folds import LATER, VALIDATED, rolling_origin
from trainer.metrics.bootstrap import interval

ROUNDS = 3


def main() -> int:
    """Score, search, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--schema", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scores", type=Path, help="read the folds' scores from there, or write them there")
    parser.add_argument("--alert", action="append", default=[], metavar="KNOB=N", help="no search: this policy alone")
    parser.add_argument("--later", action="store_true", help="judge the choice on the later folds, too")
    options = parser.parse_args()
    schema, rows = read_csv(options.csv, load_schema(options.schema) if options.schema else None)
    if options.scores and options.scores.exists():
        with np.load(options.scores, allow_pickle=False) as kept:
            scores = kept["scores"][: options.seeds]
    else:
        scores = score_folds(rows, schema, seeds=options.seeds)
        if options.scores:
            np.savez_compressed(options.scores, scores=scores)
    early, later = _folds(rows, schema, scores)
    given = _candidate(options.alert)
    tried = {c: _judge(early, c) for c in (Candidate(), given)} if options.alert else search(early)
    print(f"folds 1 to {LATER.start}, {len(scores)} seeds\n{_table(_named(tried))}\n", flush=True)
    print(f"the default, its level chosen otherwise\n{_table(_otherwise(rows, schema, scores, 0))}", flush=True)
    if options.later:
        both = {c: _judge(later, c) for c in dict.fromkeys((Candidate(), given if options.alert else _best(tried)))}
        print(f"\nfolds from {LATER.start + 1} on\n{_table(_named(both))}\n", flush=True)
        print(f"the default, its level chosen otherwise\n{_table(_otherwise(rows, schema, scores, 1))}")
    return 0


def score_folds(rows: RowBatch, schema: Schema, *, seeds: int) -> Floats:
    """(seeds, folds, rows) what a default model of each fold's past scores every row."""
    from trainer.training.backend import configure_tensorflow

    configure_tensorflow()
    from trainer.training.pipeline import Recipe, choose_threshold, fit_pipeline
    from trainer.training.presets import preset_named

    preset = preset_named("default")
    splits, labels = rolling_origin(rows.times_us), preset.labels(rows, schema)
    scores = np.full((seeds, len(splits), len(rows)), np.nan)
    for seed in range(seeds):
        for i, split in enumerate(splits):
            begin = time.perf_counter()
            recipe = Recipe(preset=preset, seed=seed, policy="quantile:.99")  # any: scores do not depend on it
            fit = fit_pipeline(rows, schema, labels=labels, split=split, recipe=recipe)
            scores[seed, i] = choose_threshold(fit).results.score
            _say(f"seed {seed}, fold {i + 1} of {len(splits)}: scored in {time.perf_counter() - begin:.0f} s")
    return scores


def search(folds: Sequence[Fold]) -> dict[Candidate, Figures]:
    """The figures of every candidate tried: from the default on, knob by knob, always on from the best."""
    now = Candidate()
    found = {now: _judge(folds, now)}
    for number in range(1, ROUNDS + 1):
        new = [other for other in neighbours(now) if other not in found]
        for i, other in enumerate(new, start=1):
            found[other] = _judge(folds, other)
            _say(f"round {number}, {i} of {len(new)}: {_objective(found[other])[0]:.3f}  {other.text()}")
        best = _best(found)
        if best == now:
            break
        now = best
    return found


def _candidate(texts: Sequence[str]) -> Candidate:
    """Of knobs of the alert policy, and trailing_rows=N."""
    name = "trailing_rows="
    rows = [int(text.removeprefix(name)) for text in texts if text.startswith(name)] or [TRAILING_ROWS]
    return Candidate(alert_policy([text for text in texts if not text.startswith(name)]), rows[-1])


def _judge(folds: Sequence[Fold], candidate: Candidate) -> Figures:
    return mean_figures([fold.figures(candidate) for fold in folds])


def _objective(found: Figures) -> Floats:
    """Mean recall over the horizons, draw by draw."""
    mean: Floats = found.recall.mean(axis=0)
    return mean


def _best(found: dict[Candidate, Figures]) -> Candidate:
    return max(found, key=lambda candidate: _objective(found[candidate])[0])


def _otherwise(rows: RowBatch, schema: Schema, scores: Floats, part: int) -> dict[str, Figures]:
    """The default with other ways to choose its level, on the earlier folds (part 0) or the later ones (1)."""
    ways: dict[str, dict[str, Any]] = {
        "validation rows (default)": {},
        "the last 10 % before the test rows": {"chosen_on": 0.1},
        "the last 20 %": {"chosen_on": 0.2},
        "fit and validation rows (trailing-past)": {"chosen_on": 1.0},
        "the same, a level for each grade": {"chosen_on": 1.0, "per_grade": True},
    }
    found = {}
    for i, (name, how) in enumerate(ways.items(), start=1):
        found[name] = _judge(_folds(rows, schema, scores, **how)[part], Candidate())
        _say(f"level by {name}: {i} of {len(ways)}")
    return found


def _folds(
    rows: RowBatch, schema: Schema, scores: Floats, *, chosen_on: float = VALIDATED, per_grade: bool = False
) -> tuple[list[Fold], list[Fold]]:
    """The earlier and the later folds of all seeds.

    chosen_on: the share of all rows, the last ones before the test rows of a fold, on which it chooses its level.
    """
    from trainer.training.presets import preset_named

    labels = preset_named("default").labels(rows, schema)
    folds: tuple[list[Fold], list[Fold]] = [], []
    for of_seed in scores:
        for i, split in enumerate(rolling_origin(rows.times_us)):
            past = np.union1d(split.fit, split.validation)
            last = split.fit.max() + 1 + len(split.validation) - chosen_on * len(rows)
            choose = split.validation if chosen_on == VALIDATED else past[past >= last]
            fold = Fold(
                i + 1, split, of_seed[i], rows=rows, labels=labels, schema=schema, choose=choose, per_grade=per_grade
            )
            folds[i >= LATER.start].append(fold)
    return folds


def _named(found: Mapping[Candidate, Figures]) -> dict[str, Figures]:
    return {candidate.text(): figures for candidate, figures in found.items()}


def _table(found: Mapping[str, Figures]) -> str:
    """A line an entry, the best first but the default, which is the first entry, on top; at the end what the best of
    as many would gain by luck alone.
    """
    plain = next(iter(found.values()))
    head = "".join(f"{f'{h} rows ahead':<14}" for h in JUDGED)
    lines = [
        f"{'':<44}{'best level in hindsight, 5 false/day':<54}level chosen beforehand",
        f"{'':<44}{head}{'gain (mean)':<26}{head}{'false/day':<12}gain (mean)",
    ]
    rest = sorted(list(found)[1:], key=lambda name: -_objective(found[name])[0])
    for name in [next(iter(found)), *rest]:
        one = found[name]
        lines.append(
            f"{name:<44}{_shares(one.recall, one.chance)}{_gain(_objective(one) - _objective(plain)):<26}"
            f"{_shares(one.deployed, one.deployed_chance)}{one.deployed_false[0]:<12.1f}"
            f"{_gain(one.deployed.mean(axis=0) - plain.deployed.mean(axis=0))}"
        )
    lines.append(
        "Breaks warned of in %, by chance in brackets. Gains in points, with the middle 95 % of resampled blocks."
    )
    if len(rest) > 2:
        gains = np.stack([_objective(found[name]) - _objective(plain) for name in rest])
        luck = np.nanmax(gains[:, 1:] - gains[:, :1], axis=0)
        lines.append(
            f"Were all {len(rest)} as good as the default, the best of them would still seem to gain up to "
            f"{100 * np.nanpercentile(luck, 95):.0f} points (95 %)."
        )
    return "\n".join(lines)


def _shares(recall: Floats, chance: Floats) -> str:
    return "".join(f"{f'{100 * r[0]:.0f} ({100 * c:.0f})':<14}" for r, c in zip(recall, chance, strict=True))


def _gain(difference: Floats) -> str:
    known = interval(difference[1:])
    return f"{100 * difference[0]:+.1f}" + (f" [{100 * known[0]:+.1f}, {100 * known[1]:+.1f}]" if known else "")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
