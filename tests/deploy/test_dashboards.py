"""The dashboards: the JSON is what the script makes, and its metrics exist. What its queries find: tests/slow."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector

from deploy.grafana.ask_prometheus import DASHBOARDS, queries
from desk.feeds import Status
from desk.web.metrics import metrics
from monitor.metrics.metrics import Metrics
from monitor.metrics.series import NO_ROWS, QUIET, WARMING_UP, WARNING
from sheetbreak.engine.state import STOPPED

DEPLOY = DASHBOARDS.parent.parent


def read_yaml(path: Path) -> Any:
    return msgspec.yaml.decode(path.read_bytes())


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for path in sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
        for group in read_yaml(path)["groups"]
        for rule in group["rules"]
    ]


def test_the_json_is_what_the_script_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(DEPLOY / "grafana" / "make_dashboards.py"), str(tmp_path)], check=True)
    made = {path.name: path.read_text() for path in tmp_path.glob("*.json")}
    committed = {path.name: path.read_text() for path in DASHBOARDS.glob("*.json")}
    assert made == committed, "run: python deploy/grafana/make_dashboards.py"
    assert set(committed) == {f"sheetbreak-{name}.json" for name in ("sheet", "model", "pipeline")}


def test_every_query_goes_to_the_chosen_datasource_which_at_first_is_the_provisioned_one() -> None:
    (source,) = read_yaml(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    for path in DASHBOARDS.glob("*.json"):
        dashboard = json.loads(path.read_text())
        chosen, *variables = dashboard["templating"]["list"]
        assert (chosen["query"], chosen["current"]["value"]) == (source["type"], source["uid"])
        asked = [target["datasource"] for panel in dashboard["panels"] for target in panel["targets"]]
        asked += [panel["datasource"] for panel in dashboard["panels"]]
        asked += [variable["datasource"] for variable in variables]
        asked += [annotation["datasource"] for annotation in dashboard["annotations"]["list"]]
        assert {(one["type"], one["uid"]) for one in asked} == {("prometheus", "${datasource}")}


def test_the_operators_page_needs_no_scrolling_and_links_keep_the_machine() -> None:
    for path in DASHBOARDS.glob("*.json"):
        dashboard = json.loads(path.read_text())
        assert all(link["includeVars"] and link["keepTime"] for link in dashboard["links"])
        if path.stem == "sheetbreak-sheet":
            assert max(at["y"] + at["h"] for at in (panel["gridPos"] for panel in dashboard["panels"])) <= 22
        for row in {panel["gridPos"]["y"] for panel in dashboard["panels"]}:
            assert sum(p["gridPos"]["w"] for p in dashboard["panels"] if p["gridPos"]["y"] == row) <= 24


def test_every_state_of_a_machine_has_a_word_and_a_colour_of_its_own() -> None:
    dashboard = json.loads((DASHBOARDS / "sheetbreak-sheet.json").read_text())
    (panel,) = (panel for panel in dashboard["panels"] if panel["title"] == "State")
    shown = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    words = [one["text"] for one in shown.values()]
    assert words == ["quiet", "WARNING", "warming up", "stopped", "no rows", "not watched"]
    assert len({one["color"] for one in shown.values()}) == len(words)
    (target,) = panel["targets"]
    assert set(re.findall(r'state="(\w+)"', target["expr"])) == {QUIET, WARNING, WARMING_UP, STOPPED, NO_ROWS}


def test_every_metric_of_the_rules_and_dashboards_exists_in_the_code() -> None:
    registry = CollectorRegistry()
    Metrics(registry, sensors=["x1"])
    ProcessCollector(registry=registry)  # as monitor/main.py does
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    exist = {f.name + end for f in registry.collect() for end in endings.get(f.type, [""])}
    exist |= set(re.findall(r"(?m)^(\w+) ", metrics(Status("", notifies=True), open_pages=0)))  # the desk's
    exist |= {rule["record"] for rule in rules() if "record" in rule}
    used = {query.expr for query in queries()} | {rule["expr"] for rule in rules()}
    names = {name for expr in used for name in re.findall(r"\b(?:sheetbreak|process)_\w+|\b[a-z]\w*:[\w:]+", expr)}
    assert len(names) > 15
    assert names - exist == set()
