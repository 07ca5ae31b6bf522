"""Promises of the progress display: a bar only on a terminal, few lines in a log, figures in both."""

import io
from collections.abc import Callable

import pytest

from trainer.commands import backtest
from trainer.output.progress import Progress, TaskProgress, loading


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def clock_of(step_s: float) -> Callable[[], float]:
    now = -step_s

    def clock() -> float:
        nonlocal now
        now += step_s
        return now

    return clock


def run(out: io.StringIO, *, epochs: int, step_s: float) -> str:
    progress = Progress(out, epochs=epochs, clock=clock_of(step_s))
    for done in range(1, epochs + 1):
        progress.epoch_done(done, loss=1 / done, validation_loss=2 / done)
    progress.close()
    return out.getvalue()


def test_a_terminal_sees_one_bar_with_losses_and_the_time_left() -> None:
    text = run(Terminal(), epochs=4, step_s=30)
    assert text.count("\n") == 1
    frames = text.split("\r")[1:]
    assert len(frames) == 4
    assert "1/4  loss 1.0000, validation 2.0000, 1:30 min left" in frames[0]
    assert "4/4  loss 0.2500, validation 0.5000" in frames[3]
    assert "left" not in frames[3]
    assert [frame.count("█") for frame in frames] == [6, 12, 18, 24]


def test_a_log_gets_one_line_of_a_short_training() -> None:
    assert run(io.StringIO(), epochs=30, step_s=0.125) == (
        "training: epoch 30/30, loss 0.0333, validation 0.0667, in 4 s\n"
    )


def test_a_log_gets_a_line_every_ten_seconds_of_a_long_training() -> None:
    lines = run(io.StringIO(), epochs=30, step_s=4).splitlines()
    assert [line.split(",")[0].split("epoch ")[1] for line in lines] == [
        f"{done}/30" for done in (*range(3, 30, 3), 30)
    ]
    assert lines[0].endswith("1:48 min left")
    assert lines[-1].endswith("in 2:00 min")


def test_a_log_holds_no_control_characters() -> None:
    text = run(io.StringIO(), epochs=30, step_s=4)
    assert all(character.isprintable() or character == "\n" for character in text)


def test_tasks_on_a_terminal_are_a_bar_that_counts_down_while_nothing_ends() -> None:
    out = Terminal()
    progress = TaskProgress(out, label="comparing", tasks=4, clock=clock_of(20))
    progress.tell(1, left_s=90, says="pca, seed 0, fold 8")
    progress.tick()
    progress.tell(4, left_s=0)
    progress.close()
    progress.close()
    frames = out.getvalue().split("\r\x1b[K")[1:]
    assert [frame.count("█") for frame in frames] == [6, 6, 24]
    assert frames[0].endswith("1/4, pca, seed 0, fold 8, 1:10 min left")
    assert frames[1].endswith("50 s left")
    assert frames[2].endswith("4/4, in 1:40 min\n")


def test_tasks_elsewhere_are_a_line_now_and_then_and_one_at_the_end() -> None:
    out = io.StringIO()
    progress = TaskProgress(out, label="comparing", tasks=100, clock=clock_of(1))
    for done in range(1, 101):
        progress.tell(done, left_s=float("nan") if done < 20 else 100 - done)
        progress.tick()
    progress.close()
    lines = out.getvalue().splitlines()
    assert 8 <= len(lines) <= 11
    assert lines[0] == "comparing: 10/100"
    assert lines[1] == "comparing: 20/100, 1:20 min left"
    assert lines[-1] == "comparing: 100/100, in 1:40 min"


def test_where_the_time_is_given_and_not_the_number_there_is_no_bar() -> None:
    out = Terminal()
    progress = TaskProgress(out, label="tuning: trials", tasks=None, clock=clock_of(0))
    progress.tell(7, left_s=60, says="best 0.712")
    progress.close()
    assert out.getvalue() == "\r\x1b[Ktuning: trials 7, best 0.712, 1:00 min left\n"


def test_a_library_that_takes_seconds_is_named_while_it_loads_and_a_terminal_forgets_it() -> None:
    terminal, log = Terminal(), io.StringIO()
    for out, before in ((terminal, "loading TensorFlow …"), (log, "loading TensorFlow …\n")):
        with loading("TensorFlow", out):
            assert out.getvalue() == before
    assert terminal.getvalue() == "loading TensorFlow …\r\x1b[K"
    assert log.getvalue() == "loading TensorFlow …\n"


@pytest.mark.parametrize(
    ("number", "left_s", "told"),
    [(1, 250.8, ", about 4 min left"), (5, 51.6, ", about 52 s left"), (7, 0.2, ", about 1 s left"), (8, 0.0, "")],
)
def test_a_backtest_off_a_terminal_guesses_what_is_left_in_whole_units(number: int, left_s: float, told: str) -> None:
    assert backtest._done(number, 8, 2.51, left_s) == f"fold {number} of 8 in 2.5 s{told}"
