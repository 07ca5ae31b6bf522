"""What commands print on a terminal of 80 columns: nothing is wider, and off a terminal nothing is cut."""

import json
from pathlib import Path

import pytest

from sheetbreak.cli import alerts
from sheetbreak.cli.commands import COMMANDS, command
from sheetbreak.cli.demo.main import OTHER_SEEDS
from sheetbreak.cli.machines import table_of
from sheetbreak.cli.options import OptionParser
from sheetbreak.streams.kafka.admin.machines import Found
from sheetbreak.wire.summary import Summary
from tests.support.models.mill import START_US
from tests.support.programs.desk_rig import alert

MACHINES = [
    Found("pm1", 0, Summary(START_US, "quiet", "96"), ()),
    Found("wet-end-of-paper-machine-number-7-of-the-northern-mill", 13, Summary(START_US, "warming up", "g" * 60), ()),
    Found("pm9", 2, None, ()),
]


def test_machines_with_long_names_fit_a_terminal_and_are_whole_off_it() -> None:
    shown = table_of(MACHINES, width=80)
    assert max(map(len, shown)) <= 80
    assert shown[2].startswith("wet-end-of-…thern-mill  ")
    assert len({line.index(word) for line, word in zip(shown, ("last row", "1999", "1999", "- "), strict=True)}) == 1
    whole = table_of(MACHINES, width=None)
    assert MACHINES[1].machine in whole[2]
    assert "g" * 60 in whole[2]
    assert [line.split()[0] for line in table_of([], width=None)] == ["machine"]


def test_an_alert_is_one_line_off_a_terminal_and_goes_on_below_on_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "pm1: the sheet may break soon: " + "look at x17 too, " * 8
    source = tmp_path / "alerts.ndjson"
    source.write_bytes(alert(1, message=message) + b"\n" + alert(2, "closed", opened=1, message="pm1: normal.") + b"\n")
    monkeypatch.delenv("COLUMNS", raising=False)
    assert alerts.main([str(source)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    monkeypatch.setenv("COLUMNS", "80")
    assert alerts.main([str(source)]) == 0
    narrow = capsys.readouterr().out.splitlines()
    assert max(map(len, narrow)) <= 80
    assert [line for line in narrow if not line.startswith("    ")] == [narrow[0], lines[1]]
    assert " ".join(" ".join(narrow).split()) == " ".join(" ".join(lines).split())
    assert json.loads(source.read_bytes().splitlines()[0])["message"] == message


@pytest.mark.parametrize("name", COMMANDS)
def test_what_help_says_fits_a_terminal(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        command(name)(["--help"])
    told = capsys.readouterr().out.partition("\nexample:")[0]
    assert max(map(len, told.splitlines())) <= 80


def test_help_is_as_wide_as_the_terminal_but_breaks_no_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = "Reads a file and\nwrites what is in it to another.\n\n  stuck  the same value again and again, in all rows"
    command_line = "sheetbreak try --models elsewhere --seed 3 --verbose"
    shown = OptionParser("try", text, example=command_line).format_help()
    assert (
        "Reads a file and writes what is in it\nto another.\n\n  stuck  the same value again and\n         again, "
        in shown
    )
    assert f"\n  {command_line}\n" in shown


def test_what_the_demo_says_of_other_seeds_fits_a_terminal() -> None:
    assert max(map(len, OTHER_SEEDS.splitlines())) <= 80
