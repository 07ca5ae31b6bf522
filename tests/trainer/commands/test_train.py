"""Promises of `sheetbreak train`: the artifact of the contract, scores that the monitor repeats, errors that help."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from sheetbreak.artifact import load
from sheetbreak.cli.commands import run
from sheetbreak.cli.model_card import read_card
from sheetbreak.engine.advance import advance
from sheetbreak.errors import DataError
from sheetbreak.history.reader import read_csv
from sheetbreak.history.schema_file import load_schema
from sheetbreak.rows import BROKEN
from sheetbreak.times import format_time
from tests.support.data.histories import SCHEMA_TOML, mill_like, write_csv
from trainer.commands.train import main
from trainer.families import FAMILIES
from trainer.training.presets import PRESETS
from trainer.training.threshold_policies import POLICIES

COLUMNS = ["row", "time", "machine", "split", "score", "threshold", "over", "will_break", "broken"]
ROWS = mill_like(900, machines=("a", "b"))


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mill")
    (folder / "plant.toml").write_text(SCHEMA_TOML.format(lead_rows=2))
    (folder / "rows.toml").write_text(SCHEMA_TOML.format(lead_rows=0))
    return write_csv(folder / "mill.csv", ROWS)


def train(mill: Path, *arguments: object, schema: str = "plant.toml") -> int:
    return main([str(mill), "--schema", str(mill.parent / schema), *map(str, arguments)])


def scores_of(models: Path) -> list[dict[str, str]]:
    with (models / "current" / "evaluation" / "scores.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == COLUMNS
        return list(reader)


def manifest_of(models: Path) -> dict:
    found: dict = json.loads((models / "current" / "manifest.json").read_bytes())
    return found


def check_against_the_monitor(mill: Path, models: Path, held: list[dict[str, str]]) -> None:
    """Feed the file to the engine from a cold start, as the monitor does, and compare every held-out row."""
    model = load(models)
    _, rows = read_csv(mill, sensors_from=model.manifest.schema)
    _, results = advance({}, rows, model)
    for line in held:
        row = int(line["row"])
        assert line["time"] == format_time(int(rows.times_us[row]))
        assert line["machine"] == rows.machines[row]
        assert line["broken"] == str(int(rows.broken[row] == BROKEN))
        if np.isnan(results.score[row]):
            assert (line["score"], line["threshold"], line["over"]) == ("", "", "0")
        else:
            assert float(line["score"]) == results.score[row]
            assert float(line["threshold"]) == results.threshold[row]
            assert line["over"] == str(int(results.over[row]))


def test_the_artifact_holds_what_the_contract_names_and_the_monitor_repeats_its_scores(
    mill: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(mill) == 0
    models = Path("models")
    directory = (models / "current").resolve()
    files = {str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()}
    assert files == {
        "manifest.json", "model.onnx", "model.keras", "golden.npz",
        "evaluation/scores.csv", "evaluation/roc.csv", "evaluation/epochs.csv", "evaluation/scores.csv.policy.npz",
    }  # fmt: skip
    held = scores_of(models)
    assert [line["row"] for line in held] == [str(row) for row in range(1080, 1800)]
    assert [line["split"] for line in held] == ["validation"] * 360 + ["test"] * 360
    assert sum(line["will_break"] == "1" for line in held) == 24
    check_against_the_monitor(mill, models, held)
    out, err = capsys.readouterr()
    assert "test rows, not looked at before: 354 rows" in out
    assert f"Model {directory.name} (dense, preset default, threshold rate:5) is current" in out
    assert "epoch 30/30" in err


def test_test_rows_that_were_trained_on_are_told(mill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(mill, "--until", 1500, "--test", mill, "--family", "pca") == 0
    assert f"warning: 1,500 rows of {mill} are in {mill.name} too" in capsys.readouterr().err
    assert train(mill, "--until", 1500, "--family", "pca") == 0
    assert "warning" not in capsys.readouterr().err


def test_the_manifest_says_where_the_model_comes_from(mill: Path) -> None:
    assert train(mill, "--seed", 4, "--until", 1500, "--split", "50/30/20", "--family", "pca") == 0
    manifest = manifest_of(Path("models"))
    training = manifest["training"]
    assert training["data"] == "mill.csv"
    assert training["data_sha256"] == hashlib.sha256(mill.read_bytes()).hexdigest()
    assert (training["rows"], training["until"], training["seed"], training["split"]) == (1500, 1500, 4, "50/30/20")
    assert (training["fit_rows"], training["validation_rows"], training["test_rows"]) == (750, 450, 300)
    assert (manifest["family"], manifest["preset"]) == ("pca", "default")
    assert {"keras", "onnx", "numpy", "python", "scikit-learn"} < set(manifest["libraries"])
    test = manifest["metrics"]["test"]
    cost = f"{150 * test['deployed']['alerts']:,}"
    assert test["worth"]["account"][0][:2] == ["It would have cost", cost]
    card = read_card(Path("models"), manifest["version"])
    assert "## What it would have cost and saved\n\nOver " in card
    assert f"operating days of test rows:\n\n- It would have cost: **{cost}**, " in card
    for part, rows in (("validation", 450), ("test", 300)):
        metrics = manifest["metrics"][part]
        assert metrics["rows"] + metrics["breaks"] == rows
        assert 0 <= metrics["roc_auc"] <= 1
        confusion = metrics["confusion"]
        counts = ("true_negatives", "false_positives", "false_negatives", "true_positives")
        assert sum(confusion[name] for name in counts) == metrics["rows"]


def test_rows_from_until_on_are_as_if_they_were_not_in_the_file(mill: Path, tmp_path: Path) -> None:
    head = tmp_path / "head.csv"
    head.write_bytes(b"".join(mill.read_bytes().splitlines(keepends=True)[:1201]))
    assert train(mill, "--until", 1200, "--models", "until") == 0
    assert main([str(head), "--schema", str(mill.parent / "plant.toml"), "--models", "head"]) == 0
    whole, cut = (Path(name) / "current" for name in ("until", "head"))
    for name in ("evaluation/scores.csv", "model.onnx"):
        assert (whole / name).read_bytes() == (cut / name).read_bytes()


def test_a_test_file_is_numbered_on_its_own_and_the_last_fifth_of_the_history_validates(
    mill: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = write_csv(tmp_path / "later.csv", mill_like(300, seed=6))
    assert train(mill, "--test", later, "--preset", "rows") == 0
    assert "(always saying no: ." in capsys.readouterr().out
    held = scores_of(Path("models"))
    validation, test = ([line for line in held if line["split"] == part] for part in ("validation", "test"))
    assert [line["row"] for line in validation] == [str(row) for row in range(1440, 1800)]
    assert [line["row"] for line in test] == [str(row) for row in range(300)]
    check_against_the_monitor(mill, Path("models"), validation)
    check_against_the_monitor(later, Path("models"), test)
    training = manifest_of(Path("models"))["training"]
    assert (training["test_data"], training["split"]) == ("later.csv", "80/20 and later.csv")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_trains_on_a_plant_of_its_own(mill: Path, preset: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(mill, "--preset", preset) == 0
    check_against_the_monitor(mill, Path("models"), scores_of(Path("models")))
    logs = [p for p in Path("models/tensorboard").rglob("*") if p.is_file()]
    assert bool(logs) == (preset == "article")
    assert ("always saying no" in capsys.readouterr().out) == (preset == "article")


def test_the_article_scores_every_row_that_is_no_break_without_a_warm_up(mill: Path) -> None:
    assert train(mill, "--preset", "article") == 0
    held = scores_of(Path("models"))
    judged = int((ROWS.broken != BROKEN).sum())
    assert len(held) == judged - len(range(int(0.64 * judged)))
    assert all(line["score"] for line in held)
    assert {line["broken"] for line in held} == {"0"}
    test = manifest_of(Path("models"))["metrics"]["test"]
    assert (test["recall"], test["deployed"]) == ([], None), "rows at random are no stretch of time"


def test_rows_that_are_anomalous_themselves_are_scored_and_counted(
    mill: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(mill, "--preset", "rows", "--threshold", "pr-curve", schema="rows.toml") == 0
    held = scores_of(Path("models"))
    assert all(line["score"] for line in held)
    assert all(line["will_break"] == line["broken"] for line in held)
    assert "anomalous  " in capsys.readouterr().out


@pytest.fixture
def beats(tmp_path: Path) -> Path:
    """One series a row: normal.csv without labels, test.csv with, and their schema; no time column."""
    draw = np.random.default_rng(2)
    shape = np.sin(np.linspace(0, 6, 30))
    series = shape * draw.normal(1, 0.1, (600, 1)) + draw.normal(0, 0.05, (600, 30))
    odd = np.isin(np.arange(200), draw.choice(200, 30, replace=False))
    series[400:][odd, 10:20] += draw.normal(0, 0.3, (30, 10))
    names = ",".join(f"t{i}" for i in range(30))
    lines = [",".join(f"{value:.4f}" for value in row) for row in series]
    (tmp_path / "normal.csv").write_text("\n".join([names, *lines[:400], ""]))
    labelled = [f"{line},{'1.0' if broken else '0.0'}" for line, broken in zip(lines[400:], odd, strict=True)]
    (tmp_path / "test.csv").write_text("\n".join([f"{names},odd", *labelled, ""]))
    (tmp_path / "beats.toml").write_text('[columns]\nbroken = "odd"\n[sampling]\nperiod_s = 1\nlead_rows = 0\n')
    return tmp_path


def train_beats(folder: Path, *, normal: str = "normal.csv", test: str = "test.csv") -> int:
    options = ["--schema", str(folder / "beats.toml"), "--preset", "rows", "--family", "pca"]
    return main([str(folder / normal), *options, "--test", str(folder / test)])


def test_one_series_a_row_is_learnt_from_normal_ones_and_judged_on_a_file_of_both(
    beats: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_beats(beats) == 0
    said = capsys.readouterr()
    assert "warning" not in said.err
    held = [line for line in scores_of(Path("models")) if line["split"] == "test"]
    check_against_the_monitor(beats / "test.csv", Path("models"), held)
    label, over = ([int(line[name]) for line in held] for name in ("broken", "over"))
    score = [float(line["score"]) for line in held]
    metrics = manifest_of(Path("models"))["metrics"]["test"]
    assert metrics["roc_auc"] == pytest.approx(roc_auc_score(label, score))
    assert metrics["average_precision"] == pytest.approx(average_precision_score(label, score))
    assert metrics["confusion"]["f1"] == pytest.approx(f1_score(label, over))
    assert metrics["confusion"]["accuracy"] == pytest.approx(accuracy_score(label, over))
    found = metrics["deployed"]["horizons"]
    assert len({(one["warned"], one["false_alarms"]) for one in found}) == 1
    assert "30 of them anomalous" in said.out
    assert f"{found[0]['warned']} of {metrics['breaks']} stretches of anomalous rows found" in said.out
    assert f"(always saying no: {170 / 200:.3f})".replace("0.", ".") in said.out
    assert "ahead" not in said.out
    assert "a day" not in said.out


def test_a_test_file_needs_the_labels_that_a_file_of_normal_rows_may_lack(beats: Path) -> None:
    with pytest.raises(DataError, match=r'normal.csv line 1: column "odd" is missing; rows to judge on need'):
        train_beats(beats, test="normal.csv")
    with pytest.raises(DataError, match=r'normal.csv line 1: column "odd" is missing'):
        main([str(beats / "normal.csv"), "--schema", str(beats / "beats.toml"), "--preset", "rows"])


def test_labels_the_other_way_round_are_told(beats: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, *lines = (beats / "test.csv").read_text().splitlines()
    swapped = [line[:-3] + ("0.0" if line.endswith("1.0") else "1.0") for line in lines]
    (beats / "swapped.csv").write_text("\n".join([head, *swapped, ""]))
    assert train_beats(beats, test="swapped.csv") == 0
    said = capsys.readouterr()
    warning = "170 of 200 rows are labelled 1, broken or anomalous; if 1 means normal here, swap 0 and 1"
    assert f"warning: {beats / 'swapped.csv'}: {warning}" in said.err


def test_numbered_rows_that_were_trained_on_are_told_whatever_their_number(
    beats: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *lines = (beats / "test.csv").read_text().splitlines()
    known = (beats / "normal.csv").read_text().splitlines()[300]
    (beats / "test.csv").write_text("\n".join([head, *lines, f"{known},0", ""]))
    assert train_beats(beats) == 0
    assert "warning: 1 rows of" in capsys.readouterr().err


def test_json_is_the_manifest_and_nothing_else(mill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(mill, "--json", "--family", "pca") == 0
    assert json.loads(capsys.readouterr().out) == manifest_of(Path("models"))


def test_the_same_seed_gives_the_same_scores_and_graph(mill: Path) -> None:
    for models in ("one", "two"):
        assert train(mill, "--seed", 3, "--models", models) == 0
    for name in ("evaluation/scores.csv", "evaluation/roc.csv", "evaluation/epochs.csv", "model.onnx"):
        assert (Path("one/current") / name).read_bytes() == (Path("two/current") / name).read_bytes()


def test_what_operators_said_is_kept_from_the_fit_and_counted(mill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = format_time(int(ROWS.times_us[0]))
    end = format_time(int(ROWS.times_us[0]) + 40 * 120_000_000)
    said = f"machine,kind,from,until,sensor,verdict\na,verdict,{first},{end},,true\na,mask,{first},{end},s1,\n"
    last = format_time(int(ROWS.times_us[-1]))
    said += f"a,verdict,{end},{last},,false\n"  # of all that came later
    Path("labels.csv").write_text(said)
    given = ("--family", "pca", "--labels", "labels.csv", "--report", "report.html")
    assert train(mill, *given, "--models", "said") == 0
    counted = manifest_of(Path("said"))["training"]["labels"]
    assert counted["true_alarms"] == 1
    assert 0 < counted["rows_left_out"] == counted["masked_cells"] <= 40
    told = f"labels.csv: {counted['masked_cells']} cells of 1 masked sensor count as missing, "
    out = " ".join(capsys.readouterr().out.split())
    assert told + f"{counted['rows_left_out']} rows under 1 true alarm are left out" in out
    assert "of the alarms so far, operators called 1 of 2 that they judged true (precision 0.50)" in out
    alarms = list(csv.DictReader(Path("report.alarms.csv").read_text().splitlines()))
    assert alarms
    assert {alarm["verdict"] for alarm in alarms if alarm["machine"] == "a"} <= {"false"}
    judged = sum(alarm["verdict"] == "false" for alarm in alarms)
    assert f"operators called 0 of {judged} that they judged true" in Path("report.html").read_text()
    assert "operators said" in Path("report.html").read_text()
    with pytest.raises(DataError, match=r"--labels none\.csv: No such file"):
        train(mill, "--labels", "none.csv")


def test_without_rows_to_test_the_validation_rows_are_shown_and_the_reader_is_told(
    mill: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(mill, "--split", "80/20/0", "--family", "pca") == 0
    out = capsys.readouterr().out
    assert "validation rows, which chose epoch and threshold" in out
    assert "these figures flatter" in out
    assert {line["split"] for line in scores_of(Path("models"))} == {"validation"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "60/40"], "60/20/20"),
        (["--split", "60/20/20", "--test", "mill.csv"], "exclude each other"),
        (["--preset", "article", "--split", "60/20/20"], "leave --split out"),
        (["--until", "1801"], "mill.csv has 1800 rows"),
        (["--until", "0"], "--until"),
        (["--preset", "fast"], "default, article, rows"),
        (["--family", "cnn"], "the families are dense, denoising"),
        (["--threshold", "best"], "the policies are"),
        (["--seed", "-1"], "--seed"),
        (["--test", "absent.csv"], "absent.csv"),
    ],
)
def test_a_bad_option_changes_nothing_on_disk(mill: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        train(mill, *arguments)
    assert not Path("models").exists()


def test_models_that_is_a_file_is_refused_before_training(mill: Path) -> None:
    Path("models").write_text("")
    with pytest.raises(DataError, match="models is not a directory"):
        train(mill)


def test_a_training_that_fails_leaves_the_model_before_it_current(mill: Path) -> None:
    assert train(mill, "--family", "pca") == 0
    before = Path("models/current").readlink()
    arguments = [str(mill), "--schema", str(mill.parent / "plant.toml"), "--until", "150"]
    assert run(main, arguments) == 2
    assert Path("models/current").readlink() == before
    assert load(Path("models")).version == before.name


def test_help_names_every_preset_family_and_policy(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for name in (*PRESETS, *FAMILIES, *POLICIES):
        assert name in text
    assert "SHEETBREAK_MODELS" in text


def test_a_plant_without_a_label_column_is_trained_on(mill: Path, tmp_path: Path) -> None:
    plant = tmp_path / "plant.toml"
    plant.write_text('[columns]\ntime = "time"\nmachine = "machine"\nignore = ["broken"]\n')
    assert main([str(mill), "--schema", str(plant)]) == 0
    assert manifest_of(Path("models"))["metrics"]["test"]["roc_auc"] is None
    check = load_schema(plant)
    assert check.broken is None
