"""Feeds: lines that grow, a pipe that ends, topics that are followed from where the store stands."""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from desk.feeds import Feed, kafka
from desk.feeds.kafka import KafkaFeed
from desk.feeds.lines import LinesFeed
from desk.messages import Arrived, Score
from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.group.membership import is_stable, unstick
from tests.support.kafka.broker import Broker
from tests.support.programs.desk_rig import START_MS, action, alert, at, dead_letter, score
from tests.support.running.beside import beside
from tests.support.running.patience import wait_for
from tests.support.running.ports import free_port


class Taken:
    """What a feed handed over."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self.positions: Mapping[tuple[str, int], int] = {}

    def __call__(self, arrived: Sequence[Arrived], positions: Mapping[tuple[str, int], int], *, live: bool) -> None:  # noqa: ARG002
        self.arrived += arrived
        self.positions = positions

    def times(self) -> list[str]:
        return sorted(one.message.time for one in self.arrived if isinstance(one.message, Score))


@contextmanager
def running(feed: Feed, taken: Taken) -> Iterator[Taken]:
    with beside(partial(feed.run, taken)):
        yield taken


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(line + b"\n" for line in lines))


def test_a_file_is_followed_as_it_grows_and_so_are_the_actions_beside_it(tmp_path: Path) -> None:
    source, actions = tmp_path / "out.ndjson", tmp_path / "actions.ndjson"
    append(source, score(0), alert(0), dead_letter(), b"{", b'{"topic":"scores"}')
    feed = LinesFeed(str(source), actions=actions, now_ms=lambda: START_MS)
    with running(feed, Taken()) as taken:
        wait_for(lambda: len(taken.arrived) == 3)
        append(actions, action(0, "acknowledge"))
        append(source, score(1))
        wait_for(lambda: len(taken.arrived) == 5)
        with source.open("ab") as file:  # a line that is being written is not read before its end
            file.write(score(2)[:20])
            file.flush()
            append(actions, action(1, "unshelve"))
            wait_for(lambda: len(taken.arrived) == 6)
            file.write(score(2)[20:] + b"\n")
        wait_for(lambda: len(taken.arrived) == 7)
    assert feed.status.foreign == 2
    assert "no score, alert" in feed.status.foreign_last
    assert not feed.status.ended


def test_the_end_of_a_pipe_is_told(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    opened: list[int] = []
    writer = threading.Thread(target=lambda: opened.append(os.open(pipe, os.O_WRONLY)))
    writer.start()
    feed = LinesFeed(str(pipe), actions=None, now_ms=lambda: START_MS)
    writer.join()
    with running(feed, Taken()) as taken:
        os.write(opened[0], score(0) + b"\n")
        wait_for(lambda: taken.arrived)
        assert not feed.status.ended
        os.close(opened[0])
        wait_for(lambda: feed.status.ended)


@pytest.mark.parametrize("source", ["/nowhere/out.ndjson", "."])
def test_a_source_that_cannot_be_read_is_refused(source: str) -> None:
    with pytest.raises(DataError, match="name a "):
        LinesFeed(source, actions=None, now_ms=lambda: START_MS)


def kafka_feed(source: str, prefix: str, positions: Mapping[tuple[str, int], int] | None = None) -> KafkaFeed:
    given = {} if positions is None else positions
    return KafkaFeed(source, prefix=prefix, group=prefix + "group", days=8, positions=given, now_ms=lambda: START_MS)


def test_topics_are_followed_and_a_restart_goes_on_where_the_store_stands(broker: Broker) -> None:
    prefix = broker.create_topics(partitions=2)
    for number in range(2):
        rows = [score(row, machine=f"pm{number}") for row in range(5)]
        broker.write(prefix + "scores", rows, partition=number)
    broker.write(prefix + "alerts", [alert(1)], partition=0)
    broker.write(prefix + "operator-actions", [action(1, "acknowledge"), b"not an action"], partition=1)
    broker.write(prefix + "dead-letters", [dead_letter()], partition=0)
    feed = kafka_feed(broker.url(), prefix)
    with running(feed, Taken()) as first:
        wait_for(lambda: len(first.arrived) == 13 and feed.status.live and feed.status.foreign)
        broker.write(prefix + "scores", [score(5)], partition=0)
        wait_for(lambda: len(first.arrived) == 14)
    assert feed.status.foreign == 1
    assert {one.partition for one in first.arrived} == {0, 1}
    broker.write(prefix + "scores", [score(6)], partition=0)
    with running(kafka_feed(broker.url(), prefix, first.positions), Taken()) as second:
        wait_for(lambda: second.arrived)
    assert second.times() == [at(6)]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("kafka://{address}/alerts", "the desk reads several topics"),
        ("kafka://{address}", "sheetbreak topics create"),
        ("http://host", "not a Kafka address"),
    ],
)
def test_an_address_without_a_monitors_topics_is_refused(broker: Broker, source: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        kafka_feed(source.format(address=broker.address), "no-such.")


def test_a_broker_that_is_away_at_the_start_is_told_and_not_refused() -> None:
    feed = kafka_feed(f"kafka://127.0.0.1:{free_port()}", "")
    assert not feed.status.answers
    assert "127.0.0.1" in feed.status.reason


def test_a_monitor_that_has_answered_every_row_is_seen(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "_WATCH_EVERY_S", 0.2)
    monkeypatch.setattr(kafka, "_STANDS_S", 0.5)
    prefix = broker.create_topics(partitions=2)
    feed = kafka_feed(broker.url(), prefix)
    with running(feed, Taken()):
        wait_for(lambda: feed.status.live)
        assert not feed.status.monitor_waits
        group, rows = prefix + "group", prefix + "sensor-rows"
        with KafkaConsumer(
            rows, bootstrap_servers=broker.address, group_id=group, auto_offset_reset="earliest"
        ) as monitor:
            broker.write(rows, [b"{}"] * 3, partition=0)
            read: list[Any] = []

            def reads() -> bool:
                read.extend(one for some in monitor.poll(1000).values() for one in some)
                if not is_stable(state := monitor.group_metadata()):
                    unstick(monitor, state)  # a join that outlasts the poll is not forgotten
                return len(read) == 3

            wait_for(reads, nap_s=0)

            def waits() -> bool:
                monitor.poll(100)
                with suppress(KafkaError):  # while the group is joined anew
                    monitor.commit()
                return feed.status.monitor_waits

            wait_for(waits)
            broker.write(rows, [b"{}"], partition=0)
            wait_for(lambda: not feed.status.monitor_waits)
            wait_for(lambda: feed.status.monitor_stands)  # it answers no more
            assert feed.status.answers
            monitor.seek(TopicPartition(rows, 0), 4)
            wait_for(waits)
            assert not feed.status.monitor_stands
