"""Errors: the whole tree, one class for each decision that a caller takes.

A message says what was wrong, where, what was expected and what to do. Third-party errors are mapped to these
at the seam where they occur, `raise ... from cause`.
"""


class SheetbreakError(Exception):
    """Base of every error that sheetbreak raises on purpose."""


class RowError(SheetbreakError):
    """This record is not a row: it becomes a dead letter with its original bytes, and the stream goes on.

    `reason` is one lower-case word or phrase with hyphens ("not-json", "late"); `machine` is empty where it could
    not be read.
    """

    def __init__(self, message: str, *, reason: str, machine: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.machine = machine

    def alone(self) -> "RowError":
        """The error without its traceback, to be kept: the frames in that hold the record, and as a cycle, until the
        next search for garbage.
        """
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)


class DataError(SheetbreakError):
    """A CSV, schema, label or option is unusable: the command stops with exit code 2."""


class ArtifactError(SheetbreakError):
    """A model is missing, altered or unfit: exit code 2 at the start, at a reload the old model is kept."""


class StreamError(SheetbreakError):
    """Base of what can go wrong between us and a stream."""


class StreamUnavailable(StreamError):
    """The broker is away for now: the same batch again, with back-off."""


class StreamLost(StreamError):
    """The batch is no longer ours: drop its state and outputs, poll again."""


class StreamFenced(StreamError):
    """Our id was taken or our transaction timed out: once, a new producer; again within a minute, exit 3."""
