"""Which decision each of Kafka's errors calls for."""

import inspect

import pytest
from kafka import errors as kafka_errors

from sheetbreak.errors import DataError, StreamFenced, StreamLost, StreamUnavailable
from sheetbreak.streams.kafka.errors import DECISIONS, Decision, decide, stream_error
from sheetbreak.streams.kafka.transaction import PublishFailed

ABSTRACT = {"KafkaError", "BrokerResponseError"}
"""What they say is only where an error comes from."""
EVERY = [
    error
    for _, error in inspect.getmembers(kafka_errors, inspect.isclass)
    if issubclass(error, kafka_errors.KafkaError) and error.__name__ not in ABSTRACT
]


def test_the_library_has_the_errors_that_the_table_was_made_from() -> None:
    assert len(EVERY) > 120


@pytest.mark.parametrize("error", EVERY, ids=lambda error: error.__name__)
def test_every_error_of_the_library_is_mapped_by_itself_or_by_a_base_that_says_something(
    error: type[Exception],
) -> None:
    """A new version's new error has to be thought about: put it into kafka_errors.py."""
    assert any(base in DECISIONS for base in error.__mro__)


@pytest.mark.parametrize("error", EVERY, ids=lambda error: error.__name__)
def test_an_error_that_the_library_calls_retriable_is_retried(error: type[Exception]) -> None:
    exempt = {"UnknownTopicOrPartitionError"}  # the topics are checked again, which says how to mend it
    if issubclass(error, kafka_errors.RetriableError) and error.__name__ not in exempt:
        assert decide(error()) is Decision.UNAVAILABLE


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (kafka_errors.KafkaTimeoutError("x"), StreamUnavailable),
        (kafka_errors.KafkaConnectionError("x"), StreamUnavailable),
        (kafka_errors.CommitFailedError("x"), StreamLost),
        (kafka_errors.IllegalGenerationError("x"), StreamLost),
        (kafka_errors.KafkaError("in an error state"), StreamLost),
        (kafka_errors.ProducerFencedError("x"), StreamFenced),
        (kafka_errors.FencedInstanceIdError("x"), StreamFenced),
        (kafka_errors.SaslAuthenticationFailedError("x"), DataError),
        (kafka_errors.TopicAuthorizationFailedError("x"), DataError),
    ],
)
def test_an_error_becomes_the_one_that_names_the_decision(error: Exception, expected: type[Exception]) -> None:
    assert type(stream_error(error, "commit")) is expected


def test_an_error_that_nobody_has_seen_starts_again_from_what_was_committed() -> None:
    class Unheard(kafka_errors.KafkaError):
        pass

    assert decide(Unheard()) is Decision.LOST


def failed(error: Exception, *, may_be_committed: bool, took_s: float = 0.1) -> Exception:
    failure = PublishFailed(error, may_be_committed=may_be_committed)
    return failure.decide(took_s=took_s, timeout_s=15.0)


def test_a_batch_is_tried_again_only_while_it_is_certain_that_it_was_not_committed() -> None:
    away = kafka_errors.KafkaTimeoutError("away")
    assert type(failed(away, may_be_committed=False)) is StreamUnavailable
    assert type(failed(away, may_be_committed=True)) is StreamLost


def test_a_transaction_that_outlived_its_timeout_is_lost_and_not_fenced() -> None:
    fenced = kafka_errors.ProducerFencedError("fenced")
    assert type(failed(fenced, may_be_committed=True, took_s=14.9)) is StreamFenced
    assert type(failed(fenced, may_be_committed=True, took_s=15.0)) is StreamLost
