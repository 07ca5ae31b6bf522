"""`sheetbreak alerts`: in time order over partitions, those asked for, from any file that a shell may write."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sheetbreak.cli.alerts import main
from sheetbreak.errors import DataError
from tests.support.kafka.broker import Broker
from tests.support.running.patience import wait_for
from tests.support.running.services import plain_environment


def alert(minute: int, machine: str = "pm1", **fields: object) -> bytes:
    time = f"2026-05-01T06:{minute:02}:00Z"
    message = {"topic": "alerts", "alert_id": f"{machine}-{minute}", "kind": "opened", "machine": machine, "time": time}
    local = {"local_time": time.replace("T06", "T09").replace("Z", "+03:00")}
    return json.dumps(message | local | {"severity": "warning", "message": f"{machine}: Söhne"} | fields).encode()


def line(minute: int, machine: str = "pm1", said: str = "") -> str:
    return f"2026-05-01 09:{minute:02}:00+03:00  opened  warning   {machine}: Söhne  [{said}alert {machine}-{minute}]"


SCORE = b'{"topic":"scores","machine":"pm1","time":"2026-05-01T06:00:00Z"}'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_file_is_shown_in_time_order_whatever_shell_wrote_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], encoding: str, newline: str
) -> None:
    text = newline.join(value.decode() for value in (alert(5), SCORE, alert(3, "pm2"), alert(4))) + newline
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    (tmp_path / "alerts.ndjson").write_bytes(mark + text.encode(encoding))
    assert main(["alerts.ndjson"]) == 0
    assert capsys.readouterr().out.splitlines() == [line(3, "pm2"), line(4), line(5)]


@pytest.mark.parametrize(
    ("options", "minutes"),
    [
        (["--last", "2"], [4, 5]),
        (["--since", "2026-05-01T09:04:00+03:00"], [4, 5]),
        (["--since", "1s"], []),
        (["--since", "9d", "--last", "1"], []),
        (["--machine", "pm2"], [3]),
        (["--machine", "pm1", "--last", "1"], [5]),
        (["--machine", "pm9"], []),
    ],
)
def test_those_that_are_asked_for_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], minutes: list[int]
) -> None:
    (tmp_path / "alerts.ndjson").write_bytes(b"\n".join([alert(5), alert(3, "pm2"), alert(4)]))
    assert main(["alerts.ndjson", *options]) == 0
    assert [int(shown[14:16]) for shown in capsys.readouterr().out.splitlines()] == minutes


def test_what_operators_said_of_an_alert_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = {"by": "Aino\x1b[2J", "time": "2026-05-01T06:00:00Z"}
    said = alert(5, acknowledged=seen, shelved_until="2026-05-01T14:00:00Z")
    (tmp_path / "alerts.ndjson").write_bytes(said)
    assert main(["alerts.ndjson"]) == 0
    expected = line(5, said=r"acknowledged by Aino\x1b[2J, shelved until 2026-05-01T14:00:00Z, ")
    assert capsys.readouterr().out.splitlines() == [expected]


def test_a_time_that_is_none_and_a_file_that_is_not_there_are_said() -> None:
    with pytest.raises(DataError, match="or 8h for the last eight hours"):
        main(["alerts.ndjson", "--since", "yesterday"])
    with pytest.raises(DataError, match=r"alerts\.ndjson: No such file"):
        main(["alerts.ndjson"])


def test_a_file_that_grows_is_followed(tmp_path: Path) -> None:
    path, out = tmp_path / "alerts.ndjson", tmp_path / "out"
    path.write_bytes(alert(5) + b"\n" + alert(3) + b"\n" + alert(7)[:40])
    command = [sys.executable, "-m", "sheetbreak", "alerts", "alerts.ndjson", "--follow"]
    with out.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, env=plain_environment())
    try:
        wait_for(lambda: out.read_bytes().count(b"\n") == 2)
        with path.open("ab") as file:
            file.write(alert(7)[40:] + b"\n" + alert(1) + b"\n")
        wait_for(lambda: out.read_bytes().count(b"\n") == 4)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert out.read_text().splitlines() == [line(3), line(5), line(7), line(1)]


def test_a_topic_is_shown_in_time_order_over_its_partitions(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = broker.create_topics(partitions=2) + "alerts"
    broker.write(topic, [alert(1), alert(4)], partition=1)
    broker.write(topic, [alert(2, "pm2"), alert(3, "pm2")], partition=0)
    capsys.readouterr()
    assert main([broker.url(topic), "--last", "3"]) == 0
    assert capsys.readouterr().out.splitlines() == [line(2, "pm2"), line(3, "pm2"), line(4)]
    assert main([broker.url(topic), "--since", "2026-05-01T06:02:00Z", "--machine", "pm1"]) == 0
    assert capsys.readouterr().out.splitlines() == [line(4)]
    out = tmp_path / "out"
    with out.open("wb") as file:
        command = [sys.executable, "-m", "sheetbreak", "alerts", broker.url(topic)]
        process = subprocess.Popen(command, stdout=file, env=plain_environment())
    try:
        wait_for(lambda: out.read_bytes().count(b"\n") == 4)
        broker.write(topic, [alert(5)], partition=0)
        wait_for(lambda: out.read_bytes().count(b"\n") == 5)
    finally:
        process.kill()
        process.wait()
    assert out.read_text().splitlines() == [line(1), line(2, "pm2"), line(3, "pm2"), line(4), line(5)]
