"""`sheetbreak models`, on real artifacts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sheetbreak.artifact import current_version, list_versions
from sheetbreak.artifact.promotion import read_decisions, record
from sheetbreak.cli.models import _HEADINGS, _table, main
from sheetbreak.errors import ArtifactError, DataError
from tests.support.models.mill import save_model

NOW = datetime(2026, 5, 1, 10, 15, tzinfo=UTC)


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three models in ./models, a minute apart; the last one is current. What is printed goes to no terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)
    return [save_model(tmp_path / "models", now=NOW + timedelta(minutes=i)).version for i in range(3)]


def test_the_list_marks_the_current_one(versions: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line[2:].split()[0] for line in lines] == versions
    assert [line[0] for line in lines] == [" ", " ", "*"]


def test_use_rolls_back(versions: list[str]) -> None:
    assert main(["use", versions[0]]) == 0
    assert current_version(Path("models")) == versions[0]


def test_promote_says_who_did_it_and_the_list_says_what_each_model_is(
    versions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    why = "no better than chance on the later rows"
    record(Path("models"), versions[0], decision="candidate", by="if-better", current=versions[-1], why=why)
    assert main(["promote", versions[1]]) == 0
    assert current_version(Path("models")) == versions[1]
    capsys.readouterr()
    assert main([]) == 0
    table, reasons = capsys.readouterr().out.split("\n\n")
    assert [line.split()[-7] for line in table.splitlines()[1:]] == ["candidate", "current", "former"]
    assert f"{versions[0]}  candidate " in reasons
    assert why in reasons
    assert f"{versions[1]}  promoted " in reasons
    assert "(models promote): by hand" in reasons


def test_on_a_terminal_of_80_columns_no_line_is_longer(
    versions: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record(
        Path("models"), versions[0], decision="candidate", by="if-better", current=versions[-1], why="so it is " * 30
    )
    assert main([]) == 0
    wide = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "80")
    assert main([]) == 0
    narrow = capsys.readouterr().out
    assert max(map(len, wide.splitlines())) > 80
    assert max(map(len, narrow.splitlines())) <= 80
    assert narrow.split() == wide.split()


def test_long_words_stand_apart_and_only_the_datas_name_is_cut() -> None:
    long = ("* 20260501T101500Z-3f9c", "candidate", "article", "variational", "trailing", "61", "0.71", "a" * 40)
    short = ("  20260501T101600Z-77ab", "former", "rows", "pca", "rate:5", "6", "-", "mill.csv")
    listed = [_HEADINGS, long, short]
    assert [line.split() for line in _table(listed, None)] == [" ".join(cells).split() for cells in listed]
    assert _table(listed, 90)[1].endswith(" 0.71 " + "a" * 12 + "…")
    for columns in (80, 90, 100):
        assert max(map(len, _table(listed, columns))) <= columns
    assert _table(listed, 80)[1].endswith(" variational trailing       61 0.71")


def test_a_model_of_another_schema_becomes_current_with_a_warning(
    versions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = save_model(Path("models"), sensors=("x1", "x2", "noise"), now=NOW + timedelta(minutes=9)).version
    assert main(["use", versions[0]]) == 0
    assert "sensors without noise and with x3, x4, x5, x6" in capsys.readouterr().err
    assert main(["promote", other]) == 0
    assert "a running monitor must be restarted" in capsys.readouterr().err
    assert "with noise" in read_decisions(Path("models"))[-1].why


def test_a_card_says_what_is_known_and_a_dash_where_nothing_is(
    versions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", versions[0]]) == 0
    card = capsys.readouterr().out
    assert card.startswith(f"# Model {versions[0]}\n")
    assert [line for line in card.splitlines() if line.startswith("## ")] == [
        "## What it would have cost and saved",
        "## Data",
        "## Model",
        "## Held-out rows",
        "## Odds of a warning",
        "## Promotion",
        "## Known limits",
    ]
    assert "Sensors: 6 (x1, x2, x3, x4, x5, x6)" in card
    assert "No decision was written down." in card
    assert "Not known: it was not judged on a stretch of time, or an older version made it" in card
    with pytest.raises(ArtifactError, match="lists those it holds"):
        main(["show", "absent"])


def test_a_journal_line_that_was_cut_short_costs_itself_alone(versions: list[str]) -> None:
    main(["use", versions[0]])
    with Path("models/promotions.ndjson").open("ab") as journal:
        journal.write(b'{"time":"2026')
    main(["use", versions[1]])
    assert [one.version for one in read_decisions(Path("models"))] == versions[:2]


@pytest.mark.parametrize("name", ["20990101T000000Z-0000", "../models", ".", "current"])
def test_use_refuses_what_is_no_version(versions: list[str], name: str) -> None:
    for action in ("use", "promote", "show", "verify"):
        with pytest.raises(ArtifactError, match=r"models holds no model .*; sheetbreak models lists"):
            main([action, name])
    assert current_version(Path("models")) == versions[-1]


def test_a_model_that_was_altered_does_not_become_current(versions: list[str]) -> None:
    (Path("models") / versions[0] / "model.onnx").write_bytes(b"something else")
    with pytest.raises(ArtifactError, match="altered"):
        main(["use", versions[0]])
    assert current_version(Path("models")) == versions[-1]


def test_verify_names_the_bad_one_checks_the_rest_and_ends_with_2(
    versions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify"]) == 0
    capsys.readouterr()
    golden = Path("models") / versions[1] / "golden.npz"
    golden.write_bytes(golden.read_bytes()[:-1])
    assert main(["verify"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["ok", "BAD", "ok"]
    assert main(["verify", versions[0]]) == 0


def test_a_damaged_model_is_listed_as_unusable(versions: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (Path("models") / versions[0] / "manifest.json").write_text("{")
    assert main([]) == 0
    assert "unusable" in capsys.readouterr().out.splitlines()[1]


def test_prune_keeps_the_newest_and_the_current_one(versions: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(["use", versions[0]])
    capsys.readouterr()
    assert main(["prune", "--keep", "1"]) == 0
    assert capsys.readouterr().out == f"removed {versions[1]}\n"
    assert list_versions(Path("models")) == [versions[0], versions[2]]


def test_a_copy_that_made_a_folder_of_the_link_says_what_is_wrong(versions: list[str]) -> None:
    """`cp -rL` and some archives do; a directory that cannot be written takes the same way."""
    Path("models/current").unlink()
    Path("models/current").mkdir()
    with pytest.raises(ArtifactError, match=r"models: .*directory"):
        main(["use", versions[0]])
    with pytest.raises(ArtifactError, match="holds no current model"):
        main(["prune"])


def test_prune_does_not_take_zero(versions: list[str]) -> None:
    with pytest.raises(DataError):
        main(["prune", "--keep", "0"])
    assert list_versions(Path("models")) == versions


def test_another_directory_can_be_named_before_and_after_the_action(versions: list[str], tmp_path: Path) -> None:
    other = save_model(tmp_path / "other", now=NOW).version
    assert main(["--models", "other", "verify", other]) == 0
    assert main(["verify", "--models", "other", other]) == 0
    assert other == current_version(tmp_path / "other")
    assert versions[-1] == current_version(tmp_path / "models")


@pytest.mark.parametrize("arguments", [[], ["verify"]])
def test_a_directory_without_models_says_what_to_do(arguments: list[str]) -> None:
    with pytest.raises(ArtifactError, match="sheetbreak train"):
        main(arguments)
