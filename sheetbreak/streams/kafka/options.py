"""Options for Kafka: address, TLS and SASL from the environment, checked. Imports no kafka."""

import logging
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sheetbreak.errors import DataError
from sheetbreak.wire.topics import ACTIONS, STATE, TOPICS

PREFIX = "SHEETBREAK_KAFKA_"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
"""What Kafka allows for a topic and for a static member's id."""
LIKE_A_BROKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*:\d{2,5}(/[A-Za-z0-9._-]*)?")
"""What is a Kafka address but for its scheme."""
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

log = logging.getLogger(__name__)


class Secret(str):
    """A string that a log line, a traceback or a repr of what holds it does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the brokers are, and which topic is meant."""

    servers: tuple[str, ...]
    """host:port each; any one of them is enough to find the others."""
    topic: str
    """Empty where the address names none."""

    def __str__(self) -> str:
        return f"kafka://{','.join(self.servers)}" + (f"/{self.topic}" if self.topic else "")


def parse_address(url: str, *, needs_topic: bool = True) -> Address:
    """The parts of `kafka://host:9092[,host2:9092]/topic`; a port may be left out.

    Raises DataError where it is not such an address.
    """
    example = "expected kafka://host:9092/topic" if needs_topic else "expected kafka://host:9092"
    scheme, _, rest = url.partition("://")
    if scheme != "kafka":
        meant = f"; did you mean kafka://{url}?" if LIKE_A_BROKER.fullmatch(url) else ""
        raise DataError(f"{url}: not a Kafka address{meant}; {example}")
    hosts, _, topic = rest.partition("/")
    if "@" in hosts:  # the message must not show what stands before it
        raise DataError(
            f"a Kafka address holds no user or password; set {PREFIX}SASL_USERNAME and {PREFIX}SASL_PASSWORD_FILE"
        )
    servers = tuple(_server(host, url, example) for host in hosts.split(","))
    if needs_topic and not topic:
        raise DataError(f"{url}: no topic is named; {example}")
    if topic and not _NAME.fullmatch(topic):
        raise DataError(f"{url}: {topic!r} is not a topic's name (letters, digits, . _ -); {example}")
    return Address(servers, topic)


def _server(text: str, url: str, example: str) -> str:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/?#\[\]]+)(?::(\d{1,5}))?", text)
    port = int(found[2] or 9092) if found else 0
    if found is None or not 0 < port < 65536:
        raise DataError(f"{url}: {text!r} is not host:port; {example}")
    return f"{found[1]}:{port}"


def topic_name(name: str, prefix: str) -> str:
    """The full name of one of our topics, or of a user's own.

    Ours get the prefix, unless the name has it already; a topic of the user's own is taken as it is.
    """
    return prefix + name if name in (*TOPICS, ACTIONS) else name


@dataclass(frozen=True, slots=True)
class Security:
    """TLS and SASL, by the names that kafka-python gives them; None: its default."""

    security_protocol: str = "PLAINTEXT"
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_password: Secret | None = field(default=None, repr=False)
    ssl_check_hostname: bool = True
    sasl_mechanism: str | None = None
    sasl_plain_username: str | None = None
    sasl_plain_password: Secret | None = field(default=None, repr=False)

    def settings(self) -> dict[str, Any]:
        """What a client of kafka-python is told."""
        return {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) is not None}


_VARIABLES = {
    "SECURITY_PROTOCOL": "security_protocol",
    "SSL_CAFILE": "ssl_cafile",
    "SSL_CERTFILE": "ssl_certfile",
    "SSL_KEYFILE": "ssl_keyfile",
    "SSL_PASSWORD": "ssl_password",
    "SSL_CHECK_HOSTNAME": "ssl_check_hostname",
    "SASL_MECHANISM": "sasl_mechanism",
    "SASL_USERNAME": "sasl_plain_username",
    "SASL_PASSWORD": "sasl_plain_password",
    # kafka-python's own names, for those who know them
    "SASL_PLAIN_USERNAME": "sasl_plain_username",
    "SASL_PLAIN_PASSWORD": "sasl_plain_password",
}
"""Each may also end in _FILE and name a file that holds the value, as container secrets do."""


def security_from(environment: Mapping[str, str]) -> Security:
    """TLS and SASL from SHEETBREAK_KAFKA_* variables; an empty one counts as absent.

    Raises DataError for a value that cannot be right, a file that is not there, or settings that contradict
    one another.
    """
    given: dict[str, Any] = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or not text:
            continue
        name = variable.removeprefix(PREFIX)
        if name not in _VARIABLES and name.removesuffix("_FILE") in _VARIABLES:
            name, text = name.removesuffix("_FILE"), _content(variable, Path(text))
        if name not in _VARIABLES:
            note = f"it is not known and ignored; known are {', '.join(_VARIABLES)}"
            log.warning("event=unknown-variable variable=%s note=%r", variable, note)
            continue
        given[_VARIABLES[name]] = _value(variable, _VARIABLES[name], text)
    security = Security(**given)
    _refuse_contradictions(security)
    return security


def environment_security() -> Security:
    """TLS and SASL as this process's environment has them. Raises DataError like security_from."""
    return security_from(os.environ)


def _content(variable: str, path: Path) -> str:
    try:
        return path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as cause:
        raise DataError(f"{variable}: {path} cannot be read; name a file that holds the value") from cause


def _value(variable: str, name: str, text: str) -> Any:
    if name in ("sasl_plain_password", "ssl_password"):
        return Secret(text)
    if name == "ssl_check_hostname":
        if text.lower() not in _WORDS:
            raise DataError(f"{variable}: {text!r} is not one of {', '.join(_WORDS)}")
        return _WORDS[text.lower()]
    choices = {"security_protocol": _PROTOCOLS, "sasl_mechanism": _MECHANISMS}.get(name)
    if choices is not None:
        if text.upper() not in choices:
            raise DataError(f"{variable}: {text!r} is not one of {', '.join(choices)}")
        return text.upper()
    if name.endswith("file") and not Path(text).is_file():
        raise DataError(f"{variable}: there is no file {text}")
    return text


def _refuse_contradictions(security: Security) -> None:
    protocol = security.security_protocol
    tls = [name for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile") if getattr(security, name)]
    sasl = [
        name for name in ("sasl_mechanism", "sasl_plain_username", "sasl_plain_password") if getattr(security, name)
    ]
    # Otherwise a password would go over the wire in the clear, or not at all, and nobody would be told.
    if tls and not protocol.endswith("SSL"):
        raise DataError(
            f"{PREFIX}{tls[0].upper()} is set, but {PREFIX}SECURITY_PROTOCOL is {protocol}; use SSL or SASL_SSL"
        )
    if sasl and not protocol.startswith("SASL"):
        raise DataError(f"SASL is set up, but {PREFIX}SECURITY_PROTOCOL is {protocol}; use SASL_SSL or SASL_PLAINTEXT")
    if protocol.startswith("SASL") and len(sasl) < 3:
        raise DataError(
            f"{PREFIX}SECURITY_PROTOCOL is {protocol}: set {PREFIX}SASL_MECHANISM, {PREFIX}SASL_USERNAME and "
            f"{PREFIX}SASL_PASSWORD (or {PREFIX}SASL_PASSWORD_FILE)"
        )


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """How a monitor takes part in Kafka. Raises DataError for a name that Kafka would refuse."""

    group: str = "sheetbreak-monitor"
    instance_id: str = field(default_factory=socket.gethostname)
    """Names the transactional id and the static member of the group: for one process at a time."""
    topic_prefix: str = ""
    latency_s: float = 0.05
    """A row waits for so long at most until its batch is cut and committed: a small transaction costs 5 ms, too.
    0: each row goes at once."""
    max_rows: int = 10_000
    """Rows of a batch at most: a backlog's. With 1000, a row of 1,000 interleaved machines cost 54-70 µs instead of
    41-44, and three times the state was written."""
    session_timeout_s: float = 10.0
    """A monitor that is silent for so long loses its partitions to the others."""
    transaction_timeout_s: float = 15.0
    """A dead monitor's open transaction holds up its readers and its successor for at most so long."""
    hang_limit_s: float = 60.0
    """A transaction that hangs for so long, while the broker can be reached, ends the process."""
    security: Security | None = None
    """None: from the environment."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.instance_id) or self.instance_id in (".", ".."):
            raise DataError(
                f"instance id {self.instance_id!r} is not letters, digits, . _ - (at most 249); give another "
                "with --instance-id"
            )
        if self.topic_prefix and not _NAME.fullmatch(self.topic_prefix + STATE):
            raise DataError(f"--topic-prefix {self.topic_prefix!r}: a topic's name is letters, digits, . _ -")
        if not self.group:
            raise DataError("--group is empty; the default is sheetbreak-monitor")

    @property
    def transactional_id(self) -> str:
        """The same after every restart, so that a new process ends what its dead predecessor left open."""
        # A hyphen of the instance's would make `g` + `x-1` and `g-x` + `1` one id; ~ is in no instance's name, so the
        # last hyphen parts them. The group comes first, whole: rights are given by prefix.
        return f"{self.group}-{self.instance_id.replace('-', '~')}"
