"""What TensorFlow says at import: its chatter goes, everything else stays."""

import os
import sys

import pytest

from trainer.training.backend import configure_tensorflow, without_chatter

CHATTER = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"I0000 00:00:1795248026.138651   12098 cudart_stub.cc:31] Could not find cuda drivers on your machine\n"
)


def test_start_up_chatter_does_not_reach_the_user(capfd: pytest.CaptureFixture[str]) -> None:
    """Written by C++ to descriptor 2, as TensorFlow's build with GPU support does on a machine without one."""
    with without_chatter():
        os.write(2, CHATTER)
    assert capfd.readouterr().err == ""


def test_whatever_else_is_said_stays(capfd: pytest.CaptureFixture[str]) -> None:
    with without_chatter():
        os.write(2, CHATTER + b"F0000 the library was compiled for another processor\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "F0000 the library was compiled for another processor\nafter\n"


def test_an_import_that_fails_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportError), without_chatter():
        _fail_as_an_import()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "libtensorflow is cut short\nafter\n"


def _fail_as_an_import() -> None:
    os.write(2, b"libtensorflow is cut short\n")
    raise ImportError


def test_nothing_is_said_where_tensorflow_is_there_already(capsys: pytest.CaptureFixture[str]) -> None:
    configure_tensorflow(tell=sys.stderr)
    capsys.readouterr()
    configure_tensorflow(tell=sys.stderr)
    assert capsys.readouterr().err == ""
