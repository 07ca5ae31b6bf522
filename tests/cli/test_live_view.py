"""The demo's live view, on a terminal and without one."""

import io
from typing import Any

import pytest

from sheetbreak.cli.demo.live_view import LiveView


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def score(ratio: float | None) -> dict[str, Any]:
    return {"topic": "scores", "time": "2026-01-21T12:06:00Z", "ratio": ratio}


def alert(kind: str, message: str = "pm1: look at x7") -> dict[str, Any]:
    return {"topic": "alerts", "time": "2026-01-21T12:06:00Z", "kind": kind, "message": message}


def test_without_a_terminal_each_alert_is_one_line_and_scores_are_none() -> None:
    out = io.StringIO()
    view = LiveView(out, clock=lambda: 0.0)
    view.score(score(1.5))
    view.alert(alert("opened"))
    view.close()
    assert out.getvalue() == "01-21 12:06  opened  pm1: look at x7\n"


def test_on_a_terminal_a_high_score_stands_above_the_line_and_the_state_says_warning() -> None:
    out = Terminal()
    view = LiveView(out, clock=lambda: 0.0)
    for ratio in (None, 0.4, 2.0):
        view.score(score(ratio))
    view.alert(alert("opened"))
    view.close()
    lines = [line.removeprefix("\x1b[2K") for line in out.getvalue().split("\n")]
    assert "WARNING" in lines[0]
    assert lines[1].rstrip() == "   █"  # the top of the chart: only the ratio of 2 reaches it
    assert "pm1: look at x7" in "\n".join(lines)


def test_a_long_alert_is_told_to_its_end_and_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = Terminal()
    view = LiveView(out, clock=lambda: 0.0)
    for number in range(9):
        view.alert(alert("opened", f"pm{number}: the sheet may break soon on grade 60: x1 reads 3.975; look at x7 too"))
    view.close()
    lines = [line.removeprefix("\x1b[2K") for line in out.getvalue().split("\n")]
    assert max(map(len, lines[1:])) <= 60
    told = " ".join(" ".join(lines).split())
    assert "pm8: the sheet may break soon on grade 60: x1 reads 3.975; look at x7 too" in told
    assert "pm0" not in told
    assert len(lines) == 20 + 1  # the picture keeps its height, or the next one would not go over it


def test_a_redraw_goes_over_the_last_picture_and_not_more_often_than_the_clock_says() -> None:
    now = [0.0]
    out = Terminal()
    view = LiveView(out, clock=lambda: now[0])
    for _ in range(5):
        now[0] += 0.04
        view.score(score(0.5))
    drawn = out.getvalue().count("score / threshold")
    view.close()
    assert drawn == 1
    assert "\x1b[20F" in out.getvalue()


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    view = LiveView(out, clock=lambda: 0.0)
    view.score(score(0.5))
    view.close()
    assert "normal" in out.getvalue()
    assert "\x1b[32m" not in out.getvalue()
