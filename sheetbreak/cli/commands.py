"""The console script: a table of command → function, imported when called, and the contract's exit codes.

A command is `main(argv: Sequence[str]) -> int`: it gets its arguments without its own name, prints results
to standard output, and raises a SheetbreakError for what the user must change. `run` makes exit codes of it:

    # trainer/__main__.py
    program(command("train"), name="train")
"""

import contextlib
import difflib
import errno
import importlib
import logging
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NamedTuple, NoReturn

from sheetbreak.cli.logs import log_format_of, log_to_stderr, logs_json
from sheetbreak.errors import DataError, SheetbreakError, StreamFenced

Main = Callable[[Sequence[str]], int]

log = logging.getLogger(__name__)

DONE, BUG, USER, FENCED, INTERRUPTED = 0, 1, 2, 3, 130
SERVICES = ("monitor", "replay", "desk")
"""They run until they are stopped: SIGTERM ends them with 0, also while they still load their libraries."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Command(NamedTuple):
    """One line of the table."""

    target: str
    """module:function, imported when called: this file imports none of trainer, monitor, replay and desk."""
    extra: str
    """The extra of the distribution that holds what it needs."""
    summary: str


COMMANDS = {
    "demo": Command("sheetbreak.cli.demo.main:main", "all", "simulate, train, replay, monitor: in a minute or two"),
    "simulate": Command("trainer.commands.simulate:main", "trainer", "write a simulated mill's CSV"),
    "inspect": Command(
        "trainer.commands.inspect:main", "trainer", "what is in a mill's own files; writes a plant file"
    ),
    "train": Command("trainer.commands.train:main", "trainer", "fit and evaluate a model, make it current"),
    "backtest": Command("trainer.commands.backtest:main", "trainer", "evaluate over a whole CSV; changes no model"),
    "whatif": Command("trainer.commands.whatif:main", "trainer", "another policy on stored scores, in a second"),
    "compare": Command(
        "trainer.commands.compare:main", "trainer", "families and baselines side by side; changes no model"
    ),
    "tune": Command("trainer.commands.tune:main", "trainer", "search a family's settings on the earlier rows"),
    "families": Command("trainer.commands.families:main", "trainer", "list the model families and their settings"),
    "encode": Command("trainer.commands.encode:main", "trainer", "write a model's latent features of every row"),
    "impute": Command("trainer.commands.impute:main", "trainer", "fill a CSV's missing sensor values by a model"),
    "generate": Command("trainer.commands.generate:main", "trainer", "draw new rows from a variational model"),
    "monitor": Command("monitor.main:main", "monitor", "score a stream, warn before the sheet breaks"),
    "replay": Command("replay.main:main", "replay", "play a CSV as a live stream"),
    "alerts": Command("sheetbreak.cli.alerts:main", "kafka", "watch an alert topic, one readable line an alert"),
    "act": Command("sheetbreak.cli.act:main", "kafka", "answer an alarm, shelve it, mask a sensor, name a cause"),
    "desk": Command("desk.main:main", "desk", "the shift's pages: machines, alarms and the answers to them"),
    "labels": Command("sheetbreak.cli.labels:main", "kafka", "what operators said, as a table for train --labels"),
    "topics": Command("sheetbreak.cli.topics:main", "kafka", "create, check or grow the topics"),
    "machines": Command("sheetbreak.cli.machines:main", "kafka", "list, retire or reset the machines that have state"),
    "models": Command("sheetbreak.cli.models:main", "monitor", "list, show, promote, use, verify, export or prune"),
    "completion": Command("sheetbreak.cli.completion:main", "all", "completion of commands and options for your shell"),
}


def main() -> NoReturn:
    """The console script `sheetbreak`."""
    program(dispatch, name=next(iter(sys.argv[1:]), ""))


def program(main: Main, *, name: str) -> NoReturn:
    """`run` as all that the process does; ends it with the exit code. name: of the command.

    Interrupted it ends at once: a thread of a library that is at work meanwhile, as TensorFlow's are, crashes an
    interpreter that is taken apart around it, and the code is that of the crash.
    """
    if name in SERVICES:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(DONE))  # until it takes the signal itself
    if name == "monitor":
        signal.signal(signal.SIGHUP, lambda *_: None)  # it asks for the current model, which is still to be loaded
    code = run(main)
    if code == INTERRUPTED:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def dispatch(argv: Sequence[str]) -> int:
    """Run the command that `argv` names first. Raises DataError for an unknown one."""
    match list(argv):
        case []:
            print(_overview(), file=sys.stderr)
            return USER
        case ["help" | "-h" | "--help", name, *rest] if name in COMMANDS:
            return command(name)([*rest, "--help"])
        case ["help", name, *_] if not name.startswith("-"):
            raise DataError(_unknown(name))
        case ["-h" | "--help" | "help", *_]:
            print(_overview())
            return DONE
        case ["--version", *_]:
            from importlib.metadata import version  # 30 ms that no other command should pay

            print(f"sheetbreak {version('sheetbreak')}")
            return DONE
        case [name, *rest] if name in COMMANDS:
            return command(name)(rest)
        case [name, *_]:
            raise DataError(_unknown(name))
    raise AssertionError("unreachable")


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the commands are {', '.join(COMMANDS)}"
    return f"there is no command {name!r}; {hint}"


def command(name: str) -> Main:
    """The main of a command of the table, imported when called."""
    return imported(COMMANDS[name])


def imported(entry: Command) -> Main:
    """The main that `entry` names, imported when called.

    Calling it raises DataError where a library of the extra is not installed.
    """
    module, _, function = entry.target.partition(":")

    def imported_main(argv: Sequence[str]) -> int:
        try:
            found: Main = getattr(importlib.import_module(module), function)
            return found(argv)
        except ModuleNotFoundError as error:
            library = (error.name or "").partition(".")[0]
            if library in ("", "sheetbreak", "trainer", "monitor", "replay", "desk"):  # ours: a bug
                raise
            raise DataError(f"{library} is not installed: pip install 'sheetbreak[{entry.extra}]'") from error

    return imported_main


def run(main: Main, argv: Sequence[str] | None = None) -> int:
    """Call `main` with the arguments (default: the process's) and return the exit code of the contract.

    0 done, also when the reader of standard output has gone · 1 a bug, with its traceback · 2 the user must
    change something · 3 fenced: another instance runs under our id · 130 interrupted.
    """
    _open_what_is_closed()
    argv = sys.argv[1:] if argv is None else argv
    if log_format_of(argv) == "json":
        log_to_stderr("json")
    interrupts = Interrupts()
    try:
        with interrupts:
            code = main(argv)
        sys.stdout.flush()  # here, where a reader that has gone is caught, and not as the interpreter ends
        return code
    except StreamFenced as error:
        return _fail(str(error), FENCED)
    except SheetbreakError as error:
        return _fail(str(error), USER)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError as error:
        if not _standard_output_is_closed():
            return _bug(error)
        _discard_output()
        return DONE
    except Exception as error:  # noqa: BLE001 - the last resort: a bug is shown whole, and is told by its own code
        if interrupts.came:  # TensorFlow makes an error of its own of an interrupt within it
            return INTERRUPTED
        if isinstance(error, OSError) and error.errno in _FULL:
            _discard_output()
            what = f"{error.filename}: " if error.filename else ""
            return _fail(f"{what}{error.strerror}; make room, or name another place for what is written", USER)
        return _bug(error)


class Interrupts:
    """Inside, an interrupt is raised as ever and remembered: a library may make another error of it, and one that
    is raised in a weak reference's callback, as while Keras cleans up, Python prints and forgets. Left alone on other
    threads than the main one, and where it is ignored, as it is for a job in the background of a shell.
    """

    def __init__(self) -> None:
        self.came = False
        self._before: Any = None

    def __enter__(self) -> None:
        on_main = threading.current_thread() is threading.main_thread()
        if on_main and callable(before := signal.getsignal(signal.SIGINT)):
            self._before = before
            signal.signal(signal.SIGINT, self._take)

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def look(self) -> None:
        """Raise KeyboardInterrupt where one came."""
        if self.came:
            raise KeyboardInterrupt

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        self._before(number, frame)


def _open_what_is_closed() -> None:
    """Standard streams that whoever started us has closed lead to the null device.

    Else the first file that we open is standard output, and results are written into it.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest one free: this
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _discard_output() -> None:
    """The interpreter flushes standard output once more as it ends, and that must have where to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> int:
    if logs_json():
        log.error("event=failed error=%s code=%d", message, code)
    else:
        print(f"error: {message}", file=sys.stderr)
    return code


def _bug(error: Exception) -> int:
    if logs_json():
        log.critical("event=bug code=%d", BUG, exc_info=error)
    else:
        traceback.print_exception(error)
    return BUG


def _standard_output_is_closed() -> bool:
    """Whether the other end of standard output has gone, as against that of some socket."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _overview() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{entry.summary}" for name, entry in COMMANDS.items()]
    return "\n".join(
        [
            "usage: sheetbreak COMMAND [options]",
            "",
            "Warns before the sheet of a paper machine breaks.",
            "",
            "commands:",
            *lines,
            "",
            "sheetbreak COMMAND --help shows the options of a command, with an example.",
        ]
    )
