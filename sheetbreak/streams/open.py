"""From the SOURCE that a user types to a stream, and to what decodes its records."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from sheetbreak.errors import DataError
from sheetbreak.rows import Decoded, Schema
from sheetbreak.streams.protocol import Record, Stream
from sheetbreak.wire.rows import WireDecoder

if TYPE_CHECKING:
    from sheetbreak.streams.kafka.options import KafkaOptions

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


def open_stream(
    source: str,
    *,
    schema: Schema,
    out: BinaryIO,
    emit: frozenset[str],
    state_dir: Path | None = None,
    kafka: "KafkaOptions | None" = None,
) -> Opened:
    """Open `kafka://host:9092/topic`, `rows.csv`, `rows.ndjson` or `-`.

    `out` gets a file's or pipe's outputs named in `emit`; its descriptor is written to directly.
    Raises DataError when the source or the state directory cannot be used.
    """
    if source.startswith("kafka://"):
        return _open_kafka(source, schema=schema, emit=emit, state_dir=state_dir, kafka=kafka)
    if "://" in source:
        raise DataError(f"{source}: use kafka://host:9092/topic, rows.csv, rows.ndjson or -")
    return _open_file(source, schema=schema, out=out, emit=emit, state_dir=state_dir)


def _open_file(source: str, *, schema: Schema, out: BinaryIO, emit: frozenset[str], state_dir: Path | None) -> Opened:
    # Imported here so that the pure parts of sheetbreak stay usable where there is no fcntl.
    from sheetbreak.streams.files.sink import Sink
    from sheetbreak.streams.files.state_log import StateLog
    from sheetbreak.streams.files.stream import FileStream, is_regular, open_input

    is_csv = source.lower().endswith(".csv")
    fd = open_input(source)
    try:
        state = None if state_dir is None else StateLog(state_dir)
        stream = FileStream(fd, sink=Sink(out, emit=emit), state=state, name=source, has_header=is_csv)
    except OSError as cause:
        raise DataError(f"--state {state_dir}: {cause.strerror}; name a writable directory") from cause
    decode: Decode = WireDecoder(schema).decode
    if is_csv:
        from sheetbreak.history.lines import CsvDecoder
        from sheetbreak.history.reader import HEAD_LINES, csv_head

        head = csv_head(Path(source)) if is_regular(fd) else stream.head(HEAD_LINES)
        if not head:
            raise DataError(f"{source} is empty; expected a header line and one row a sampling period")
        decode = CsvDecoder(schema, head, name=source).decode
    return Opened(stream, decode, lambda record: {"file": source, "line": record.offset}, emit)


def _open_kafka(
    source: str, *, schema: Schema, emit: frozenset[str], state_dir: Path | None, kafka: "KafkaOptions | None"
) -> Opened:
    from sheetbreak.streams.kafka.stream import open_kafka

    if state_dir is not None:
        raise DataError("--state is for files and pipes; on Kafka the topic monitor-state holds the state")
    topic, stream = open_kafka(source, emit=emit, options=kafka)
    return Opened(
        stream,
        WireDecoder(schema).decode,
        lambda record: {"topic": topic, "partition": record.partition, "offset": record.offset},
        emit,
    )
