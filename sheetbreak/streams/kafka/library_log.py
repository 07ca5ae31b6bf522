"""Log lines of kafka-python: each kind once a minute, no secret, and what a failed connection may mean."""

import logging
import time

from kafka.errors import KafkaTimeoutError, UnstableOffsetCommitError

from sheetbreak.streams.kafka.options import PREFIX
from sheetbreak.times import SAY_AGAIN_S

_KINDS = 1000
_MANAGER_LOG = logging.getLogger("kafka.net.manager")


def tame_log() -> None:
    """See to it that the library's lines go through here. Called again it does nothing."""
    for name in ("kafka.net.connection", "kafka.protocol.parser"):
        logging.getLogger(name).addFilter(_hide_credentials)
    if logging.getLogger("kafka").level == logging.NOTSET:
        logging.getLogger("kafka").setLevel(logging.WARNING)  # at INFO every connection is an event
    if not any(isinstance(handler, Rarely) for handler in logging.getLogger("kafka").handlers):
        logging.getLogger("kafka").addHandler(Rarely())
        logging.getLogger("kafka").propagate = False
    logging.getLogger("kafka.net.selector").addFilter(_hide_slow_tasks)
    logging.getLogger("kafka.coordinator.consumer").addFilter(_hide_unstable_offsets)


def hint_at(failure: str, protocol: str) -> str:
    """What a failed connection may mean, where the failure itself does not say; begins with a space.

    failure: the library's words. protocol: our SECURITY_PROTOCOL.
    """
    variable = f"{PREFIX}SECURITY_PROTOCOL is {protocol}"
    if "IllegalSaslState" in failure or "UnsupportedSaslMechanism" in failure:
        return f" (this port takes no such login: SASL may be off here, or want another mechanism; {variable})"
    if "InvalidReceive" in failure:
        return f" (what answers there speaks no Kafka, but HTTP, say; {variable})"
    if "Handshake failed" in failure:
        return "" if "certificate" in failure else f" (is this a port without TLS? {variable})"
    if "disconnected" in failure or "reset by peer" in failure:
        login = "so ends a login that is refused, too; " if protocol.startswith("SASL") else ""
        tls = "" if protocol.endswith("SSL") else "does this port want TLS, or is it not a Kafka port but HTTP, say? "
        return f" (it hung up on us: {login}{tls}{variable})"
    return ""


class LastFailure:
    """What kafka-python logs about a failed connection and does not say in the error that it raises."""

    def __init__(self) -> None:
        self.text = ""

    def __enter__(self) -> None:
        _MANAGER_LOG.addFilter(self._note)

    def __exit__(self, *_: object) -> None:
        _MANAGER_LOG.removeFilter(self._note)

    def _note(self, record: logging.LogRecord) -> bool:
        if record.msg.startswith("Bootstrap connection to") and isinstance(record.args, tuple):
            failure = record.args[1]
            # The last try is cut off by our own deadline, and says less than those before it.
            if not self.text or not isinstance(failure, KafkaTimeoutError):
                self.text = str(failure)
        return True


class Rarely(logging.Handler):
    """kafka-python's lines, each kind once a minute: while a broker is away it says the same ten times a second.

    All that its connections say is one kind; what they mean for us our own events say.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, tuple[float, int]] = {}
        """By kind: when it was said, and how often it was left out since."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass it on to the root logger's handlers, or count it."""
        kind = "connections" if record.name.startswith("kafka.net") else f"{record.name} {record.msg}"
        if record.levelno < logging.WARNING:
            logging.getLogger().handle(record)
            return
        at, left_out = self._said.get(kind, (float("-inf"), 0))
        now = time.monotonic()
        if now - at < SAY_AGAIN_S:
            self._said[kind] = (at, left_out + 1)
            return
        if len(self._said) >= _KINDS:
            self._said.clear()
        self._said[kind] = (now, 0)
        more = f" ({left_out} more such lines since the last one)" if left_out else ""
        record.msg, record.args = record.getMessage() + more, ()
        record.exc_info = record.exc_text = None
        logging.getLogger().handle(record)


def _hide_credentials(record: logging.LogRecord) -> bool:
    """Drop the DEBUG lines in which kafka-python prints a login, and every byte sent; PLAIN's hold the password."""
    if record.name == "kafka.protocol.parser" and record.levelno < logging.INFO:
        return False
    return not any(type(argument).__name__.startswith("Sasl") for argument in record.args or ())


def _hide_slow_tasks(record: logging.LogRecord) -> bool:
    """Drop kafka-python's warning of each 0.1 s that a busy computer kept it waiting: nothing a user can mend."""
    return "blocking the event loop" not in str(record.msg)


def _hide_unstable_offsets(record: logging.LogRecord) -> bool:
    """Drop kafka-python's "unknown error" of offsets that wait for a transaction's end: usual after a kill, and asked
    again; one that stays is told by the monitor's own words.
    """
    return not any(isinstance(argument, UnstableOffsetCommitError) for argument in record.args or ())
