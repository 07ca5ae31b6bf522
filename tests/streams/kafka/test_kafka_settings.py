"""What a user may say about Kafka, and that no secret of it shows."""

import contextlib
import logging
import selectors
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetbreak.errors import DataError
from sheetbreak.streams.kafka.admin.topics import names_for
from sheetbreak.streams.kafka.clients import Selector
from sheetbreak.streams.kafka.options import (
    _VARIABLES,
    PREFIX,
    Address,
    KafkaOptions,
    Secret,
    Security,
    parse_address,
    security_from,
    topic_name,
)
from sheetbreak.wire.topics import TOPICS

SCRAM = {
    "SHEETBREAK_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
    "SHEETBREAK_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "SHEETBREAK_KAFKA_SASL_USERNAME": "mill",
    "SHEETBREAK_KAFKA_SASL_PASSWORD": "hunter2",
}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("kafka://localhost:9092/rows", Address(("localhost:9092",), "rows")),
        ("kafka://a,b:1/my.rows_1", Address(("a:9092", "b:1"), "my.rows_1")),
        ("kafka://[::1]:9093/rows", Address(("[::1]:9093",), "rows")),
    ],
)
def test_an_address_names_servers_and_a_topic(url, expected):
    assert parse_address(url) == expected
    assert parse_address(str(expected)) == expected


@pytest.mark.parametrize(
    "url",
    ["kafka://", "kafka:///rows", "kafka://h:9092", "kafka://h:9092/", "kafka://h:x/rows", "kafka://h:99999/rows",
     "kafka://h:9092/a/b", "kafka://h,/rows", "http://h/rows", "kafka://h:9092/with space", "kafka://h:0/rows"],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_an_example(url):
    with pytest.raises(DataError, match="expected kafka://host:9092/topic"):
        parse_address(url)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_data_error(text):
    with contextlib.suppress(DataError):
        parse_address("kafka://" + text)


def test_the_topic_may_be_left_out_only_where_none_is_needed():
    assert parse_address("kafka://h:9092", needs_topic=False) == Address(("h:9092",), "")


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(DataError) as refused:
        parse_address("kafka://mill:hunter2@h:9092/rows")
    assert "hunter2" not in str(refused.value)
    assert "SHEETBREAK_KAFKA_SASL_PASSWORD_FILE" in str(refused.value)


def test_a_prefix_stands_before_all_five_topics_and_before_no_topic_of_the_users_own():
    assert [topic_name(name, "mill1.") for name in TOPICS] == [f"mill1.{name}" for name in TOPICS]
    assert topic_name("mill1.sensor-rows", "mill1.") == "mill1.sensor-rows"
    assert topic_name("press-section", "mill1.") == "press-section"


@pytest.mark.parametrize(("topic", "prefix"), [("dead-letters", ""), ("scores", "mill1."), ("mill1.alerts", "mill1.")])
def test_a_monitor_does_not_read_what_it_writes(topic, prefix):
    """A dead letter is no row: each would be answered with the next, longer one, for ever."""
    with pytest.raises(DataError, match="the monitor writes"):
        names_for(topic, prefix, emit=frozenset())


def test_without_variables_the_connection_is_plain():
    assert security_from({"HOME": "/", "SHEETBREAK_KAFKA_SASL_PASSWORD": ""}) == Security()


def test_settings_are_passed_through_by_kafka_pythons_names(tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text("")
    security = security_from(SCRAM | {"SHEETBREAK_KAFKA_SSL_CAFILE": str(ca)})
    assert security.settings() == {
        "security_protocol": "SASL_SSL",
        "ssl_cafile": str(ca),
        "ssl_check_hostname": True,
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "mill",
        "sasl_plain_password": "hunter2",
    }


def test_a_password_may_lie_in_a_file(tmp_path):
    (tmp_path / "secret").write_text("hunter2\n")
    by_file = {k: v for k, v in SCRAM.items() if not k.endswith("PASSWORD")}
    by_file["SHEETBREAK_KAFKA_SASL_PASSWORD_FILE"] = str(tmp_path / "secret")
    assert security_from(by_file) == security_from(SCRAM)


def test_no_secret_shows_in_a_repr_or_in_a_log_of_the_settings():
    security = security_from(SCRAM)
    options = KafkaOptions(security=security)
    assert "hunter2" not in f"{security!r} {options!r} {security.settings()} {Secret('hunter2')!r}"


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"SHEETBREAK_KAFKA_SECURITY_PROTOCOL": "TLS"}, "is not one of PLAINTEXT, SSL"),
        ({"SHEETBREAK_KAFKA_SECURITY_PROTOCOL": ""}, "SASL is set up, but .*PROTOCOL is PLAINTEXT"),
        ({"SHEETBREAK_KAFKA_SASL_MECHANISM": "KERBEROS"}, "is not one of PLAIN"),
        ({"SHEETBREAK_KAFKA_SASL_USERNAME": ""}, "set SHEETBREAK_KAFKA_SASL_MECHANISM"),
        ({"SHEETBREAK_KAFKA_SSL_CAFILE": "/nowhere/ca.pem"}, "no file /nowhere/ca.pem"),
        ({"SHEETBREAK_KAFKA_SASL_PASSWORD_FILE": "/nowhere/secret"}, "/nowhere/secret cannot be read"),
        ({"SHEETBREAK_KAFKA_SSL_CHECK_HOSTNAME": "perhaps"}, "is not one of true"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(changed, complaint):
    with pytest.raises(DataError, match=complaint):
        security_from(SCRAM | changed)


def test_a_certificate_without_tls_is_refused(tmp_path):
    (tmp_path / "ca.pem").write_text("")
    with pytest.raises(DataError, match="use SSL or SASL_SSL"):
        security_from({"SHEETBREAK_KAFKA_SSL_CAFILE": str(tmp_path / "ca.pem")})


def test_an_unknown_variable_is_named_in_the_log_without_its_value(caplog):
    with caplog.at_level(logging.WARNING):
        assert security_from({"SHEETBREAK_KAFKA_SASL_PASSWROD": "hunter2"}) == Security()
    assert "SHEETBREAK_KAFKA_SASL_PASSWROD" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("name", ["", "a b", ".", "ä", "x" * 250])
def test_an_instance_id_that_kafka_would_refuse_is_refused_at_once(name):
    with pytest.raises(DataError, match="--instance-id"):
        KafkaOptions(instance_id=name)


@given(st.tuples(*[st.text("gx-1", min_size=1, max_size=4)] * 4))
def test_two_monitors_have_one_transactional_id_only_if_group_and_instance_are_the_same(names):
    one, other = KafkaOptions(group=names[0], instance_id=names[1]), KafkaOptions(group=names[2], instance_id=names[3])
    assert (one.transactional_id == other.transactional_id) == (names[:2] == names[2:])
    assert one.transactional_id.startswith(names[0] + "-"), "rights are given by prefix"


def test_an_instance_without_a_hyphen_keeps_the_id_that_older_versions_gave_it():
    assert KafkaOptions(group="sheetbreak-monitor", instance_id="a1").transactional_id == "sheetbreak-monitor-a1"


def test_the_transactional_id_is_the_same_after_every_restart_and_another_for_another_instance():
    assert KafkaOptions(instance_id="a").transactional_id == KafkaOptions(instance_id="a").transactional_id
    assert KafkaOptions(instance_id="a").transactional_id != KafkaOptions(instance_id="b").transactional_id


def test_the_docs_name_every_variable(checkout: Path) -> None:
    page = (checkout / "docs" / "operating.md").read_text()
    ours = [name for name in _VARIABLES if "PLAIN_" not in name]
    assert [name for name in ours if f"`{PREFIX}{name}`" not in page] == []


class NotDescribed(socket.socket):
    """A socket that must not be described."""

    def __repr__(self) -> str:
        raise AssertionError("nobody reads it")


def test_a_socket_that_is_not_registered_is_not_described() -> None:
    """kafka-python asks before each wait, and catches the KeyError."""
    with contextlib.closing(Selector()) as selector, NotDescribed() as one:
        with pytest.raises(KeyError):
            selector.get_key(one)
        selector.register(one, selectors.EVENT_READ, "reader")
        selector.modify(one, selectors.EVENT_READ | selectors.EVENT_WRITE, "both")
        assert selector.get_key(one).data == "both"
        one.close()
        selector.unregister(one)
        assert not selector.get_map()
        with pytest.raises(KeyError):
            selector.get_key(one)
