"""Rigs of the streams that need no server: memory, files and pipes."""

import os
from collections.abc import Sequence
from pathlib import Path

from sheetbreak.streams.files.action_lines import ActionLines
from sheetbreak.streams.files.sink import Sink
from sheetbreak.streams.files.state_log import StateLog
from sheetbreak.streams.files.stream import FileStream
from sheetbreak.streams.memory import MemoryStream, MemoryTopic
from sheetbreak.streams.protocol import Stream

ALL = frozenset({"scores", "alerts", "dead-letters"})


class MemoryRig:
    rewinds, ends, waits = True, True, True

    def __init__(self, _folder: Path) -> None:
        self.topic = MemoryTopic()

    def feed(self, values: Sequence[bytes]) -> None:
        self.topic.feed(values)

    def say(self, values: Sequence[bytes]) -> None:
        self.topic.say(values)

    def finish(self) -> None:
        self.topic.ended = True

    def open(self, *, max_records: int = 500) -> Stream:
        return MemoryStream(self.topic, max_records=max_records)

    def published(self) -> list[bytes]:
        return [output.value for output in self.topic.outputs]

    def tear_down(self) -> None:
        """It holds nothing."""


class FileRig:
    rewinds, ends, waits = True, True, False
    header = b""

    def __init__(self, folder: Path) -> None:
        self.source, self.state_dir = folder / "rows", folder / "state"
        self.actions = folder / "actions"
        self.source.write_bytes(self.header)
        self.state: StateLog | None = None
        self.out = (folder / "out").open("a+b")

    def feed(self, values: Sequence[bytes]) -> None:
        with self.source.open("ab") as file:
            file.writelines(value + b"\n" for value in values)

    def say(self, values: Sequence[bytes]) -> None:
        with self.actions.open("ab") as file:
            file.writelines(value + b"\n" for value in values)

    def finish(self) -> None:
        """A file ends where it ends."""

    def input_fd(self) -> int:
        return os.open(self.source, os.O_RDONLY)

    def open(self, *, max_records: int = 500) -> FileStream:
        if self.state is not None:
            self.state.close()  # the process before this one was killed, and its lock with it
        self.state = StateLog(self.state_dir)
        return FileStream(
            self.input_fd(),
            sink=Sink(self.out, emit=ALL),
            state=self.state,
            name="rows",
            has_header=bool(self.header),
            max_records=max_records,
            actions=ActionLines(self.actions),
        )

    def published(self) -> list[bytes]:
        self.out.seek(0)
        return self.out.read().splitlines()

    def tear_down(self) -> None:
        self.out.close()
        if self.state is not None:
            self.state.close()


class CsvRig(FileRig):
    header = b"time,y,x1\n"


class PipeRig(FileRig):
    rewinds, waits = False, True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.read_end, self.write_end = os.pipe()

    def feed(self, values: Sequence[bytes]) -> None:
        os.write(self.write_end, b"".join(value + b"\n" for value in values))

    def finish(self) -> None:
        os.close(self.write_end)

    def input_fd(self) -> int:
        return self.read_end
