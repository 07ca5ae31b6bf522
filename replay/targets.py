"""Targets of a replay: standard output, a file, a Kafka topic; and a CSV's header before the rows."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from replay.signals import Stop
from sheetbreak.errors import DataError
from sheetbreak.streams.open import scheme_of
from sheetbreak.streams.protocol import RowSink


@contextmanager
def open_target(to: str, *, stop: Stop, header: bytes | None, source: Sequence[Path]) -> Iterator[RowSink]:
    """Open `-`, a file or kafka://host:9092/topic. `header`: a CSV's first line. Its waits raise Stopped at a signal.

    Raises DataError when it cannot be written to.
    """
    scheme = scheme_of(to, option="--to")
    try:
        if to != "-" and Path(to).exists() and any(Path(to).samefile(one) for one in source):
            raise DataError(f"--to {to} is the file that is played; name another")
    except OSError as cause:
        raise DataError(f"--to {to}: {cause.strerror}; name a file that can be written, or -") from cause
    with closing(scheme.sink(to, stop.check)) as sink:
        if header is not None:
            sink.send([(b"", header)])
        yield sink
