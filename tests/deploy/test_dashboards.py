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
from monitor.metrics.metrics import Metrics

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
    assert set(committed) == {"sheet-break.json", "model.json", "pipeline.json"}


def test_every_query_goes_to_the_provisioned_datasource() -> None:
    (source,) = read_yaml(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    for path in DASHBOARDS.glob("*.json"):
        dashboard = json.loads(path.read_text())
        asked = [target["datasource"] for panel in dashboard["panels"] for target in panel["targets"]]
        asked += [panel["datasource"] for panel in dashboard["panels"]]
        asked += [variable["datasource"] for variable in dashboard["templating"]["list"]]
        asked += [annotation["datasource"] for annotation in dashboard["annotations"]["list"]]
        assert {(one["type"], one["uid"]) for one in asked} == {(source["type"], source["uid"])}


def test_every_metric_of_the_rules_and_dashboards_exists_in_the_code() -> None:
    registry = CollectorRegistry()
    Metrics(registry, sensors=["x1"])
    ProcessCollector(registry=registry)  # as monitor/main.py does
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    exist = {f.name + end for f in registry.collect() for end in endings.get(f.type, [""])}
    exist |= {rule["record"] for rule in rules() if "record" in rule}
    used = {query.expr for query in queries()} | {rule["expr"] for rule in rules()}
    names = {name for expr in used for name in re.findall(r"\b(?:sheetbreak|process)_\w+|\b[a-z]\w*:[\w:]+", expr)}
    assert len(names) > 15
    assert names - exist == set()
