"""Three brokers, as a mill has them: restarted one after the other under a stream, which loses and repeats nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sheetbreak.streams.kafka.clients import new_admin
from sheetbreak.streams.kafka.options import Security, parse_address
from tests.support.kafka.broker import Cluster, need_java
from tests.support.kafka.counter import Counter
from tests.support.kafka.rig import KafkaRig
from tests.support.running.patience import patiently, wait_for

PARTITIONS = 2


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    need_java()
    cluster = Cluster(tmp_path)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()


def test_a_rolling_restart_of_three_brokers_loses_and_repeats_nothing(cluster: Cluster) -> None:
    rig = KafkaRig(cluster, partitions=PARTITIONS)
    try:
        admin = new_admin(parse_address(rig.url), Security())
        (topic,) = patiently(lambda: admin.describe_topics([f"{rig.prefix}sensor-rows"]))
        admin.close()
        assert [len(partition["replica_nodes"]) for partition in topic["partitions"]] == [3] * PARTITIONS
        counter = Counter(rig.open())
        sent = 0

        def rows_come() -> None:
            nonlocal sent
            for partition in range(PARTITIONS):
                rig.feed([b"%d" % row for row in range(sent, sent + 10)], partition=partition)
            sent += 10

            def answered() -> bool:
                counter.turn(0.1)
                return sum(counter.counts.values()) == PARTITIONS * sent

            wait_for(answered, nap_s=0)

        rows_come()
        for node in (1, 2, 3):
            cluster.stop_node(node)
            rows_come()
            cluster.start_node(node)
            rows_come()
        scores = [json.loads(value) for value in cluster.values(f"{rig.prefix}scores")]
        for partition in range(PARTITIONS):
            found = [(score["n"], score["row"]) for score in scores if score["partition"] == partition]
            assert found == [(row, row) for row in range(sent)]
    finally:
        rig.tear_down()
