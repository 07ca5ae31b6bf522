"""`sheetbreak act`: what it writes is the contract's message, and what it refuses it says."""

import json
from pathlib import Path
from typing import Any

import pytest

from sheetbreak.cli.act import main, rows_clock
from sheetbreak.errors import DataError
from tests.support.kafka.broker import Broker
from tests.support.kafka.mill import KafkaMill
from tests.support.models.mill import save_model
from tests.support.running.patience import wait_for

HOUR_US = 3600 * 1_000_000


def test_every_act_adds_a_line_to_the_file_and_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "actions.ndjson"
    at = ["--machine", "pm1", "--by", "<b>Aino</b>", "--time", "2026-05-01T06:00:00+02:00"]
    assert main([str(path), "mask", *at, "--sensor", "x35", "--for", "8h", "--comment", "dirty"]) == 0
    assert main([str(path), "verdict", *at, "--alert", "a1", "--verdict", "false"]) == 0
    mask, verdict = [json.loads(line) for line in path.read_text().splitlines()]
    assert capsys.readouterr().out == path.read_text()
    said = {"machine": "pm1", "time": "2026-05-01T04:00:00Z", "by": "<b>Aino</b>"}
    until = {"until": "2026-05-01T12:00:00Z"}
    assert mask == said | until | {"action": "mask", "sensor": "x35", "comment": "dirty"}
    assert verdict == said | {"action": "verdict", "alert_id": "a1", "verdict": "false"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["mask", "--machine", "pm1"], "mask does not say a sensor.*--sensor S"),
        (["verdict", "--machine", "pm1", "--alert", "a1"], "--verdict true|false|unsure"),
        (["shelve", "--machine", "pm1", "--for", "8"], "such as 90s, 30min, 8h or 2d"),
        (["unshelve", "--machine", "pm1", "--sensor", "x1"], "unshelve takes no sensor"),
        (["unshelve"], "--machine"),
        (["unshelve", "--machine", "pm1", "--time", "yesterday"], "expected 2026-05-01T06:00:00Z"),
        (["silence", "--machine", "pm1"], "choose from"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(tmp_path: Path, arguments: list[str], says: str) -> None:
    path = tmp_path / "actions.ndjson"
    with pytest.raises(DataError, match=says.replace("|", r"\|")):
        main([str(path), *arguments])
    assert not path.exists()


def test_a_sensor_that_the_model_does_not_know_is_said_at_once(tmp_path: Path) -> None:
    path, models = tmp_path / "actions.ndjson", tmp_path / "models"
    save_model(models)
    mask = [str(path), "mask", "--machine", "pm1", "--by", "Aino", "--sensor"]
    with pytest.raises(DataError, match=r"--sensor x99: .* knows no such sensor; it has x1, x2, .*--models DIR"):
        main([*mask, "x99", "--models", str(models)])
    assert not path.exists()
    assert main([*mask, "x3", "--models", str(models)]) == 0
    assert main([*mask, "x99", "--models", str(tmp_path / "elsewhere")]) == 0  # the monitor will say it


def test_an_action_is_on_the_clock_of_the_rows() -> None:
    now_us = 1_800_000_000_000_000
    assert rows_clock(now_us, None) == now_us
    assert rows_clock(now_us, now_us - 3 * HOUR_US) == now_us  # it stands still
    assert rows_clock(now_us, now_us + HOUR_US) == now_us + HOUR_US  # a replay that runs ahead
    assert rows_clock(now_us, now_us - 300 * 24 * HOUR_US) == now_us - 300 * 24 * HOUR_US  # a history


def test_an_action_lies_in_the_partition_of_its_machines_rows_at_their_time(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mill = KafkaMill(broker, tmp_path, machines=2, rows=20, partitions=4)
    options = ["--topic-prefix", mill.prefix, "--by", "Aino"]
    try:
        mill.start()
        mill.send(20)
        wait_for(lambda: mill.answered() == 40)
        for machine in ("pm0", "pm1"):
            assert main([broker.url(), "shelve", "--machine", machine, "--for", "2h", *options]) == 0
        assert "the rows of pm1 are at 1999-05-01T00:38:00Z" in capsys.readouterr().err
        capsys.readouterr()
        assert main([broker.url(), "acknowledge", "--machine", "pm1", *options]) == 0
        assert "note: no alert of pm1 is open: there is nothing to acknowledge" in capsys.readouterr().err
        assert main([broker.url(), "unshelve", "--machine", "pm9", *options]) == 0
        assert "no row of 'pm9' was scored yet; machines with state: pm0, pm1" in capsys.readouterr().err
        rows, actions = (broker.read(mill.prefix + name) for name in ("sensor-rows", "operator-actions"))
        homes = {record.key: record.partition for record in rows}
        sent: dict[bytes, Any] = {record.key: (record.partition, json.loads(record.value)) for record in actions}
        assert {key: sent[key][0] for key in homes} == homes
        assert sent[b"pm1"][1]["time"] == "1999-05-01T00:38:00Z"
        shelf = next(one for one in map(json.loads, (record.value for record in actions)) if one["machine"] == "pm1")
        assert shelf["until"] == "1999-05-01T02:38:00Z"
    finally:
        mill.tear_down()


def test_a_stack_without_the_topic_is_told_how_to_make_it(broker: Broker) -> None:
    with pytest.raises(
        DataError, match=r"nothing\.operator-actions is missing; run: sheetbreak topics create kafka://"
    ):
        main([broker.url(), "unshelve", "--machine", "pm1", "--topic-prefix", "nothing."])
