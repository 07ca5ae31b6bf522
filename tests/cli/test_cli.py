"""The console script: its table, its options, and the exit codes of the contract."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sheetbreak.bounds import Positive
from sheetbreak.cli.commands import COMMANDS, Command, command, dispatch, imported, run
from sheetbreak.cli.options import OptionParser, whole_number
from sheetbreak.errors import ArtifactError, DataError, StreamFenced, StreamUnavailable
from tests.support.running.patience import PATIENCE_S


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_its_options_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        command(name)(["--help"])
    shown = capsys.readouterr().out
    assert exit_.value.code == 0
    assert f"usage: sheetbreak {name}" in shown
    assert "example" in shown
    assert f"sheetbreak {name}" in shown.partition("example")[2]


@pytest.mark.parametrize(
    ("package", "name"), [("trainer", "train"), ("monitor", "monitor"), ("replay", "replay"), ("desk", "desk")]
)
def test_a_program_can_be_called_by_its_package(package: str, name: str) -> None:
    done = _python("-m", package, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: sheetbreak {name}" in done.stdout


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(dispatch, ["--help"]) == 0
    shown = capsys.readouterr()
    assert all(f"\n  {name}  " in shown.out for name in COMMANDS)
    assert max(map(len, shown.out.splitlines())) <= 80
    assert run(dispatch, []) == 2
    assert capsys.readouterr() == ("", shown.out)


def test_the_console_script_tells_its_version() -> None:
    done = _python("-m", "sheetbreak", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sheetbreak ")


def test_an_unknown_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(dispatch, ["trian", "mill.csv"]) == 2
    assert capsys.readouterr().err == "error: there is no command 'trian'; did you mean 'train'?\n"
    assert run(dispatch, ["42"]) == 2
    assert "the commands are demo, simulate, " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (DataError("rows.csv line 3: no"), 2),
        (ArtifactError("models: no"), 2),
        (StreamUnavailable("localhost:9092: no"), 2),
        (StreamFenced("another instance: no"), 3),
    ],
)
def test_what_the_user_must_change_is_one_line(
    raised: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(_raising(raised), []) == code
    assert capsys.readouterr() == ("", f"error: {raised}\n")


def test_a_bug_shows_its_traceback_and_is_not_the_users_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_raising(ZeroDivisionError("by nought")), []) == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "ZeroDivisionError: by nought" in shown


def test_an_interrupt_is_130_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_raising(KeyboardInterrupt()), []) == 130
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As on a terminal: a shell that puts tests in the background has the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_that_a_library_makes_another_error_of_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    def as_tensorflow(_: Sequence[str]) -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise AttributeError("'SymbolicTensor' object has no attribute") from None
        raise AssertionError("no interrupt came")

    assert run(as_tensorflow, []) == 130
    assert capsys.readouterr() == ("", "")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert run(_raising(ZeroDivisionError("by nought")), []) == 1, "the one before is forgotten"


def test_a_commands_own_code_is_the_exit_code() -> None:
    assert run(len, ["a", "b", "c"]) == 3


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    endless = _program("for i in range(10**7): print(i)")
    writer = subprocess.Popen([sys.executable, "-c", endless], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stderr is not None
    with writer, writer.stderr:
        assert writer.stdout.readline() == b"0\n"
        writer.stdout.close()
        assert writer.stderr.read() == b""
        assert writer.wait(PATIENCE_S) == 0


def test_a_reader_that_went_before_the_last_flush_is_no_error() -> None:
    late = _program("sys.stdin.read(); print('too late')")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", late], stdin=pipe, stdout=pipe, stderr=pipe) as writer:
        assert writer.stdout is not None
        writer.stdout.close()
        writer.stdout = None
        _, errors = writer.communicate(timeout=PATIENCE_S)
    assert (writer.returncode, errors) == (0, b"")


def test_a_broken_pipe_that_is_not_standard_output_is_a_bug() -> None:
    other = _program("raise BrokenPipeError('a socket')")
    done = _python("-c", other)
    assert done.returncode == 1
    assert "BrokenPipeError: a socket" in done.stderr


@pytest.mark.parametrize("closed", ["0", "1", "2"])
def test_a_standard_stream_that_is_closed_is_no_bug_and_no_file_of_ours_takes_its_place(closed: str) -> None:
    body = "taken = open('own.txt', 'w').fileno(); print('result', flush=True); return 0 if taken > 2 else 9"
    done = subprocess.run(["sh", "-c", f'exec "$0" -c "$1" {closed}>&-', sys.executable, _program(body)], check=False)
    assert done.returncode == 0
    assert Path("own.txt").read_text() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("body", ["print('x' * 10**6)", "print('x')"])
def test_a_full_disk_is_the_users_to_mend_and_no_bug(body: str) -> None:
    with Path("/dev/full").open("w") as full:
        pipe = subprocess.PIPE
        program = [sys.executable, "-c", _program(body)]
        done = subprocess.run(program, check=False, stdout=full, stderr=pipe, text=True)
    assert (done.returncode, done.stderr) == (2, f"error: {os.strerror(28)}; {REMEDY}\n")


def test_a_missing_library_is_answered_with_the_extra_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "needy.py").write_text("def main(argv):\n    import tensorphlow.keras\n")
    assert run(imported(Command("needy:main", "trainer", "")), []) == 2
    assert capsys.readouterr().err == "error: tensorphlow is not installed: pip install 'sheetbreak[trainer]'\n"


def test_a_missing_module_of_ours_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(imported(Command("sheetbreak.nowhere:main", "all", "")), []) == 1
    assert "No module named 'sheetbreak.nowhere'" in capsys.readouterr().err


def _parser() -> OptionParser:
    parser = OptionParser("sheetbreak try", "Tries options.", example="sheetbreak try --seed 3")
    parser.add_argument("--models", type=Path, default=Path("models"), help="where the models are")
    parser.add_argument("--seed", type=whole_number(maximum=99), default=7, help="100%% of the luck")
    parser.add_argument("--speed", type=Positive, default="1")
    parser.add_argument("--missing", choices=["hold", "refuse"], default="hold")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--no-labels", action="store_false", dest="labels")
    parser.add_argument("--colour", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--tags", nargs="+", default=[])
    parser.add_argument("-v", "--verbosity")
    parser.add_argument("--time-format", default="%m/%d")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--burst", type=whole_number(), default=0)
    parser.add_argument("--secret", help=argparse.SUPPRESS)
    group = parser.add_argument_group("faults")
    group.add_argument("--fault", action="append")
    return parser


@pytest.mark.parametrize(
    ("variables", "argv", "option", "expected"),
    [
        ({}, [], "seed", 7),
        ({}, [], "speed", 1.0),  # a default given as text is read like an argument
        ({"SEED": "8"}, [], "seed", 8),
        ({"SEED": "8"}, ["--seed", "9"], "seed", 9),
        ({"SEED": "a word"}, ["--seed", "9"], "seed", 9),  # hidden by the flag, so nobody's trouble
        ({"SEED": ""}, [], "seed", 7),  # compose files write NAME=${NAME:-}
        ({"SEED": " 8 "}, [], "seed", 8),
        ({"MODELS": "here"}, [], "models", Path("here")),
        ({"MODELS": " here "}, [], "models", Path("here")),
        ({"VERBOSITY": "loud"}, [], "verbosity", "loud"),
        ({"MISSING": "refuse"}, [], "missing", "refuse"),
        ({}, [], "json", False),
        ({"JSON": "1"}, [], "json", True),
        ({"JSON": "Yes"}, [], "json", True),
        ({"JSON": "false"}, [], "json", False),
        ({"JSON": "0"}, ["--json"], "json", True),
        ({}, [], "labels", True),
        ({"NO_LABELS": "true"}, [], "labels", False),
        ({"NO_LABELS": "no"}, [], "labels", True),
        ({"COLOUR": "no"}, [], "colour", False),
        ({"COLOUR": "no"}, ["--colour"], "colour", True),
        ({"TAGS": "a 'b c'"}, [], "tags", ["a", "b c"]),
        ({"FAULT": "stuck:x17@1-2 drift"}, [], "fault", ["stuck:x17@1-2", "drift"]),
        ({"FAULT": "drift"}, ["--fault", "late", "--fault", "garbage"], "fault", ["late", "garbage"]),
        ({}, [], "fault", None),
        ({"SECRET": "s"}, [], "secret", "s"),
    ],
)
def test_a_flag_wins_over_its_variable_and_that_over_the_default(
    variables: dict[str, str],
    argv: list[str],
    option: str,
    expected: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(f"SHEETBREAK_{name}", text)
    assert getattr(_parser().parse_args(argv), option) == expected


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("SEED", "soon", "'soon' is not a whole number from 0 to 99"),
        ("SEED", "100", "'100' is not a whole number from 0 to 99"),
        ("SPEED", "-1", "'-1' is not a number above 0"),
        ("SPEED", "fast", "'fast' is not a number above 0"),
        ("JSON", "maybe", "'maybe' is not one of 1, true, yes, 0, false, no"),
        ("MISSING", "hide", "invalid choice: 'hide'"),
        ("TAGS", "'open", '"\'open": No closing quotation'),
    ],
)
def test_a_bad_variable_is_named_with_what_was_expected(
    name: str, text: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SHEETBREAK_{name}", text)
    with pytest.raises(DataError) as raised:
        _parser().parse_args([])
    assert str(raised.value).startswith(f"environment variable SHEETBREAK_{name}: {complaint}")
    assert str(raised.value).endswith("; see: sheetbreak try --help")


@pytest.mark.parametrize("argv", [["--seed", "soon"], ["--sed", "1"], ["--model", "m"], ["--seed"], ["stray"]])
def test_a_bad_flag_is_a_data_error_that_leads_to_the_help(argv: list[str]) -> None:
    with pytest.raises(DataError, match=r"see: sheetbreak try --help$"):
        _parser().parse_args(argv)


def test_a_required_flag_may_come_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = OptionParser("sheetbreak try")
    parser.add_argument("--from", type=whole_number(1), required=True, dest="start")
    with pytest.raises(DataError, match="required: --from"):
        parser.parse_args([])
    monkeypatch.setenv("SHEETBREAK_FROM", "3")
    assert parser.parse_args([]).start == 3
    with pytest.raises(DataError, match="'0' is not a whole number ≥ 1"):
        parser.parse_args(["--from", "0"])


def test_a_sub_command_inherits_what_its_parent_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = OptionParser("sheetbreak models")
    parser.add_argument("--models", default="models")
    use = parser.add_subparsers(dest="verb").add_parser("use")
    use.add_argument("--models", default=argparse.SUPPRESS)
    use.add_argument("--keep", type=whole_number(), default=5)

    def models(*argv: str) -> str:
        return str(parser.parse_args(argv).models)

    assert models("use") == "models"
    assert models("--models", "here", "use") == "here"
    assert models("use", "--models", "there") == "there"
    monkeypatch.setenv("SHEETBREAK_MODELS", "elsewhere")
    assert models("use") == "elsewhere"
    assert models("--models", "here", "use") == "here"
    assert models("use", "--models", "there") == "there"
    monkeypatch.setenv("SHEETBREAK_KEEP", "2")
    assert parser.parse_args(["use"]).keep == 2


def test_help_tells_each_flags_variable_and_default_once(capsys: pytest.CaptureFixture[str]) -> None:
    parser = _parser()
    parser.parse_args([])
    with pytest.raises(SystemExit):
        _parser().parse_args(["--help"])
    assert capsys.readouterr().out == parser.format_help() == parser.format_help()
    shown = " ".join(parser.format_help().split())
    assert "where the models are [SHEETBREAK_MODELS, default models]" in shown
    assert "100% of the luck [SHEETBREAK_SEED, default 7]" in shown
    assert "--json [SHEETBREAK_JSON]" in shown
    assert "[SHEETBREAK_TIME_FORMAT, default %m/%d]" in shown
    assert all(f"[SHEETBREAK_{name}]" in shown for name in ("FAULT", "TAGS", "PREFIX", "VERBOSITY"))
    assert "[SHEETBREAK_BURST, default 0]" in shown
    assert "SHEETBREAK_HELP" not in shown
    assert "SECRET" not in shown
    assert "example: sheetbreak try --seed 3" in shown


def test_an_interrupted_program_ends_at_once_with_all_that_it_wrote() -> None:
    """A library that crashes while the interpreter is taken apart, as TensorFlow may, is not waited for."""
    body = "import atexit, os; atexit.register(os.abort); print('kept', end=''); raise KeyboardInterrupt"
    found = _python("-c", _program(body))
    assert (found.returncode, found.stdout) == (130, "kept")


@pytest.mark.parametrize(
    ("command", "library"), [("monitor", "prometheus_client"), ("replay", "numpy"), ("desk", "starlette.routing")]
)
def test_a_service_that_is_stopped_while_it_loads_ends_with_0(command: str, library: str) -> None:
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "sheetbreak", command, "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert any(line.split("|")[-1].strip() == library for line in process.stderr)  # it is loaded now
        process.terminate()
        assert "Traceback" not in process.stderr.read()
        assert process.wait(PATIENCE_S) == 0


def test_a_reload_that_is_asked_for_while_a_monitor_loads_does_not_end_it() -> None:
    body = "import os, signal; os.kill(os.getpid(), signal.SIGHUP); return 7"
    assert _python("-c", _program(body).replace("name=''", "name='monitor'")).returncode == 7


REMEDY = "make room, or name another place for what is written"


def _raising(error: BaseException) -> Callable[[Sequence[str]], int]:
    def main(argv: Sequence[str]) -> int:
        raise error

    return main


def _program(body: str) -> str:
    """The source of a program whose main is `body`."""
    return f"import sys\nfrom sheetbreak.cli.commands import program\ndef main(_):\n    {body}\nprogram(main, name='')"


def _python(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *argv], check=False, capture_output=True, text=True, env=os.environ)
