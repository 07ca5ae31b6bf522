"""The Kafka stream on a real broker: what every stream promises, then what only this one can."""

from collections.abc import Iterator

import pytest

from tests.kafka_broker import Broker
from tests.kafka_rig import KafkaRig
from tests.stream_checks import *  # noqa: F403 - the checks run here, on a broker


@pytest.fixture
def rig(broker: Broker) -> Iterator[KafkaRig]:
    rig = KafkaRig(broker)
    yield rig
    rig.tear_down()


@pytest.fixture
def rewinding_rig(rig: KafkaRig) -> KafkaRig:
    return rig
