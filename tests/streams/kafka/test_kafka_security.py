"""TLS and SCRAM on a real broker, and no secret in any log line, not even at DEBUG."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from sheetbreak.errors import SheetbreakError, StreamUnavailable
from sheetbreak.streams.kafka.clients import new_admin
from sheetbreak.streams.kafka.options import KafkaOptions, Security, parse_address, security_from
from sheetbreak.streams.kafka.stream import KafkaStream, open_kafka
from sheetbreak.wire.topics import OUTPUTS
from tests.support.kafka.broker import Broker, need_java
from tests.support.running.patience import wait_for
from tests.support.running.services import need
from tests.support.streams.checks import answers, commit, expected_answers, parts, poll_until, restore, rows

PASSWORD = "correct-horse-battery"
PREFIX = "SHEETBREAK_KAFKA_"


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem; server.pem with its key, for localhost; client.pem and client.key."""
    need(os.system("openssl version >/dev/null 2>&1") == 0, "certificates are made by openssl: not on the PATH")
    folder = tmp_path_factory.mktemp("certificates")
    new_key = ["-newkey", "rsa:2048", "-nodes", "-sha256"]
    openssl(folder, "req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca")
    for name in ("server", "client"):
        openssl(folder, "req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "names").write_text("subjectAltName=DNS:localhost\n")
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signing)
    pair = (folder / "server.key").read_text() + (folder / "server.pem").read_text()
    (folder / "server-pair.pem").write_text(pair)
    openssl(
        folder, "req", "-x509", *new_key, "-keyout", "x.key", "-out", "stranger.pem", "-days", "2", "-subj", "/CN=x"
    )
    return folder


@pytest.fixture(scope="module")
def guarded(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that has, beside its plain listener, one with TLS and SCRAM at `guarded.tls_port`."""
    need_java()
    broker = Broker(tmp_path_factory.mktemp("guarded"))
    port = broker.free_port()
    broker.settings += broker.as_options(
        {
            "listeners": f"+SASL_SSL://127.0.0.1:{port}",
            "advertised.listeners": f"+SASL_SSL://localhost:{port}",
            "listener.security.protocol.map": "+SASL_SSL:SASL_SSL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(certificates / "server-pair.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(certificates / "ca.pem"),
            "listener.name.sasl_ssl.ssl.client.auth": "requested",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "listener.name.sasl_ssl.plain.sasl.jaas.config": (
                f'org.apache.kafka.common.security.plain.PlainLoginModule required user_mill="{PASSWORD}";'
            ),
        }
    )
    broker.start()
    admin = new_admin(parse_address(broker.url("x")), Security())
    admin.alter_user_scram_credentials([UserScramCredentialUpsertion("mill", ScramMechanism.SCRAM_SHA_512, PASSWORD)])
    admin.close()
    broker.tls_port = port
    yield broker
    broker.kill()


@pytest.fixture
def variables(certificates: Path) -> dict[str, str]:
    """What a user sets."""
    return {
        PREFIX + "SECURITY_PROTOCOL": "SASL_SSL",
        PREFIX + "SSL_CAFILE": str(certificates / "ca.pem"),
        PREFIX + "SASL_MECHANISM": "SCRAM-SHA-512",
        PREFIX + "SASL_USERNAME": "mill",
        PREFIX + "SASL_PASSWORD": PASSWORD,
    }


def open_guarded(broker: Broker, variables: Mapping[str, str], prefix: str) -> KafkaStream:
    options = KafkaOptions(
        group=prefix, instance_id="one", topic_prefix=prefix, security=security_from(variables), session_timeout_s=6
    )
    _, stream = open_kafka(f"kafka://localhost:{broker.tls_port}/{prefix}sensor-rows", emit=OUTPUTS, options=options)
    return stream


def error_of(stream: KafkaStream) -> SheetbreakError:
    with pytest.raises(SheetbreakError) as raised:
        wait_for(lambda: stream.poll(0.1).records, nap_s=0)
    stream.close()
    return raised.value


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_stream_works_over_tls_and_sasl_and_no_log_line_holds_the_password(
    guarded: Broker, variables: dict[str, str], mechanism: str, caplog: pytest.LogCaptureFixture
) -> None:
    prefix = guarded.create_topics()
    guarded.write(prefix + "sensor-rows", rows(20))
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="kafka"):
        variables[PREFIX + "SASL_MECHANISM"] = mechanism
        stream = open_guarded(guarded, variables, prefix)
        for batch in poll_until(stream, 20):
            for partition in batch.assigned:
                assert restore(stream, partition) == {}
            if batch.records:
                commit(stream, batch, answers(batch), parts(0, core=b"x"))
        stream.close()
    assert guarded.values(prefix + "scores") == expected_answers(rows(20))
    assert len(caplog.records) > 100
    assert "SaslHandshake" in caplog.text or "kafka.net" in caplog.text
    assert PASSWORD not in caplog.text
    assert PASSWORD.encode().hex() not in caplog.text


def test_a_client_certificate_is_passed_through(guarded: Broker, variables: dict[str, str], certificates: Path) -> None:
    prefix = guarded.create_topics()
    variables[PREFIX + "SSL_CERTFILE"] = str(certificates / "client.pem")
    variables[PREFIX + "SSL_KEYFILE"] = str(certificates / "client.key")
    guarded.write(prefix + "sensor-rows", rows(1))
    stream = open_guarded(guarded, variables, prefix)
    assert any(batch.records for batch in poll_until(stream, 1))
    stream.close()
    variables[PREFIX + "SSL_KEYFILE"] = str(certificates / "ca.key")  # not this certificate's
    assert "key values mismatch" in str(error_of(open_guarded(guarded, variables, prefix)))


def test_a_wrong_password_is_told_as_such_and_is_not_shown(
    guarded: Broker, variables: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    variables[PREFIX + "SASL_PASSWORD"] = "wrong-donkey"
    with caplog.at_level(logging.DEBUG, logger="kafka"):
        prefix, said = guarded.create_topics(), list[str]()

        def refused() -> bool:  # a broker that is busy is away first
            said.append(str(error_of(open_guarded(guarded, variables, prefix))))
            return "login that is refused" in said[-1]

        wait_for(refused)
    assert "wrong-donkey" not in "".join(said) + caplog.text


def test_a_broker_whose_certificate_nobody_signed_is_not_talked_to(
    guarded: Broker, variables: dict[str, str], certificates: Path
) -> None:
    variables[PREFIX + "SSL_CAFILE"] = str(certificates / "stranger.pem")
    prefix = guarded.create_topics()

    def refused() -> bool:  # a broker that is busy is away first
        error = error_of(open_guarded(guarded, variables, prefix))
        assert type(error) is StreamUnavailable
        return "CERTIFICATE_VERIFY_FAILED" in str(error)

    wait_for(refused)


def test_the_topics_command_takes_the_same_variables(guarded: Broker, variables: dict[str, str]) -> None:
    url = f"kafka://localhost:{guarded.tls_port}"
    command = [sys.executable, "-m", "sheetbreak", "topics", "create", url, "--topic-prefix", "guarded."]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("created with 4 partitions") == 6
    assert PASSWORD not in done.stdout + done.stderr
