"""Ask a running Prometheus every query of the dashboards: python deploy/grafana/ask_prometheus.py [URL]

One line a query, with the last value of its first series; exit code 1 when one returns nothing.
tests/deploy/test_dashboards.py asks the same of a Prometheus that scraped a real monitor.
"""

import json
import math
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

DASHBOARDS = Path(__file__).resolve().parent / "dashboards"
VARIABLES = {"$machine": ".*", "$__rate_interval": "20s", "$__range": "30m"}
"""What Grafana would put in, scraping every 5 s and showing half an hour."""
_RANGE_S, _STEP_S = 1800, 5


class Query(NamedTuple):
    """One query of a dashboard."""

    dashboard: str
    panel: str
    expr: str
    instant: bool


class Answer(NamedTuple):
    """What it returned: a number of series, and the last number of the first one that has any."""

    series: int
    labels: Mapping[str, str]
    value: float


class Series(NamedTuple):
    """One series of an answer: seconds since 1970 and finite values, at least one."""

    labels: Mapping[str, str]
    points: list[tuple[float, float]]


def main(url: str) -> int:
    """Print every query's answer; 0 when each has one."""
    empty = 0
    for query in queries():
        answer = ask(url, query)
        empty += answer is None
        value = "nothing" if answer is None else f"{answer.value:.6g}  of {dict(answer.labels)}, {answer.series} series"
        print(f"{query.dashboard} | {query.panel} | {value}")
    return 1 if empty else 0


def queries(folder: Path = DASHBOARDS) -> Iterator[Query]:
    """Those of all panels and annotations."""
    for path in sorted(folder.glob("*.json")):
        dashboard = json.loads(path.read_text())
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield Query(dashboard["title"], panel["title"], target["expr"], bool(target.get("instant")))
        for annotation in dashboard["annotations"]["list"]:
            yield Query(dashboard["title"], f"annotation {annotation['name']}", annotation["expr"], instant=False)


def ask(url: str, query: Query, variables: Mapping[str, str] = VARIABLES) -> Answer | None:
    """The answer of the Prometheus at `url`; None when no series has a finite number."""
    if query.instant:
        series = ask_instant(url, query.expr, variables)
    else:
        now = time.time()
        series = ask_range(url, query.expr, now - _RANGE_S, now, step_s=_STEP_S, variables=variables)
    return Answer(len(series), series[0].labels, series[0].points[-1][1]) if series else None


def ask_instant(url: str, expr: str, variables: Mapping[str, str] = VARIABLES) -> list[Series]:
    """The series that a query has now, with finite numbers."""
    found = _get(f"{url}/api/v1/query", query=_filled(expr, variables))
    return _finite([(one["metric"], [one["value"]]) for one in found])


def ask_range(
    url: str, expr: str, start_s: float, end_s: float, *, step_s: float, variables: Mapping[str, str] = VARIABLES
) -> list[Series]:
    """The series that a query has between two times, seconds since 1970."""
    found = _get(f"{url}/api/v1/query_range", query=_filled(expr, variables), start=start_s, end=end_s, step=step_s)
    return _finite([(one["metric"], one["values"]) for one in found])


def _filled(expr: str, variables: Mapping[str, str]) -> str:
    for name, text in variables.items():
        expr = expr.replace(name, text)
    return expr


def _finite(found: list[tuple[dict[str, str], list[tuple[float, str]]]]) -> list[Series]:
    series = [
        Series(labels, [(at, number) for at, text in values if math.isfinite(number := float(text))])
        for labels, values in found
    ]
    return [one for one in series if one.points]


def _get(address: str, **parameters: object) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{address}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:  # noqa: S310 - the user's own Prometheus
        result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:9090"))
