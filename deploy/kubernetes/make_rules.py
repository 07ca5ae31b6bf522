"""PrometheusRule of the Kubernetes base, made of the rules that compose's Prometheus has and promtool tests.

python deploy/kubernetes/make_rules.py      writes base/rules.yaml
"""

from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).resolve().parent
RULES = HERE.parent / "prometheus" / "rules"
OUT = HERE / "base" / "rules.yaml"
_HEAD = "# Made by deploy/kubernetes/make_rules.py of deploy/prometheus/rules: change it there.\n"


def prometheus_rule() -> dict[str, Any]:
    """All groups of all rule files, in the files' order."""
    files = [msgspec.yaml.decode(path.read_bytes()) for path in sorted(RULES.glob("*.yml"))]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "sheetbreak", "labels": {"app.kubernetes.io/part-of": "sheetbreak"}},
        "spec": {"groups": [group for file in files for group in file["groups"]]},
    }


if __name__ == "__main__":
    OUT.write_text(_HEAD + msgspec.yaml.encode(prometheus_rule()).decode())
