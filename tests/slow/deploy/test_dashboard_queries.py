"""Every query of the dashboards finds data in a real Prometheus that scraped a real monitor on a real broker."""

import json
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.grafana.ask_prometheus import DASHBOARDS, Query, ask, queries
from tests.deploy.test_dashboards import DEPLOY, read_yaml
from tests.support.kafka.broker import Broker
from tests.support.models.mill import mill_rows, save_model
from tests.support.running.patience import PATIENCE_S, wait_for
from tests.support.running.ports import free_port
from tests.support.running.services import need

VARIABLES = {"$machine": ".*", "$__rate_interval": "10s", "$__range": "5m"}


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Any]:
    """Starts programs that are ended with the test; each one's output is in a file."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*command: object) -> Path:
        output = tmp_path / f"log{len(processes)}"
        with output.open("wb") as file:
            processes.append(subprocess.Popen([str(word) for word in command], stdout=file, stderr=file))
        return output

    yield start
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()


def backfilled(folder: Path) -> Path:
    """A Prometheus' data folder that knows of breaks in the last three days, as the recording rule writes them."""
    hours = range((int(time.time()) // 3600 - 72) * 3600, int(time.time()), 3600)
    name = "warned:sheetbreak_breaks:increase1h"
    samples = [f'{name}{{warned="{warned}"}} 1 {at}' for warned in ("no", "yes") for at in hours]
    source = folder / "breaks.txt"
    source.write_text("\n".join([f"# TYPE {name} gauge", *samples, "# EOF"]) + "\n")
    data = folder / "data"
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(source), str(data)],
        check=True,
        capture_output=True,
    )
    return data


def fast_config(folder: Path, metrics_port: int, alertmanager_port: int) -> Path:
    """The committed configuration for one monitor on this machine, scraped and judged every second."""
    config = read_yaml(DEPLOY / "prometheus" / "prometheus.yml")
    (job,) = (job for job in config["scrape_configs"] if job["job_name"] == "sheetbreak")
    del job["dns_sd_configs"]
    job |= {"scrape_interval": "1s", "static_configs": [{"targets": [f"127.0.0.1:{metrics_port}"]}]}
    rule_files = []
    for path in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
        rule_files.append(folder / path.name)
        rule_files[-1].write_text(path.read_text().replace("interval: 1m", "interval: 1s"))
    content = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in rule_files],
        "scrape_configs": [
            job | {"scrape_timeout": "1s"},
            {"job_name": "alertmanager", "static_configs": [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]},
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(content))
    return folder / "prometheus.yml"


def test_every_query_finds_data_in_a_prometheus_that_scraped_a_real_monitor(
    broker: Broker, tmp_path: Path, started: Any
) -> None:
    need(shutil.which("prometheus") and shutil.which("promtool"), "no prometheus; run scripts/install-test-tools")
    models = tmp_path / "models"
    save_model(models)
    prefix = broker.create_topics(partitions=2)
    topic = prefix + "sensor-rows"
    alertmanager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    need(alertmanager, "no prometheus-alertmanager on the PATH; run scripts/install-test-tools")
    metrics_port, port, alertmanager_port = free_port(), free_port(), free_port()
    started(
        *(alertmanager, f"--config.file={DEPLOY / 'alertmanager' / 'alertmanager.yml'}"),
        *(f"--storage.path={tmp_path / 'alertmanager'}", "--cluster.listen-address="),
        f"--web.listen-address=127.0.0.1:{alertmanager_port}",
    )
    monitor = started(
        *(sys.executable, "-m", "monitor", broker.url(topic), "--models", models, "--topic-prefix", prefix),
        *("--metrics-port", metrics_port),
    )
    prometheus = started(
        *("prometheus", f"--config.file={fast_config(tmp_path, metrics_port, alertmanager_port)}"),
        *(f"--storage.tsdb.path={backfilled(tmp_path)}", f"--web.listen-address=127.0.0.1:{port}"),
    )
    url = f"http://127.0.0.1:{port}"
    # It ends within an unusual stretch, its alert open; before that a break that was warned of, and no row.
    rows = mill_rows(189, breaks=(150,))
    broker.write(topic, rows[:60], partition=0, key=b"pm1")
    seen(url, "sum(sheetbreak_rows_total) == 60", monitor, prometheus)
    broker.write(topic, [b"{", *rows[60:]], partition=0, key=b"pm1")
    seen(url, "sum(sheetbreak_rows_total) == 190", monitor, prometheus)

    asked = list(queries())

    def without_data() -> list[Query]:
        return [query for query in asked if ask(url, query, VARIABLES) is None]

    wait_for(lambda: not without_data(), says=without_data, nap_s=1)
    known = f"{url}/api/v1/label/machine/values?match[]=sheetbreak_alert_open"
    with urllib.request.urlopen(known, timeout=PATIENCE_S) as answer:
        assert json.load(answer)["data"] == ["pm1"]
    firing = 'ALERTS{alertname="SheetbreakBreakWarning", alertstate="firing", machine="pm1"}'
    seen(url, firing, monitor, prometheus)
    draw = DEPLOY / "grafana" / "draw_dashboards.py"
    command = [sys.executable, str(draw), url, str(tmp_path), "--hours", "0.02"]
    drawn = subprocess.run(command, check=True, text=True, capture_output=True)
    assert all(Path(line).read_bytes().startswith(b"\x89PNG") for line in drawn.stdout.split())
    assert len(drawn.stdout.split()) == len(list(DASHBOARDS.glob("*.json")))


def seen(url: str, expr: str, *logs: Path) -> None:
    """Wait until Prometheus answers a query with something."""

    def answered() -> bool:
        query = f"{url}/api/v1/query?query={urllib.parse.quote(expr)}"
        try:
            with urllib.request.urlopen(query, timeout=PATIENCE_S) as answer:
                return bool(json.load(answer)["data"]["result"])
        except OSError:  # it has not started yet
            return False

    def says() -> str:
        return f"{expr}\n" + "\n".join(log.read_text()[-3000:] for log in logs)

    wait_for(answered, says=says, nap_s=0.2)
