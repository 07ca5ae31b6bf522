"""Log lines: as text and as JSON they say the same, and no line of a program that logs JSON is anything else."""

import ast
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sheetbreak.cli.logs import JsonLine, log_format_of
from tests.support.models.mill import mill_rows, save_model

ROOT = Path(__file__).resolve().parents[2]
OURS = ("sheetbreak", "monitor", "replay", "trainer")


def json_line(template: str, *arguments: object, **more: Any) -> dict[str, Any]:
    record = logging.LogRecord("monitor.loop", logging.WARNING, "", 1, template, arguments, None)
    record.__dict__ |= more
    found: dict[str, Any] = msgspec.json.decode(JsonLine().format(record))
    return found


def program(*arguments: str, stdin: bytes = b"", **environment: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and log of `sheetbreak …` with JSON lines; fails where a line is no JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "sheetbreak", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **environment},
    )
    return done.returncode, [msgspec.json.decode(line) for line in done.stderr.splitlines()]


def test_a_field_that_is_one_value_keeps_its_type_and_text_keeps_its_words() -> None:
    line = json_line(
        "event=blind count=%d machines=%s period-s=%g for_s=%.0f of=%d/%d note=%r", 3, ("a", "b"), 120.0, 61.7, 1, 2,
        'a "quoted" note: x=1, 50 %',
    )  # fmt: skip
    time = line.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)
    assert line == {
        "level": "WARNING", "event": "blind", "count": 3, "machines": ["a", "b"], "period-s": 120.0, "for_s": 62.0,
        "of": "1/2", "note": 'a "quoted" note: x=1, 50 %',
    }  # fmt: skip


def test_a_rows_own_time_does_not_hide_that_of_the_line() -> None:
    line = json_line("event=cold-start machine=%s time=%s", "pm1", "1999-05-01T00:00:00Z")
    assert (line["row_time"], line["machine"]) == ("1999-05-01T00:00:00Z", "pm1")
    assert line["time"].startswith("20")


def test_what_a_library_says_is_a_line_with_its_name() -> None:
    assert (
        json_line("Connection to %s failed, 100%% lost", "b:9092")["message"]
        == "Connection to b:9092 failed, 100% lost"
    )
    assert json_line("event is over")["event"] == "library"
    try:
        raise ValueError("why")
    except ValueError:
        assert "ValueError: why" in json_line("event=bug", exc_info=sys.exc_info())["traceback"]


@pytest.mark.parametrize(
    ("argv", "variable", "asked"),
    [
        (["monitor", "-"], "", "text"),
        (["monitor", "-"], "json", "json"),
        (["monitor", "--log-format=json", "-"], "", "json"),
        (["monitor", "--log-format", "text"], "json", "text"),
        (["monitor", "--log-format"], "xml", "text"),
    ],
)
def test_the_format_is_known_before_the_options_are_read(
    argv: list[str], variable: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHEETBREAK_LOG_FORMAT", variable)
    assert log_format_of(argv) == asked


def test_every_log_line_of_ours_names_its_event_first() -> None:
    """A line without one would be a library's in JSON, its fields lost."""
    calls = list(_log_calls())
    assert len(calls) > 50
    nameless = [f"{path}:{line} {text}" for path, line, text in calls if not text.startswith(("event=", "action="))]
    assert nameless == []


_SAY = {f"log.{level}" for level in ("debug", "info", "warning", "error", "critical")}


def _log_calls() -> Iterator[tuple[Path, int, str]]:
    """(file, line, format string) of each call of a module's `log`; the string may stand in a name before it."""
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text())
            named = {
                target.id: node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Assign)
                for target in node.targets
                if isinstance(target, ast.Name) and target.id in ("text", "event")
            }
            for node in ast.walk(tree):
                if not (isinstance(node, ast.Call) and ast.unparse(node.func) in _SAY):
                    continue
                first = node.args[0]
                found = named.get(first.id) if isinstance(first, ast.Name) else first
                assert isinstance(found, ast.Constant), f"{path}:{node.lineno}: no format string is seen"
                yield path.relative_to(ROOT), node.lineno, str(found.value)


def test_a_monitor_logs_nothing_but_json_from_its_first_line_to_its_error(tmp_path: Path) -> None:
    models = str(tmp_path / "models")
    code, log = program("monitor", "-", "--metrics-port", "0", "--models", models, "--log-format", "json")
    assert code == 2
    assert [(line["event"], line["code"]) for line in log] == [("failed", 2)]
    assert models in log[0]["error"]
    save_model(tmp_path / "models")
    monitor = ("monitor", "-", "--metrics-port", "0", "--models", models)
    code, log = program(*monitor, stdin=b"\n".join([*mill_rows(60), b"{"]) + b"\n", SHEETBREAK_LOG_FORMAT="json")
    assert code == 0
    assert all({"time", "level", "event"} <= line.keys() for line in log)
    of = {line["event"]: line for line in log}
    assert {"started", "first-batch", "first-dead-letter", "ended"} <= of.keys()
    assert (of["ended"]["rows"], of["ended"]["dead-letters"]) == (61, 1)
    assert of["first-dead-letter"]["reason"]


def test_a_replay_and_a_watch_of_alerts_log_json_too(tmp_path: Path) -> None:
    csv = tmp_path / "mill.csv"
    csv.write_text("time,y,x1,x2\n5/1/99 0:00,0,1,2\n5/1/99 0:02,0,1,oops\n")
    code, log = program("replay", str(csv), "--speed", "max", "--log-format", "json")
    assert (code, [line["event"] for line in log]) == (2, ["failed"])
    code, log = program("alerts", "-", "--log-format", "json", stdin=b"no alert\n")
    assert (code, [line["event"] for line in log]) == (0, ["no-alerts"])
    assert log[0]["lines"] == 1
