"""Completion, help and log levels: what every command has because all are made alike."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from sheetbreak.cli.commands import COMMANDS, command, dispatch
from sheetbreak.cli.completion import SHELLS
from sheetbreak.cli.logs import log_to_stderr
from sheetbreak.cli.options import OptionParser, parser_of
from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.options import parse_address
from sheetbreak.streams.open import open_actions, scheme_of


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_its_parser_and_takes_a_log_level(name: str) -> None:
    parser = parser_of(command(name))
    assert parser.prog == f"sheetbreak {name}"
    assert "--log-level" in parser.format_help()


def test_a_shell_completes_commands_their_options_and_what_these_take(tmp_path: Path) -> None:
    scripts = {}
    for shell in SHELLS:
        done = subprocess.run(
            [sys.executable, "-m", "sheetbreak", "completion", shell], check=True, capture_output=True, text=True
        )
        scripts[shell] = done.stdout
        for word in (*COMMANDS, "metrics-port", "promote"):
            assert word in done.stdout, (shell, word)
    script = tmp_path / "completion.bash"
    script.write_text(scripts["bash"])
    ask = f"""
        source {script}
        complete_line() {{
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            local name=$(complete -p sheetbreak | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
            $name sheetbreak "${{COMP_WORDS[-1]}}" "${{COMP_WORDS[-2]}}"
            echo "${{COMPREPLY[@]}}"
        }}
        complete_line sheetbreak tra
        complete_line sheetbreak train --pres
        complete_line sheetbreak train --promote alw
    """
    done = subprocess.run(["bash", "-c", ask], check=True, capture_output=True, text=True)
    assert [line.split() for line in done.stdout.splitlines()] == [["train"], ["--preset"], ["always"]]


def test_help_of_a_command_is_what_its_own_flag_shows(capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for argv in (["help", "topics"], ["--help", "topics"], ["topics", "--help"]):
        with pytest.raises(SystemExit) as ended:
            dispatch(argv)
        assert ended.value.code == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] == shown[2]
    assert "sheetbreak topics" in shown[0]
    with pytest.raises(DataError, match="there is no command 'trian'; did you mean 'train'"):
        dispatch(["help", "trian"])


def test_a_log_level_holds_from_the_moment_at_which_it_is_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr("sheetbreak.cli.logs._asked", [])
    before = root.handlers[:], root.level
    try:
        root.handlers[:] = []
        parser = OptionParser("sheetbreak example")
        assert parser.parse_args([]).log_level is None
        assert not root.handlers
        parser.parse_args(["--log-level", "warning"])
        log_to_stderr("text")
        logging.getLogger("x").info("event=unseen")
        logging.getLogger("x").warning("event=seen")
        monkeypatch.setenv("SHEETBREAK_LOG_LEVEL", "debug")
        parser.parse_args([])
        logging.getLogger("x").debug("event=small")
    finally:
        root.handlers[:], root.level = before
    shown = capsys.readouterr().err
    assert "unseen" not in shown
    assert "level=WARNING event=seen" in shown
    assert "level=DEBUG event=small" in shown
    with pytest.raises(DataError, match="invalid choice: 'loud'"):
        parser.parse_args(["--log-level", "loud"])


def test_a_brokers_address_without_its_scheme_is_answered_by_the_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for text, meant in (("localhost:9092", "/sensor-rows"), ("mill-3.plant:19092/rows", "")):
        with pytest.raises(DataError, match=rf"did you mean kafka://{text}{meant}\?"):
            scheme_of(text)
        with pytest.raises(DataError, match=rf"did you mean kafka://{text}\?"):
            parse_address(text)
        with pytest.raises(DataError, match=rf"did you mean kafka://{text}\?"):
            open_actions(text)
    Path("shift:2").write_text("")
    Path("shift:12").write_text("")
    for name in ("shift:2", "shift:12", "rows.csv", "-"):
        assert scheme_of(name).examples
