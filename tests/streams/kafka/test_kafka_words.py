"""What is said when Kafka is not as it should be: in words, with the address or the setting, and not too often."""

import logging
from collections.abc import Mapping

import pytest
from kafka import KafkaProducer
from kafka import errors as kafka_errors

from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.clients import new_admin
from sheetbreak.streams.kafka.errors import Decision, decide, stream_error
from sheetbreak.streams.kafka.group.positions import StableOffsets
from sheetbreak.streams.kafka.library_log import LastFailure, Rarely, hint_at
from sheetbreak.streams.kafka.options import Security, parse_address
from sheetbreak.streams.kafka.reading import last_values
from sheetbreak.streams.protocol import Stream
from tests.support.kafka.rig import KafkaRig
from tests.support.running.patience import patiently, wait_for
from tests.support.streams.checks import answers, commit, parts, poll_until, restore, rows


def test_an_answer_that_kafka_python_wraps_is_decided_by_what_it_means() -> None:
    wrapped = kafka_errors.KafkaError(
        "Unexpected error in InitProducerIdResponse: [Error 50] InvalidTransactionTimeoutError"
    )
    assert decide(wrapped) is Decision.REFUSED
    assert decide(kafka_errors.KafkaError("it is in an error state")) is Decision.LOST
    error = stream_error(wrapped, "poll")
    assert isinstance(error, DataError)
    assert "transaction.max.timeout.ms" in str(error)
    assert "--transaction-timeout" in str(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (kafka_errors.InvalidSessionTimeoutError(), ("group.min.session.timeout.ms", "--session-timeout")),
        (kafka_errors.TopicAuthorizationFailedError("scores"), ("scores", "WRITE")),
        (kafka_errors.TransactionalIdAuthorizationFailedError("g-a"), ("g-a", "WRITE")),
        (kafka_errors.InvalidTimestampError(), ("clock", "LogAppendTime")),
        (kafka_errors.SaslAuthenticationFailedError("x"), ("password",)),
        (kafka_errors.InconsistentGroupProtocolError(), ("--group",)),
    ],
)
def test_what_kafka_refuses_is_said_with_its_remedy(error: Exception, words: tuple[str, ...]) -> None:
    text = str(stream_error(error, "commit"))
    assert all(word in text for word in words), text


def test_an_address_that_nobody_answers_is_named_in_the_error() -> None:
    with pytest.raises(kafka_errors.KafkaError, match=r"127\.0\.0\.1:1\b"):
        new_admin(parse_address("kafka://127.0.0.1:1/rows"), Security())


@pytest.mark.parametrize(
    ("failure", "protocol", "words"),
    [
        ("KafkaConnectionError: socket disconnected", "PLAINTEXT", ("TLS", "not a Kafka port", "is PLAINTEXT")),
        ("KafkaConnectionError: [Errno 104] Connection reset by peer", "PLAINTEXT", ("TLS", "is PLAINTEXT")),
        ("KafkaConnectionError: socket disconnected", "SASL_SSL", ("login that is refused", "is SASL_SSL")),
        ("Handshake failed: [SSL: UNEXPECTED_EOF]", "SSL", ("without TLS", "is SSL")),
        ("[Error 34] IllegalSaslStateError", "SASL_PLAINTEXT", ("SASL", "login", "is SASL_PLAINTEXT")),
        ("[Error 33] UnsupportedSaslMechanismError", "SASL_SSL", ("mechanism", "is SASL_SSL")),
        ("InvalidReceiveError: Invalid frame length: 1008813135", "PLAINTEXT", ("speaks no Kafka", "HTTP")),
    ],
)
def test_a_connection_that_fails_is_told_with_what_it_may_mean(
    failure: str, protocol: str, words: tuple[str, ...]
) -> None:
    hint = hint_at(failure, protocol)
    assert all(word in hint for word in words), hint


def test_a_failure_that_speaks_for_itself_has_no_hint() -> None:
    assert hint_at("Handshake failed: certificate verify failed", "SSL") == ""
    assert hint_at("127.0.0.1:1: 111 ECONNREFUSED", "PLAINTEXT") == ""


def test_why_a_login_failed_is_not_hidden_by_a_try_that_our_deadline_cut_off() -> None:
    manager, reason = logging.getLogger("kafka.net.manager"), LastFailure()
    failures = kafka_errors.KafkaTimeoutError("first"), kafka_errors.KafkaConnectionError("socket disconnected")
    with reason:
        for failure in (*failures, kafka_errors.KafkaTimeoutError("cut off")):
            manager.warning("Bootstrap connection to %s failed: %s (backoff %.2f secs)", "bootstrap-0", failure, 0.1)
    assert reason.text == str(failures[1])


def test_what_a_library_repeats_is_said_once_a_minute_with_how_often(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("sheetbreak.streams.kafka.library_log.time.monotonic", lambda: now[0])
    rarely = Rarely()
    for _ in range(600):
        now[0] += 0.1
        for text in ("Connection failed: %s", "socket %s disconnected"):
            rarely.emit(logging.LogRecord("kafka.net.manager", logging.ERROR, "", 1, text, ("x",), None))
    assert [record.getMessage() for record in caplog.records] == ["Connection failed: x"]
    now[0] += 1
    rarely.emit(logging.LogRecord("kafka.net.manager", logging.ERROR, "", 1, "again", (), None))
    assert caplog.records[-1].getMessage() == "again (1199 more such lines since the last one)"


def test_a_stable_offset_that_stands_still_is_told_and_one_that_moves_is_not(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("sheetbreak.streams.kafka.group.positions.time.monotonic", lambda: now[0])
    stable = StableOffsets()
    for _ in range(12):
        now[0] += 5
        stable.look(0, 10, 60)
        stable.look(1, int(now[0]), 1000)
        stable.look(2, 7, 7)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "partition=0 stable_offset=10 waiting=50" in told[0]
    assert "stable offset stuck at 10" in told[0]


@pytest.mark.parametrize("codec", ["snappy", "lz4", "zstd", "gzip"])
def test_rows_and_state_are_read_whatever_the_topics_codec(rig: KafkaRig, codec: str) -> None:
    for name in ("sensor-rows", "monitor-state"):
        rig.operator.configure(rig.prefix + name, {"compression.type": codec})
    rig.feed(rows(20))
    stream = rig.open()
    batch = next(batch for batch in poll_until(stream, 1) if batch.records)
    commit(stream, batch, answers(batch), parts(0, pm1=b"x" * 1000))
    again = rig.open()
    wait_for(lambda: patiently(lambda: again.poll(0.1)).assigned)
    assert restore(again, 0) == {b"pm1": b"x" * 1000}


def test_the_lag_counts_rows_behind_an_open_transaction(rig: KafkaRig) -> None:
    rig.feed(rows(10))
    writer = KafkaProducer(bootstrap_servers=rig.broker.address, transactional_id=rig.prefix + "writer")
    writer.init_transactions()
    writer.begin_transaction()
    writer.send(rig.prefix + "sensor-rows", b"1", partition=0)
    writer.flush()
    rig.feed(rows(4, first=11))
    stream = rig.open()
    wait_for(lambda: _lag_after_a_turn(stream) == {0: 5}, nap_s=0)
    writer.commit_transaction()
    writer.close()
    wait_for(lambda: _lag_after_a_turn(stream) == {0: 0}, nap_s=0)


def _lag_after_a_turn(stream: Stream) -> Mapping[int, int]:
    batch = patiently(lambda: stream.poll(0.1))
    if batch.records:
        commit(stream, batch, answers(batch), [])
    return patiently(stream.lag)


def test_the_last_row_is_found_behind_what_is_no_row(rig: KafkaRig) -> None:
    rig.feed([b"row", *[b"garbage"] * 30])
    topic = rig.prefix + "sensor-rows"
    assert patiently(lambda: last_values(rig.broker.url(topic), accept=lambda value: value == b"row")) == [b"row"]
    assert patiently(lambda: last_values(rig.broker.url(topic), accept=lambda value: value == b"other")) == []


def test_a_stream_is_ready_once_it_has_joined(rig: KafkaRig) -> None:
    stream = rig.open()
    first = patiently(lambda: stream.poll(0.0))
    assert not first.ready or first.assigned
    wait_for(lambda: patiently(lambda: stream.poll(0.1)).ready)
    assert patiently(lambda: stream.poll(0.1)).ready
