"""Live view of the demo: score against threshold as moving bars, alerts as lines; without a terminal lines only."""

import os
import shutil
import textwrap
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TextIO

_REDRAW_S = 0.1
_HEIGHT = 8
_ALERT_LINES = 10
"""Below the chart; an alert takes one or two, the oldest make room."""
_INDENT = " " * 21
"""Under an alert's message: behind its time and kind."""
_BLOCKS = " ▁▂▃▄▅▆▇█"
_FULL_RATIO = 2.0
"""score / threshold at the top of the chart."""


class LiveView:
    """Shows the scores and alerts of one machine as they come."""

    def __init__(self, out: TextIO, *, clock: Callable[[], float]) -> None:
        self._out, self._clock = out, clock
        self._terminal = out.isatty()
        self._colour = self._terminal and "NO_COLOR" not in os.environ
        self._width = max(40, min(shutil.get_terminal_size().columns, 110)) - 2
        self._ratios: deque[float | None] = deque(maxlen=self._width)
        self._alerts: deque[str] = deque(maxlen=_ALERT_LINES)
        self._now, self._open, self._drawn, self._last = "", False, 0, 0.0

    def score(self, message: Mapping[str, Any]) -> None:
        """One score message."""
        self._ratios.append(message["ratio"])
        self._now = message["time"]
        if self._terminal and self._clock() - self._last >= _REDRAW_S:
            self._draw()

    def alert(self, message: Mapping[str, Any]) -> None:
        """One alert message."""
        self._open = message["kind"] != "closed"
        line = f"{message['time'][5:16].replace('T', ' ')}  {message['kind']:<8}{message['message']}"
        self._alerts.append(line)
        if not self._terminal:
            print(line, file=self._out, flush=True)

    def close(self) -> None:
        """Leave the last picture standing."""
        if self._terminal:
            self._draw()

    def _draw(self) -> None:
        wrapped = [textwrap.wrap(line, self._width, subsequent_indent=_INDENT) for line in self._alerts]
        while sum(map(len, wrapped)) > _ALERT_LINES:
            del wrapped[0]
        lines = [*self._chart(), *(line for alert in wrapped for line in alert)]
        lines += [""] * (_HEIGHT + 2 + _ALERT_LINES - len(lines))
        up = f"\x1b[{self._drawn}F" if self._drawn else ""
        self._out.write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
        self._out.flush()
        self._drawn, self._last = len(lines), self._clock()

    def _chart(self) -> list[str]:
        state = "WARNING" if self._open else "normal"
        title = f" {self._now}   {state}   score / threshold, the line is 1"
        if self._colour:
            title = f"\x1b[{'1;31' if self._open else '32'}m{title}\x1b[0m"
        rows = [title]
        eighths = [
            round((min(r, _FULL_RATIO) if r is not None else 0) / _FULL_RATIO * _HEIGHT * 8) for r in self._ratios
        ]
        for level in reversed(range(_HEIGHT)):
            cells = "".join(_BLOCKS[min(8, max(0, e - level * 8))] for e in eighths)
            mark = "─" if level == _HEIGHT // 2 else " "
            rows.append(mark + (cells if mark == " " else cells.replace(" ", "─")))
        return [*rows, ""]
