"""A replay that is started again goes on after what its topic holds, so that no row is late."""

import time
from pathlib import Path

import msgspec
import pytest

from replay.main import main
from replay.start_time import onward_us
from sheetbreak.errors import DataError
from sheetbreak.rows import Schema
from sheetbreak.times import parse_time
from tests.support.kafka.broker import Broker

HOUR_US = 3_600_000_000
SCHEMA = Schema(sensors=("flow",), stop_gap_s=180.0)


@pytest.fixture
def mill(tmp_path: Path) -> Path:
    """A CSV of 90 rows, one every two minutes."""
    path = tmp_path / "mill.csv"
    lines = [f"2026-01-05 {i // 30:02}:{2 * (i % 30):02},{i}.5" for i in range(90)]
    path.write_text("when,flow\n" + "\n".join(lines) + "\n")
    path.with_suffix(".toml").write_text('[columns]\ntime = "when"\n')
    return path


def test_each_start_goes_on_after_the_last_one_and_none_begins_before_now(broker: Broker, mill: Path):
    topic = broker.create_topics(partitions=4) + "sensor-rows"
    url = broker.url(topic)
    options = ["--schema", str(mill.with_suffix(".toml")), "--machines", "3", "--speed", "max", "--times", "onward"]
    before_us = int(time.time()) * 1_000_000
    ends_us = before_us
    for start in range(3):
        assert main([str(mill), *options, "--to", url]) == 0
        for number in range(1, 4):
            records = [record for record in broker.read(topic) if record.key == b"pm%d" % number]
            times_us = [parse_time(msgspec.json.decode(record.value)["time"]) for record in records]
            assert len(times_us) == 90 * (start + 1)
            assert times_us == sorted(set(times_us))
            assert times_us[90 * start] >= ends_us
        # Between two starts it is as after a stop: longer than the gap from which on a gap is one.
        ends_us = times_us[-1] + round(SCHEMA.stop_gap_s * 1e6)


def test_an_empty_topic_old_rows_and_what_is_no_row_count_for_nothing(broker: Broker):
    topic = broker.create_topics(partitions=4) + "sensor-rows"
    now_us = parse_time("2026-05-01T00:00:00Z")
    assert onward_us(now_us, broker.url(topic), SCHEMA) == now_us
    broker.write(topic, [b'{"time":"1999-05-01T00:00:00Z"}'], partition=0)
    broker.write(topic, [b"{", b'{"time":"tomorrow"}'], partition=1)
    assert onward_us(now_us, broker.url(topic), SCHEMA) == now_us
    broker.write(topic, [b'{"time":"2026-05-01T03:00:00.9Z"}'], partition=2)
    assert onward_us(now_us, broker.url(topic), SCHEMA) == now_us + 3 * HOUR_US + 300_000_000


@pytest.mark.parametrize("to", ["-", "rows.ndjson"])
def test_only_a_topic_can_be_gone_on_with(mill: Path, to: str):
    with pytest.raises(DataError, match="use --times now"):
        main([str(mill), "--schema", str(mill.with_suffix(".toml")), "--times", "onward", "--to", to])


def test_a_topic_that_is_missing_is_said_with_what_makes_it(broker: Broker):
    with pytest.raises(DataError, match="sheetbreak topics create"):
        onward_us(0, broker.url("no-such-topic"), SCHEMA)
