"""A monitor's side of the session's broker, as most tests of the Kafka stream have it."""

from collections.abc import Iterator

import pytest

from tests.support.kafka.broker import Broker
from tests.support.kafka.rig import KafkaRig


@pytest.fixture
def rig(broker: Broker) -> Iterator[KafkaRig]:
    rig = KafkaRig(broker)
    yield rig
    rig.tear_down()
