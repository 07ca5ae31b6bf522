"""Pictures of the dashboards without a Grafana: python deploy/grafana/draw_dashboards.py [URL] [FOLDER] [--hours H]

Asks a running Prometheus every query as Grafana would, and draws each dashboard to a PNG, each panel where it stands:
what it has to show, in its colours, not in Grafana's looks. Needs matplotlib (the extra `trainer`).
"""

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
from ask_prometheus import DASHBOARDS, Series, ask_instant, ask_range

GRID_COLUMNS, INCH_A_COLUMN, INCH_A_ROW = 24, 0.8, 0.36
"""Of Grafana's grid; a screen of 1920 by 1080 shows 22 rows."""


def main() -> None:
    """Draw every dashboard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:9090")
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    parser.add_argument("--hours", type=float, default=0.5, help="how much time is shown, until now")
    options = parser.parse_args()
    mpl.use("Agg")
    for path in sorted(DASHBOARDS.glob("*.json")):
        out = options.folder / f"{path.stem}.png"
        draw(json.loads(path.read_text()), options.url, out, hours=options.hours)
        print(out)


def draw(dashboard: Mapping[str, Any], url: str, out: Path, *, hours: float) -> None:
    """One dashboard as a picture."""
    from matplotlib.figure import Figure  # after the choice of a backend

    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    figure = Figure(figsize=(GRID_COLUMNS * INCH_A_COLUMN, rows * INCH_A_ROW), dpi=70)
    end = time.time()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        left, bottom = at["x"] / GRID_COLUMNS, 1 - (at["y"] + at["h"]) / rows
        width, height = at["w"] / GRID_COLUMNS, at["h"] / rows
        axes = figure.add_axes((left + 0.1 * width, bottom + 0.18 * height, 0.86 * width, 0.64 * height))
        axes.set_title(panel["title"], fontsize=9, loc="left")
        axes.tick_params(labelsize=7)
        draw_panel(axes, panel, url, (end - hours * 3600, end))
    figure.savefig(out)


def draw_panel(axes: Any, panel: Mapping[str, Any], url: str, span: tuple[float, float]) -> None:
    """What a panel's queries find, in the panel's own manner."""
    found: list[tuple[str, Series]] = []
    step_s = max(1.0, (span[1] - span[0]) / 240)
    for target in panel["targets"]:
        instant = bool(target.get("instant"))
        series = ask_instant(url, target["expr"]) if instant else ask_range(url, target["expr"], *span, step_s=step_s)
        found += [(legend(target.get("legendFormat", ""), one.labels), one) for one in series]
    if not found:
        axes.text(0.5, 0.5, "no data", ha="center", va="center", color="grey", transform=axes.transAxes)
        axes.set_axis_off()
    elif panel["type"] == "timeseries":
        for text, one in found:
            dashed = text.endswith(("expected", "threshold"))
            axes.plot(
                [clock(at) for at, _ in one.points], [v for _, v in one.points], "--" if dashed else "-", label=text
            )
        axes.legend(fontsize=6, loc="upper left")
    elif panel["type"] in ("state-timeline", "status-history"):
        draw_rows(axes, panel, found, step_s)
    else:
        draw_words(axes, panel, found)


def draw_rows(axes: Any, panel: Mapping[str, Any], found: Sequence[tuple[str, Series]], step_s: float) -> None:
    """A row a series, in the colour of its value."""
    for row, (_, one) in enumerate(found):
        for at, value in one.points:
            axes.barh(row, step_s / 86_400, left=mpl.dates.date2num(clock(at)), color=colour(panel, value), height=0.8)
        axes.text(1.0, row, shown(panel, one.points[-1][1]), fontsize=7, transform=axes.get_yaxis_transform())
    axes.xaxis_date()
    axes.set_yticks(range(len(found)), [text for text, _ in found])


def draw_words(axes: Any, panel: Mapping[str, Any], found: Sequence[tuple[str, Series]]) -> None:
    """The last values as words, each on its colour."""
    axes.set_axis_off()
    columns = math.ceil(math.sqrt(len(found)))
    for number, (text, one) in enumerate(found[:24]):
        value = one.points[-1][1]
        x, y = (number % columns + 0.5) / columns, 1 - (number // columns + 0.5) / math.ceil(len(found) / columns)
        box = {"boxstyle": "round", "facecolor": colour(panel, value), "alpha": 0.5}
        axes.text(x, y, f"{text}\n{shown(panel, value)}", ha="center", va="center", fontsize=7, bbox=box)


def legend(template: str, labels: Mapping[str, str]) -> str:
    """Grafana's legend: {{label}} is the label's value."""
    for name, value in labels.items():
        template = template.replace("{{" + name + "}}", value)
    return template or " ".join(value for name, value in labels.items() if name != "__name__")


def colour(panel: Mapping[str, Any], value: float) -> str:
    """Of a value: by its mapping, or by the last threshold that it reaches."""
    mapped = mapping(panel, value)
    if mapped is not None:
        return str(mapped["color"])
    steps = panel.get("fieldConfig", {}).get("defaults", {}).get("thresholds", {}).get("steps", [])
    reached = [step["color"] for step in steps if step.get("value") is None or value >= step["value"]]
    return str(reached[-1]) if reached else "#8e8e8e"


def shown(panel: Mapping[str, Any], value: float) -> str:
    """A value as its panel writes it."""
    mapped = mapping(panel, value)
    unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "")
    if mapped is not None:
        return str(mapped["text"])
    if unit.startswith("dateTime"):
        return clock(value / 1000).strftime("%Y-%m-%d %H:%M")
    return f"{value:.0%}" if unit == "percentunit" else f"{value:.4g}"


def mapping(panel: Mapping[str, Any], value: float) -> Mapping[str, Any] | None:
    """The panel's word for a value."""
    for one in panel.get("fieldConfig", {}).get("defaults", {}).get("mappings", []):
        found: Mapping[str, Any] | None = one["options"].get(f"{value:g}")
        if found is not None:
            return found
    return None


def clock(at_s: float) -> datetime:
    """Seconds since 1970 as a time."""
    return datetime.fromtimestamp(at_s, UTC)


if __name__ == "__main__":
    main()
