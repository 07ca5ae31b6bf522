"""Draw the README's two pictures from what `make demo` left in demo/: `.venv/bin/python docs/make_pictures.py`.

live.svg is the live view as the demo's terminal last showed it; break.svg is one warned break: the score against its
threshold in the hours before, and the leading sensors against what the model expected. All from the simulated mill.
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import msgspec

from sheetbreak.cli.demo.live_view import LiveView
from sheetbreak.cli.demo.table import read_causes
from sheetbreak.history.reader import read_csv
from sheetbreak.times import format_time

DEMO = Path("demo")
PICTURES = Path(__file__).parent / "pictures"
SIMULATOR = Path(__file__).parent / "simulator.md"
BEFORE_ROWS, AFTER_ROWS = 90, 3
_COLUMNS = "112"
_PLAIN, _INDENT = "#ddd", " " * 21
_FONT_PX, _LINE_PX, _CHARACTER_PX = 14, 16, 8.43
"""At 16 px a line the chart's blocks touch, as they do in a terminal."""


def main() -> int:
    """Draw both; returns 2 when there is no demo to draw."""
    if not (DEMO / "history.csv").is_file():
        print("demo/ is not there; run make demo first", file=sys.stderr)
        return 2
    messages = _messages()
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "live.svg").write_text(_terminal_svg(_live_view(messages)), encoding="utf-8")
    _draw_break(messages, PICTURES / "break.svg")
    return 0


def _messages() -> list[dict[str, Any]]:
    """Scores and alerts of the whole simulated file."""
    command = [sys.executable, "-m", "sheetbreak", "monitor", str(DEMO / "mill.csv"), "--models", str(DEMO / "models")]
    found = subprocess.run(
        [*command, "--emit", "alerts,scores", "--metrics-port", "0"], check=True, capture_output=True
    )
    return [msgspec.json.decode(line) for line in found.stdout.splitlines()]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _live_view(messages: list[dict[str, Any]]) -> list[str]:
    """The lines of the live view at the last opened alert."""
    last = max(i for i, m in enumerate(messages) if m.get("kind") == "opened")
    os.environ["COLUMNS"] = _COLUMNS
    frame = _Terminal()
    view = LiveView(frame, clock=lambda: 0.0)
    for message in messages[: last + 2]:
        (view.alert if message["topic"] == "alerts" else view.score)(message)
    frame.truncate(0)
    frame.seek(0)
    view.close()
    plain = frame.getvalue()
    for code in ("\x1b[2K", "\x1b[1;31m", "\x1b[32m", "\x1b[0m"):
        plain = plain.replace(code, "")
    return [line for line in plain.split("\n") if not line.startswith("\x1b")] or plain.split("\n")


def _terminal_svg(lines: list[str]) -> str:
    width, height = int(max(map(len, lines)) * _CHARACTER_PX) + 32, len(lines) * _LINE_PX + 24
    rows, colour = [], _PLAIN
    for i, line in enumerate(lines):
        text = line.replace("&", "&amp;").replace("<", "&lt;")
        if not line.startswith(_INDENT):  # the second line of an alert keeps the colour of its first
            colour = "#f66" if "WARNING" in line or " opened " in line else _PLAIN
        rows.append(f'<text x="16" y="{(i + 1) * _LINE_PX + 8}" fill="{colour}" xml:space="preserve">{text}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="monospace" '
        f'font-size="{_FONT_PX}"><rect width="100%" height="100%" rx="8" fill="#1d1f21"/>{"".join(rows)}</svg>\n'
    )


def _draw_break(messages: list[dict[str, Any]], path: Path) -> None:
    schema, rows = read_csv(DEMO / "mill.csv")
    number = {format_time(t): i for i, t in enumerate(rows.times_us.tolist())}
    scores = {number[m["time"]]: m for m in messages if m["topic"] == "scores"}
    alerts = [(number[m["time"]], m) for m in messages if m["topic"] == "alerts" and m["kind"] == "opened"]
    first = len(rows) * 3 // 4
    row, opened, alert, cause = next(
        (b.row, i, m, b)
        for b in read_causes(DEMO / "mill.causes.csv")
        if b.row > first and b.sensors
        for i, m in alerts
        if 8 <= b.row - i <= 30 and {t["sensor"] for t in m["top"]} & b.sensors
    )
    span = [i for i in range(row - BEFORE_ROWS, row + 1) if scores.get(i, {}).get("score") is not None]
    minutes = [(int(rows.times_us[i]) - int(rows.times_us[row])) / 60e6 for i in span]
    top = alert["top"][:3]
    opened_in_span = [i for i, _ in alerts if span[0] <= i <= row]
    meaning = dict(re.findall(r"^\| (x\d+) \|.*\| (.*) \|$", SIMULATOR.read_text(encoding="utf-8"), re.MULTILINE))
    mpl.rcParams.update({"svg.hashsalt": "sheetbreak", "font.size": 9})
    figure, axes = plt.subplots(1 + len(top), 1, sharex=True, figsize=(9, 6.5), height_ratios=[2] + [1] * len(top))
    axes[0].plot(minutes, [scores[i]["score"] for i in span], color="#1f4e79", label="score")
    axes[0].plot(minutes, [scores[i]["threshold"] for i in span], color="#c00000", ls="--", label="threshold")
    axes[0].set_title(f"A simulated break ({cause.cause}): the warning came {(row - opened) * 2} minutes before")
    axes[0].legend(loc="upper left")
    for axis, found in zip(axes[1:], top, strict=True):
        column = schema.sensors.index(found["sensor"])
        axis.plot(minutes, rows.values[span, column], color="#444")
        at = (opened - row) * 2
        for what, colour in (("expected", "#2e8b57"), ("observed", "#c00000")):
            axis.plot([at], [found[what]], "o", color=colour)
            axis.text(
                at - 5, found[what], f"{what} {found[what]:.3g}", fontsize=7, color=colour, ha="right", va="center"
            )
        axis.set_ylabel(found["sensor"])
        axis.set_title(meaning[found["sensor"]], loc="left", fontsize=8)
        axis.margins(y=0.25)
    for axis in axes:
        for at_row in opened_in_span:
            axis.axvline((at_row - row) * 2, color="#f0a000", lw=1)
        axis.axvline(0, color="black", lw=1)
    axes[-1].set_xlabel("minutes before the break; orange: an alert opens, black: the sheet breaks")
    figure.tight_layout()
    figure.savefig(path, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))  # the same bytes each time


if __name__ == "__main__":
    sys.exit(main())
