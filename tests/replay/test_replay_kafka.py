"""The replay into a real broker: every row once, in its machine's order, whatever happens to the broker."""

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from replay.main import main
from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.options import Security, parse_address
from sheetbreak.streams.kafka.row_sink import KafkaSink
from tests.support.kafka.broker import Broker
from tests.support.running.patience import PATIENCE_S
from tests.support.running.services import plain_environment


class GivenUp(Exception):
    """The test has waited long enough."""


def sink_of(url: str, *, patience_s: float = PATIENCE_S) -> KafkaSink:
    end = time.monotonic() + patience_s

    def between() -> None:
        if time.monotonic() > end:
            raise GivenUp

    return KafkaSink(parse_address(url), Security(), between=between, say_after_s=1.0)


def numbered(first: int, until: int, key: bytes = b"pm1") -> Sequence[tuple[bytes, bytes]]:
    return [(key, b"%d" % number) for number in range(first, until)]


@pytest.fixture
def mill(tmp_path: Path) -> Path:
    """A CSV of 300 rows."""
    path = tmp_path / "mill.csv"
    lines = [f"2026-01-05 {i // 30:02}:{2 * (i % 30):02},{i}.5" for i in range(300)]
    path.write_text("when,flow\n" + "\n".join(lines) + "\n")
    path.with_suffix(".toml").write_text('[columns]\ntime = "when"\n')
    return path


def test_rows_are_keyed_by_machine_and_stamped_with_the_wall_clock(broker: Broker, mill):
    url = broker.url(broker.create_topics(partitions=4) + "sensor-rows")
    before_ms = time.time() * 1000
    options = ["--schema", str(mill.with_suffix(".toml")), "--machines", "5", "--speed", "max", "--to", url]
    assert main([str(mill), *options]) == 0
    records = broker.read(parse_address(url).topic)
    assert len(records) == 1500
    for number in range(1, 6):
        own = [record for record in records if record.key == b"pm%d" % number]
        assert len({record.partition for record in own}) == 1
        assert [b'"flow":%d.5' % i in record.value for i, record in enumerate(own)] == [True] * 300
    assert all(before_ms - 1 <= record.timestamp <= time.time() * 1000 + 1 for record in records)


def test_a_topic_that_is_missing_is_said_with_the_command_that_makes_it(broker: Broker):
    for topic, command in {
        "sensor-rows": "sheetbreak topics create {0}",
        "mill9.sensor-rows": "sheetbreak topics create {0} --topic-prefix mill9.",
        "other": "sheetbreak topics create {0}/other",
    }.items():
        with pytest.raises(DataError) as refused:
            sink_of(broker.url(topic)).send(numbered(0, 1))
        expected = command.format(f"kafka://{broker.address}")
        assert str(refused.value) == f"topic {topic} is missing; run: {expected}"


def test_a_record_that_no_topic_takes_is_said(broker: Broker):
    sink = sink_of(broker.url(broker.create_topics() + "sensor-rows"))
    with pytest.raises(DataError, match=r"raise the topic's max\.message\.bytes"):
        sink.send([(b"pm1", b"x"), (b"pm1", b"x" * 2_000_000)])
    sink.close()


def test_an_outage_loses_nothing_and_repeats_nothing(broker: Broker, caplog):
    topic = broker.create_topics() + "sensor-rows"
    sink = sink_of(broker.url(topic))
    sink.send(numbered(0, 100))
    broker.kill()
    back = threading.Timer(3.0, broker.start)
    begun = time.monotonic()
    back.start()
    try:
        for first in range(100, 1000, 100):
            sink.send(numbered(first, first + 100))
        assert time.monotonic() - begun >= 3
        assert "event=waiting" in caplog.text
    finally:
        back.join()
    sink.close()
    assert broker.values(topic) == [value for _, value in numbered(0, 1000)]


def test_a_broker_that_is_not_there_yet_is_waited_for(broker: Broker):
    topic = broker.create_topics() + "sensor-rows"
    broker.stop()
    back = threading.Timer(3.0, broker.start)
    back.start()
    sink = sink_of(broker.url(topic))
    try:
        sink.send(numbered(0, 100))
    finally:
        back.join()
    sink.close()
    assert broker.values(topic) == [value for _, value in numbered(0, 100)]


def test_a_wait_for_the_broker_can_be_ended():
    sink = sink_of("kafka://127.0.0.1:1/sensor-rows", patience_s=1)
    with pytest.raises(GivenUp):
        sink.send(numbered(0, 1))
    sink.close()


def test_a_signal_ends_a_replay_that_waits_for_the_broker(mill):
    replay = subprocess.Popen(
        [
            *(sys.executable, "-m", "replay", str(mill), "--schema", str(mill.with_suffix(".toml"))),
            *("--to", "kafka://127.0.0.1:1/sensor-rows"),
        ],
        stderr=subprocess.PIPE,
        env=plain_environment(),
    )
    assert replay.stderr is not None
    with replay.stderr:
        assert any(b"127.0.0.1:1" in line for line in replay.stderr)  # it waits, and says for what
        replay.terminate()
        assert replay.wait(timeout=PATIENCE_S) == 0
