"""Promises of `whatif`: the figures of a new evaluation with that policy, to the digit, from what was stored."""

import json
from pathlib import Path

import numpy as np
import pytest

from sheetbreak.cli.commands import run
from sheetbreak.engine.alerts import AlertPolicy
from sheetbreak.errors import DataError
from sheetbreak.rows import RowBatch, Schema
from tests.support.data.histories import SCHEMA_TOML, mill_like, write_csv
from trainer.commands.train import main as train
from trainer.commands.whatif import main
from trainer.data.history import admit_history
from trainer.data.labels import Floats, Labels, label_rows
from trainer.data.splits import chronological
from trainer.evaluation.policy_file import SUFFIX, FoldScores, pack_policy_file, read_policy_file
from trainer.evaluation.whatif import replay_policy
from trainer.metrics.alarms import judge_deployed
from trainer.metrics.scored_rows import joined, score_rows
from trainer.training.alarm_replay import ScoredHistory
from trainer.training.threshold_evidence import gather_evidence
from trainer.training.threshold_policies import parse_policy

SCHEMA = Schema(sensors=("a", "b"), time="time", broken="broken", machine="machine", grade="grade")
POLICIES = ("rate:5", "rate:40", "trailing:.95", "trailing", "quantile:.9", "pr-curve", "budget:20", "mean-std:2")
SCORES = b"row,score\n"


def history() -> tuple[RowBatch, Labels]:
    """Two machines, interleaved, with stops, breaks, refused rows and grades."""
    rows = mill_like(1500, sensors=2, machines=("one", "two"))
    rows.values[40:44] = np.nan  # refused
    grades = [None if i % 7 == 0 else f"g{i // 900}" for i in range(len(rows))]
    rows = RowBatch(rows.machines, rows.times_us, rows.values, grades, rows.broken)
    return rows, label_rows(rows, SCHEMA)


def folds_of(rows: RowBatch, labels: Labels) -> list[FoldScores]:
    """Scores that know something, none in the first rows of the first part, which was not held out."""
    found = []
    for seed, until in enumerate((0.5, 0.6)):
        draw = np.random.default_rng(seed)
        score: Floats = draw.gamma(2.0, size=len(rows)) + 2.0 * labels.will_break
        score[rows.broken == 1] = np.nan
        score[40:44] = np.nan
        split = chronological(rows.times_us, (until - 0.1, 0.1, 1 - until))
        held_out = score.copy()
        held_out[split.fit[: len(split.fit) // 2]] = np.nan
        learned = split.fit[labels.normal[split.fit]]
        found.append(
            FoldScores(
                fit=split.fit,
                validation=split.validation,
                test=split.test[: len(split.test) // 2],
                learned=learned,
                held_out=held_out,
                score=score if seed else held_out,
            )
        )
    return found


def store(folder: Path, *, policy: str = "rate:5") -> Path:
    rows, labels = history()
    admitted = admit_history(rows, SCHEMA, break_is_stop=True)
    folds = folds_of(rows, labels)
    any_history = ScoredHistory(rows, folds[0].score, admitted=admitted, schema=SCHEMA, break_is_stop=True)
    packed = pack_policy_file(
        any_history, labels, folds, data="mill.csv", policy=policy, alert=AlertPolicy(), scores=SCORES
    )
    path = folder / "scores.csv"
    path.write_bytes(SCORES)
    (folder / f"scores.csv{SUFFIX}").write_bytes(packed)
    return path


@pytest.mark.parametrize(
    ("policy", "alert"),
    [
        *((policy, AlertPolicy()) for policy in (*POLICIES, "rate:5/grade", "quantile:.9/grade")),
        ("rate:5", AlertPolicy(open_after=2, rearm_rows=20, grade_change_rows=4)),
        ("trailing:.95", AlertPolicy(close_ratio=0.8, restart_rows=3)),
    ],
)
def test_a_policy_gives_what_it_gives_where_nothing_was_stored(tmp_path: Path, policy: str, alert: AlertPolicy) -> None:
    """As `train` and `backtest` do it: the same evidence, the same results of the engine's last stage, counted."""
    rows, labels = history()
    admitted = admit_history(rows, SCHEMA, break_is_stop=True)
    judged, chosen = [], []
    for fold in folds_of(rows, labels):
        known, scored = (
            ScoredHistory(rows, score, admitted=admitted, schema=SCHEMA, break_is_stop=True)
            for score in (fold.held_out, fold.score)
        )
        past = np.union1d(fold.fit[~np.isnan(fold.held_out[fold.fit])], fold.validation)
        evidence = gather_evidence(labels, known, alert, fit=fold.learned, validation=fold.validation, past=past)
        chosen.append(parse_policy(policy)(evidence))
        results = scored.results(chosen[-1], alert, contributions=np.zeros((len(rows), 2)))
        judged.append(score_rows(rows, labels, results, SCHEMA).of_file_rows(fold.test))
    found = replay_policy(read_policy_file(store(tmp_path, policy=policy)), policy, alert)
    assert found.thresholds == chosen
    assert found.deployed == judge_deployed(joined(judged))
    assert found.deployed.alerts


def test_scores_held_out_for_levels_of_grades_tell_of_no_other_policy_and_the_other_way_round(tmp_path: Path) -> None:
    for policy, asked in (("rate:5/grade", "rate:5"), ("rate:5", "rate:5/grade")):
        stored = read_policy_file(store(tmp_path, policy=policy))
        with pytest.raises(DataError, match="run the backtest with"):
            replay_policy(stored, asked, AlertPolicy())


def test_what_is_missing_changed_or_damaged_is_told_with_a_remedy(tmp_path: Path) -> None:
    path = store(tmp_path)
    beside = tmp_path / f"scores.csv{SUFFIX}"
    whole = beside.read_bytes()
    for content in (whole[:-50], b"", b"PK", whole[:200] + b"\0" * 40 + whole[240:]):
        beside.write_bytes(content)
        with pytest.raises(DataError, match=r"is damaged .*backtest --scores again"):
            main([str(path)])
    beside.write_bytes(whole)
    path.write_bytes(SCORES + b"1,2\n")
    with pytest.raises(DataError, match=r"is not of this scores\.csv"):
        main([str(path)])
    beside.unlink()
    with pytest.raises(DataError, match="lies beside the scores"):
        main([str(path)])
    with pytest.raises(DataError, match="neither a scores file nor one of the 0 models"):
        main(["absent"])


def test_costs_move_what_it_is_worth_and_a_sweep_names_the_best_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(store(tmp_path))

    def figures(*options: str) -> dict:
        assert main([path, "--json", *options]) == 0
        found: dict = json.loads(capsys.readouterr().out)
        return found

    usual, dear = figures(), figures("--break-cost", "50000", "--alarm-cost", "1")
    assert usual["deployed"] == dear["deployed"]
    warned, alarms = usual["deployed"]["horizons"][-1]["warned"], usual["deployed"]["alerts"]
    assert usual["worth"] == [-150 * alarms, 10_000 * warned - 150 * alarms]
    assert dear["worth"] == [-alarms, 50_000 * warned - alarms]
    assert f"{warned} of {usual['breaks']} breaks warned of" in usual["verdict"]
    free = figures("--alarm-cost", "0")
    assert free["worth"] == [0, 10_000 * warned]
    assert main([path]) == 0
    text = capsys.readouterr().out
    assert f"It would have cost {150 * alarms:,} {alarms} alarms at 150 each" in " ".join(text.split())
    assert main([path, "--threshold", "mean-std:99"]) == 0  # no alarm
    assert " - min" not in capsys.readouterr().out
    assert main([path, "--sweep"]) == 0
    lines = capsys.readouterr().out.splitlines()
    nets = {line.split()[0]: line.split()[4] for line in lines if line.strip()[:1].isdigit() and len(line.split()) > 4}
    assert list(nets) == ["1", "2", "3", "4", "5", "7", "10", "15", "20"]
    assert nets["5"] == f"{usual['net_value']:+,.0f}".replace("-", "\N{MINUS SIGN}")
    assert any(line.startswith(("Best at rate:", "At no rate")) for line in lines)


def test_a_model_is_asked_by_its_version_and_answers_as_its_training_and_as_another_one_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    mill = str(write_csv(tmp_path / "mill.csv", mill_like(1200)))
    versions, deployed = [], []
    for models, options in (("a", []), ("b", ["--threshold", "quantile:.9", "--alert", "open_after=2"])):
        schema = ["--schema", str(tmp_path / "plant.toml"), "--family", "pca", "--models", models]
        assert train([mill, *schema, *options, "--json"]) == 0
        manifest = json.loads(capsys.readouterr().out)
        versions.append(manifest["version"])
        deployed.append(manifest["metrics"]["test"]["deployed"])

    def asked(*options: str) -> dict:
        assert main([versions[0], "--models", "a", "--json", *options]) == 0
        found: dict = json.loads(capsys.readouterr().out)["deployed"]
        return found

    assert asked() == deployed[0]
    assert asked("--threshold", "quantile:.9", "--alert", "open_after=2") == deployed[1]
    assert run(main, [versions[0], "--models", "a", "--threshold", "trailing:2"]) == 2
    spoiled = Path("a") / versions[0] / f"evaluation/scores.csv{SUFFIX}"
    spoiled.write_bytes(spoiled.read_bytes() + b"x")
    with pytest.raises(DataError, match="was altered after training"):
        asked()
