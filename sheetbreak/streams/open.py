"""Opening of a stream: one table of what a SOURCE or a --to can be, and how it is read, written and followed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from sheetbreak.errors import DataError
from sheetbreak.rows import Decoded, Schema
from sheetbreak.streams.kafka.options import LIKE_A_BROKER
from sheetbreak.streams.protocol import ActionSink, Record, RowSink, Stream
from sheetbreak.wire.rows import WireDecoder
from sheetbreak.wire.topics import ACTIONS, ALERTS, OUTPUTS, ROWS

if TYPE_CHECKING:
    from sheetbreak.streams.kafka.options import KafkaOptions

PIPE = "-"
Decode = Callable[[Sequence[bytes], Sequence[int]], Decoded]
"""From the values and the offsets of a batch's records to rows and rejects."""


class Opened(NamedTuple):
    """A stream and what belongs to it."""

    stream: Stream
    decode: Decode
    origin: Callable[[Record], Mapping[str, str | int]]
    """Where a record came from, as a dead letter's `source` says it."""
    emit: frozenset[str]
    """The topics that the stream publishes; outputs of others need not be made."""
    action_origin: Callable[[Record], Mapping[str, str | int]] | None = None
    """The same of an operator's action; None: as of a record."""
    actions_wait: bool = False
    """Whether an action waits until a row of its machine has reached its time: a file says all beforehand."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller wants of a stream."""

    schema: Schema
    out: BinaryIO
    """Gets a file's or pipe's outputs; its descriptor is written to directly."""
    emit: frozenset[str]
    state_dir: Path | None
    kafka: "KafkaOptions | None"
    actions: Path | None = None
    """A file of operators' actions."""
    more: tuple[str, ...] = ()
    """Further files or folders, read with the source in the order of time."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """One kind of stream: its functions, and what a command must know of it. A new kind is one more entry."""

    examples: tuple[str, ...]
    """How it is written."""
    emit: frozenset[str]
    """What a monitor publishes unless it is told."""
    own_state: str
    """Where the stream itself keeps a monitor's state, in words; empty: in --state."""
    has_group: bool
    """Whether monitors share a source: consumer group, instance id and topic prefix mean something."""
    source: Callable[[str, Wanted], Opened]
    sink: Callable[[str, Callable[[], None]], RowSink]
    follow: Callable[[str], Iterator[bytes]]
    """Every value from the start on, as it comes."""
    watch: Callable[[str], Iterator[bytes | None]]
    """The same, None after those that were there; of a file also those that are added, for ever."""
    values: Callable[[str], Iterator[bytes]]
    """Every value that is there now; a pipe's until it ends."""
    is_live: Callable[[str], bool]
    """Whether values go on coming there by themselves."""
    action_sink: Callable[[str, str, Callable[[], None]], ActionSink]
    """For operators' actions, by address, topic prefix and what is called while a broker is waited for."""
    last_values: Callable[[str, Callable[[bytes], bool]], list[bytes]] | None
    """The last value of each partition that is accepted; None where a source has no such end."""


def scheme_of(address: str, *, option: str = "") -> Scheme:
    """The table's entry for a SOURCE, or for what `option` was given. Raises DataError for another scheme."""
    name, separator, _ = address.partition("://")
    scheme = SCHEMES.get(name) if separator else SCHEMES[_FILES]
    said = f"{option} {address}".lstrip()
    if scheme is None or (separator and not name):
        raise DataError(f"{said}: expected {in_words()}")
    _refuse_broker(address, said=said, topic="" if "/" in address else f"/{ROWS}")
    return scheme


def _refuse_broker(address: str, *, said: str, topic: str = "") -> None:
    """Raises DataError for what would be a file's path, but is a broker's address without kafka://."""
    if LIKE_A_BROKER.fullmatch(address) and not Path(address).exists():
        raise DataError(f"{said}: there is no such file; did you mean kafka://{address}{topic}?")


def open_actions(target: str, *, prefix: str = "", between: Callable[[], None] = lambda: None) -> ActionSink:
    """The sink of `kafka://host:9092` (or with a topic of one's own) or of a file, to which lines are added.

    between: called several times a second while a broker that is away is waited for; what it raises ends the wait,
    and the action may then have been written or not. Contacts no broker yet. Raises DataError for another target.
    """
    name, separator, _ = target.partition("://")
    _refuse_broker(target, said=target)
    scheme = SCHEMES.get(name) if separator or not name else SCHEMES[""]
    if scheme is None:
        raise DataError(f"{target}: expected kafka://host:9092, or a file to which actions are added")
    return scheme.action_sink(target, prefix, between)


def in_words() -> str:
    """What an address can be, for --help and messages."""
    *most, last = [example for scheme in SCHEMES.values() for example in scheme.examples]
    return f"{', '.join(most)} or {last}"


def check_state_dir(source: str, state_dir: Path | None) -> None:
    """Raises DataError for a --state beside a source that keeps the state itself."""
    own_state = scheme_of(source).own_state
    if state_dir is not None and own_state:
        raise DataError(f"--state is for files and pipes; {own_state} holds the state")


def check_actions(source: str, actions: Path | None) -> None:
    """Raises DataError for --actions beside a source that brings operators' actions itself."""
    if actions is not None and scheme_of(source).own_state:
        raise DataError("--actions is for files and pipes; on Kafka the topic operator-actions has them")


def check_more(source: str, more: Sequence[str]) -> None:
    """Raises DataError where one of several sources cannot stand beside others."""
    for one in (source, *more) if more else ():
        if "://" in one or one == PIPE:
            raise DataError(f"{one} stands alone; several sources are files or folders, read in the order of time")


def check_there(source: str, more: Sequence[str]) -> None:
    """Raises DataError for a file or folder that is not there, before anything is done for it."""
    for one in (source, *more):
        if "://" not in one and one != PIPE and not Path(one).exists():
            raise DataError(f"{one}: No such file or directory; name a CSV or NDJSON file, or - for a pipe")


def is_csv(address: str) -> bool:
    """Whether rows are a CSV there, with a header line."""
    return address.lower().endswith(".csv") and "://" not in address


def open_stream(
    source: str,
    *,
    schema: Schema,
    out: BinaryIO,
    emit: frozenset[str],
    state_dir: Path | None = None,
    kafka: "KafkaOptions | None" = None,
    actions: Path | None = None,
    more: Sequence[str] = (),
) -> Opened:
    """Open `kafka://host:9092/topic`, `rows.csv`, `rows.ndjson`, `-`, or files and folders, `more` of them.

    `out` gets a file's or pipe's outputs named in `emit`; its descriptor is written to directly.
    Raises DataError when the source or the state directory cannot be used.
    """
    check_state_dir(source, state_dir)
    check_actions(source, actions)
    check_more(source, more)
    wanted = Wanted(
        schema=schema, out=out, emit=emit, state_dir=state_dir, kafka=kafka, actions=actions, more=tuple(more)
    )
    return scheme_of(source).source(source, wanted)


# Imports stand in the functions: the pure parts of sheetbreak stay usable where there is no fcntl, and only who reads
# or writes a topic needs a Kafka client installed.


def _read_file(source: str, wanted: Wanted) -> Opened:
    from sheetbreak.streams.files.table import open_file

    stream, decode, origin = open_file(
        source,
        *wanted.more,
        schema=wanted.schema,
        out=wanted.out,
        emit=wanted.emit,
        state_dir=wanted.state_dir,
        actions=wanted.actions,
    )
    return Opened(stream, decode, origin, wanted.emit, action_origin=_line_in(str(wanted.actions)), actions_wait=True)


def _line_in(file: str) -> Callable[[Record], Mapping[str, str | int]]:
    """Says where a line's record came from."""
    return lambda record: {"file": file, "line": record.offset}


def _write_lines(target: str, between: Callable[[], None]) -> RowSink:
    from sheetbreak.streams.files.row_sink import open_lines

    return open_lines(target, between=between)


def _follow_lines(source: str) -> Iterator[bytes]:
    from sheetbreak.streams.files.messages import follow

    return follow(source)


def _watch_lines(source: str) -> Iterator[bytes | None]:
    from sheetbreak.streams.files.messages import watch

    return watch(source)


def _is_pipe(source: str) -> bool:
    from sheetbreak.streams.files.messages import is_pipe

    return is_pipe(source)


def _append_actions(target: str, _prefix: str, _between: Callable[[], None]) -> ActionSink:
    from sheetbreak.streams.files.action_lines import LineAppender

    return LineAppender(Path(target))


def _read_topic(source: str, wanted: Wanted) -> Opened:
    from sheetbreak.streams.kafka.stream import open_kafka

    topic, stream = open_kafka(source, emit=wanted.emit, options=wanted.kafka)
    said = (wanted.kafka.topic_prefix if wanted.kafka else "") + ACTIONS
    return Opened(
        stream,
        WireDecoder(wanted.schema).decode,
        lambda record: {"topic": topic, "partition": record.partition, "offset": record.offset},
        wanted.emit,
        action_origin=lambda record: {"topic": said, "partition": record.partition, "offset": record.offset},
    )


def _write_topic(target: str, between: Callable[[], None]) -> RowSink:
    from sheetbreak.streams.kafka.options import environment_security, parse_address
    from sheetbreak.streams.kafka.row_sink import KafkaSink

    return KafkaSink(parse_address(target), environment_security(), between=between)


def _follow_topic(source: str) -> Iterator[bytes]:
    from sheetbreak.streams.kafka.reading import follow

    return follow(source)


def _watch_topic(source: str) -> Iterator[bytes | None]:
    from sheetbreak.streams.kafka.reading import watch

    return watch(source)


def _values_of_topic(source: str) -> Iterator[bytes]:
    from sheetbreak.streams.kafka.reading import read_now

    return read_now(source)


def _send_actions(target: str, prefix: str, between: Callable[[], None]) -> ActionSink:
    from sheetbreak.streams.kafka.row_sink import TopicAppender

    return TopicAppender(target, prefix=prefix, between=between)


def _last_of_topic(source: str, accept: Callable[[bytes], bool]) -> list[bytes]:
    from sheetbreak.streams.kafka.reading import last_values

    return last_values(source, accept=accept)


_FILES = ""
"""The name under which files and pipes stand: their addresses have no scheme."""
SCHEMES = {
    "kafka": Scheme(
        examples=("kafka://host:9092/topic",),
        emit=OUTPUTS,
        own_state="on Kafka the topic monitor-state",
        has_group=True,
        source=_read_topic,
        sink=_write_topic,
        follow=_follow_topic,
        watch=_watch_topic,
        is_live=lambda _source: True,
        values=_values_of_topic,
        action_sink=_send_actions,
        last_values=_last_of_topic,
    ),
    _FILES: Scheme(
        examples=("rows.csv", "rows.ndjson", "-"),
        emit=frozenset({ALERTS}),
        own_state="",
        has_group=False,
        source=_read_file,
        sink=_write_lines,
        follow=_follow_lines,
        watch=_watch_lines,
        is_live=_is_pipe,
        values=_follow_lines,
        action_sink=_append_actions,
        last_values=None,
    ),
}
