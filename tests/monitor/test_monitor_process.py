"""The monitor as a user meets it: started, fed, signalled, told nonsense."""

import os
import random
import signal
import socket
import sys
import urllib.request
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.runtime import SignalFlags
from sheetbreak.cli import alerts
from tests.support.models.mill import mill_csv, mill_rows, save_model
from tests.support.programs.monitor_process import ALL, Running, command, messages, run
from tests.support.running.patience import PATIENCE_S, wait_for
from tests.support.running.ports import free_port


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """`models` in the current directory, where the monitor looks by default."""
    save_model(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def monitor(models: Path, tmp_path: Path) -> "Running":
    return Running(command("-", "--emit", ALL), stderr=tmp_path / "log")


def test_a_pipe_a_file_and_a_csv_give_the_same_bytes(models: Path, tmp_path: Path) -> None:
    rows = mill_rows(300, breaks=(150, 151))
    (tmp_path / "rows.ndjson").write_bytes(b"\n".join(rows))
    mill_csv(tmp_path / "rows.csv", 300, breaks=(150, 151))
    piped = run("-", "--emit", ALL, stdin=b"\n".join(rows) + b"\n")
    assert piped.returncode == 0, piped.stderr
    assert len(messages(piped.stdout)) > 300
    assert run("rows.ndjson", "--emit", ALL).stdout == piped.stdout
    assert run("rows.csv", "--emit", ALL).stdout == piped.stdout
    with (tmp_path / "rows.ndjson").open("rb") as redirected:
        fed = Path("/dev/stdin")
        assert run(str(fed), "--emit", ALL, stdin=redirected.read()).stdout == piped.stdout


def test_alerts_alone_go_out_by_default(models: Path) -> None:
    done = run("-", stdin=b"\n".join(mill_rows(200)) + b"\n{\n")
    assert {message["topic"] for message in messages(done.stdout)} == {"alerts"}


def test_missing_model_estimates_what_hold_holds_and_leaves_the_other_rows_alone(models: Path) -> None:
    rows, holed = mill_rows(120), (60, 61, 90)
    for i in holed:
        rows[i] = rows[i].replace(b'"x3":', b'"gone":')
    stdin = b"\n".join(rows) + b"\n"
    found = [messages(run("-", "--emit", "scores", "--missing", how, stdin=stdin).stdout) for how in ("hold", "model")]
    imputed = [[i for i in range(120) if scores[i]["imputed"] == ["x3"]] for scores in found]
    assert imputed == [[*holed], [*holed]]
    assert [i for i, scores in enumerate(zip(*found, strict=True)) if scores[0]["score"] != scores[1]["score"]] == [
        *holed
    ]


def fuzzed(count: int, *, seed: int) -> list[bytes]:
    """Rows and their ruins; no line blank, none with a newline in it."""
    rng = random.Random(seed)
    rows = mill_rows(count // 2) + mill_rows(count // 2, machine="größe ✓", seed=3)
    lines = []
    for row in rows:
        line = bytearray(row)
        ruin = rng.random()
        if ruin < 0.25:
            for _ in range(rng.randint(1, 8)):
                line[rng.randrange(len(line))] = rng.randrange(256)
        elif ruin < 0.4:
            del line[rng.randrange(len(line)) :]
        elif ruin < 0.5:
            place = rng.randrange(len(line))
            line[place:place] = rng.choice([b"NaN", b"1e999", b"-", b"[" * 200, b'"', b"\\u0000", b"\xf0\x9f", b"null"])
        elif ruin < 0.55:
            line = bytearray(rng.choice([b"[]", b"{}", b"0", b'"row"', b"\x00" * 9, b"[" * 5000, b"\xef\xbb\xbf{}"]))
        elif ruin < 0.6:
            line = bytearray(rng.choice(rows))
        elif ruin < 0.601:
            line = bytearray(b'{"machine":"' + b"m" * 400_000)
        clean = bytes(line).replace(b"\n", b"?").replace(b"\r", b"?")
        lines.append(clean if clean.strip() else b"?")
    return lines


@pytest.mark.parametrize("seed", [1, 2])
def test_every_one_of_10000_fuzzed_lines_is_answered_by_a_score_or_a_dead_letter(models: Path, seed: int) -> None:
    lines = fuzzed(10_000, seed=seed)
    assert len(lines) == 10_000
    done = run("-", "--emit", "scores,dead-letters", stdin=b"\n".join(lines) + b"\n\n  \n")
    assert done.returncode == 0, done.stderr[-2000:]
    answers = messages(done.stdout)
    assert len(answers) == 10_000
    for line, answer in zip(lines, answers, strict=True):
        if answer["topic"] == "dead-letters":
            record = b64decode(answer["record_base64"])
            assert record == line[: 256 * 1024]
            assert answer["truncated"] == (len(line) > 256 * 1024)
        else:
            assert answer["machine"].encode() in line or b"\\" in line
    numbers = [answer["source"]["line"] for answer in answers if answer["topic"] == "dead-letters"]
    assert numbers == [i for i, answer in enumerate(answers, 1) if answer["topic"] == "dead-letters"]
    assert 2000 < len(numbers) < 8000, "both kinds must be put to the test"
    assert {answer["source"]["file"] for answer in answers if "source" in answer} == {"-"}


def test_sigterm_ends_a_waiting_monitor_cleanly(monitor: Running) -> None:
    with monitor:
        monitor.send(mill_rows(1)[0])
        monitor.answer()
        monitor.process.send_signal(signal.SIGTERM)
        assert monitor.wait() == 0
        assert "Traceback" not in monitor.stderr.read_text()


def test_sigint_ends_a_waiting_monitor_with_130(monitor: Running) -> None:
    with monitor:
        monitor.send(mill_rows(1)[0])
        monitor.answer()
        monitor.process.send_signal(signal.SIGINT)
        assert monitor.wait() == 130
        assert "Traceback" not in monitor.stderr.read_text()


def test_sigterm_ends_a_monitor_whose_reader_has_stalled(monitor: Running) -> None:
    with monitor:
        rows = mill_rows(400)  # what a pipe has room for, however little of it the monitor takes before it stalls
        monitor.send(rows[0])
        monitor.answer()
        monitor.send(*rows[1:])  # some 170 kB of scores, which nobody reads
        _wait_for(monitor, "event=stream-away")
        monitor.process.send_signal(signal.SIGTERM)
        assert monitor.wait() == 0


def test_a_reader_that_has_gone_ends_the_monitor_quietly(monitor: Running) -> None:
    with monitor:
        rows = mill_rows(300)
        monitor.send(rows[0])
        monitor.answer()
        assert monitor.process.stdout is not None
        monitor.process.stdout.close()
        monitor.send(*rows[1:])
        assert monitor.wait() == 0
        assert "Traceback" not in monitor.stderr.read_text()


def test_a_stop_signal_ends_a_monitor_that_waits_for_a_fifos_writer(models: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    with Running(command("rows.csv"), stderr=tmp_path / "log") as monitor:
        _wait_for(monitor, "event=started")
        monitor.process.send_signal(signal.SIGTERM)
        assert monitor.wait() == 0


def test_a_csv_through_a_fifo_is_scored(models: Path, tmp_path: Path) -> None:
    mill_csv(tmp_path / "mill.csv", 100)
    os.mkfifo(tmp_path / "rows.csv")
    with Running(command("rows.csv", "--emit", ALL), stderr=tmp_path / "log") as monitor:
        (tmp_path / "rows.csv").write_bytes((tmp_path / "mill.csv").read_bytes())
        answers = [monitor.answer() for _ in range(100)]
    assert answers == messages(run("mill.csv", "--emit", ALL).stdout)[:100]


def test_sighup_and_a_moved_link_reload_the_model(monitor: Running, models: Path) -> None:
    with monitor:
        rows = iter(mill_rows(5000))

        def version() -> object:
            monitor.send(next(rows))
            return monitor.answer()["model"]

        first = version()
        second = save_model(models, now=datetime(2026, 6, 1, tzinfo=UTC)).version
        monitor.process.send_signal(signal.SIGHUP)
        wait_for(lambda: version() != first, says=monitor.stderr.read_text)  # the signal is looked at between batches
        assert version() == second
        third = save_model(models, now=datetime(2026, 6, 2, tzinfo=UTC)).version
        wait_for(lambda: version() != second, says=monitor.stderr.read_text)
        assert version() == third


def test_what_the_user_must_change_is_said_with_exit_code_2(models: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "rows.ndjson").write_bytes(b"")
    for arguments, said in [
        (["missing.csv"], "missing.csv: No such file"),
        (["."], "3 entries are left out: empty.csv (empty)"),
        (["."], "columns are missing"),
        (["empty.csv"], "empty.csv is empty"),
        (["other.csv"], "columns are missing"),
        (["amqp://host/topic"], "kafka://host:9092/topic"),
        (["-", "--emit", "scores,alarms"], "'alarms' is none of"),
        (["-", "--models", "nowhere"], "nowhere holds no current model"),
        (["-", "--history", "missing.csv"], "missing.csv"),
        (["-", "--missing", "guess"], "--missing"),
        (["rows.ndjson", "--state", "/proc/nowhere"], "--state /proc/nowhere"),
        (["kafka://localhost:1/rows", "--state", "x"], "--state is for files"),
    ]:
        done = run(*arguments)
        assert (done.returncode, said in done.stderr.decode()) == (2, True), (arguments, done.stderr)
        assert "Traceback" not in done.stderr.decode()
        assert done.stdout == b""


def test_a_taken_metrics_port_is_said_with_exit_code_2(models: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        arguments = [*command("-")[:-1], str(taken.getsockname()[1])]
        with Running(arguments, stderr=tmp_path / "log") as monitor:
            assert monitor.wait() == 2
            assert "is taken" in monitor.stderr.read_text()
        for wrong in (["nofile.csv"], ["-", "--history", "nofile.csv"]):  # what is wrong with the files comes first
            arguments = [*command(*wrong)[:-1], str(taken.getsockname()[1])]
            with Running(arguments, stderr=tmp_path / "log") as monitor:
                assert monitor.wait() == 2
                assert "nofile.csv: No such file or directory; name a CSV" in monitor.stderr.read_text()


def test_metrics_health_and_readiness_are_served_while_it_runs(models: Path, tmp_path: Path) -> None:
    port = free_port()
    arguments = [*command("-", "--emit", ALL)[:-1], str(port)]
    with Running(arguments, stderr=tmp_path / "log") as monitor:
        monitor.send(mill_rows(1)[0])
        monitor.answer()

        def shown(path: str) -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as response:
                return str(response.read().decode())

        # A row is counted once its commit stands: after its answer.
        counted = 'sheetbreak_rows_total{machine="pm1",outcome="warming_up"} 1.0'
        wait_for(lambda: counted in shown("/metrics"), says=lambda: shown("/metrics"))
        assert (shown("/healthz"), shown("/readyz")) == ("ok\n", "ready\n")


def test_a_history_warms_machines_up_before_the_stream(models: Path, tmp_path: Path) -> None:
    lines = mill_csv(tmp_path / "whole.csv", 150).read_text().splitlines()
    (tmp_path / "history.csv").write_text("\n".join(lines[:101]))
    whole = run("-", "--emit", "scores", stdin=b"\n".join(mill_rows(150))).stdout.splitlines()
    rest = run("-", "--emit", "scores", "--history", "history.csv", stdin=b"\n".join(mill_rows(150, first=100)))
    assert rest.stdout.splitlines() == whole[100:]
    assert b"event=warmed-up history=history.csv rows=100 machines=1" in rest.stderr


def test_alerts_are_read_from_a_file(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "alerts.ndjson").write_bytes(run("-", stdin=b"\n".join(mill_rows(100))).stdout)
    assert alerts.main(["alerts.ndjson"]) == 0
    shown = capsys.readouterr()
    assert "opened  warning   pm1: the sheet may break soon" in shown.out
    assert shown.err == ""


def test_the_log_is_one_event_a_line_and_says_nothing_per_row(models: Path) -> None:
    rows = [row.replace(b'"x6"', b'"x66"') for row in mill_rows(1500)]
    logged = run("-", stdin=b"\n".join(rows)).stderr.decode().splitlines()
    assert all(line.startswith("time=") and " level=" in line and " event=" in line for line in logged)
    assert len(logged) < 10
    assert sum("event=unknown-sensor" in line for line in logged) == 1


def test_alerts_are_readable_on_a_terminal_and_by_the_alerts_command(models: Path, tmp_path: Path) -> None:
    import pty
    import subprocess

    rows = b"\n".join(mill_rows(100)) + b"\n"
    (tmp_path / "rows.ndjson").write_bytes(rows)
    ours, theirs = pty.openpty()
    shown = b""
    process = subprocess.Popen(command("rows.ndjson"), stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # the terminal's other side is closed
            break
    assert process.wait(PATIENCE_S) == 0
    os.close(ours)
    lines = shown.decode().splitlines()
    assert lines
    assert all(line.startswith("1999-05-01 0") and "pm1: " in line for line in lines)
    found = run("rows.ndjson", "--emit", ALL).stdout
    watched = subprocess.run(
        [sys.executable, "-m", "sheetbreak", "alerts", "-"],
        input=found,
        capture_output=True,
        check=True,
    )
    assert watched.stdout.decode().splitlines() == lines
    assert "event=no-alerts lines=100 source=-" in watched.stderr.decode()


def _wait_for(monitor: Running, event: str) -> None:
    wait_for(lambda: event in monitor.stderr.read_text(), says=monitor.stderr.read_text)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
def test_a_stop_whose_exception_is_swallowed_stops_all_the_same(number, raised):
    """Python prints what is raised while a weak reference's callback runs, and goes on."""
    flags = SignalFlags()
    with pytest.raises(raised):
        flags._stop(number, None)
    assert flags.stopping
