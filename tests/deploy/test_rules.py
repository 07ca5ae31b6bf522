"""Prometheus' rules and Alertmanager's routes: what fires, what must not, whom it reaches, what silences it."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.outside.start_scripts import elsewhere
from tests.support.running.patience import PATIENCE_S, wait_for
from tests.support.running.ports import free_port
from tests.support.running.services import need

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PROMETHEUS, ALERTMANAGER = DEPLOY / "prometheus", DEPLOY / "alertmanager"
RULE_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))


def read_yaml(path: Path) -> Any:
    return msgspec.yaml.decode(path.read_bytes())


def alerts() -> dict[str, dict[str, Any]]:
    """The alert rules by name."""
    groups = read_yaml(PROMETHEUS / "rules" / "alerts.yml")["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_or_says(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    need(found, "no promtool on the PATH; run scripts/install-test-tools")
    return str(found)


@pytest.fixture(scope="module")
def amtool() -> str:
    found = shutil.which("amtool")
    need(found, "no amtool on the PATH; run scripts/install-test-tools")
    return str(found)


def test_the_configuration_and_its_rules_are_valid(promtool: str) -> None:
    run(promtool, "check", "config", PROMETHEUS / "prometheus.yml")


@pytest.mark.parametrize("cases", RULE_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(promtool: str, cases: Path) -> None:
    run(promtool, "test", "rules", cases)


@pytest.mark.parametrize("name", sorted(alerts()))
def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(name: str) -> None:
    """A rule that nobody has seen fire, or seen quiet, is not tested."""
    fires, quiet = False, False
    for path in RULE_TESTS:
        for case in read_yaml(path)["tests"]:
            for check in case.get("alert_rule_test", ()):
                if check["alertname"] == name:
                    fires |= bool(check["exp_alerts"])
                    quiet |= not check["exp_alerts"]
            for check in case.get("promql_expr_test", ()):
                expected = check.get("exp_samples") or []
                fires |= any(f'alertname="{name}"' in sample["labels"] for sample in expected)
                asks_for_it = f'alertname="{name}"' in check["expr"] or (
                    "ALERTS{" in check["expr"] and "alertname=" not in check["expr"]
                )
                quiet |= asks_for_it and not any(f'alertname="{name}"' in sample["labels"] for sample in expected)
    assert fires, f"no case in {PROMETHEUS / 'tests'} in which {name} fires"
    assert quiet, f"no case in {PROMETHEUS / 'tests'} in which {name} does not fire"


@pytest.mark.parametrize("name", sorted(alerts()))
def test_every_alert_leads_to_a_page_that_says_what_to_do(name: str) -> None:
    rule = alerts()[name]
    assert rule["labels"]["audience"] in {"operators", "engineers"}
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = [line.lstrip("# ") for line in (DEPLOY.parent / page).read_text().splitlines() if line.startswith("#")]
    assert anchor in [heading.strip("` ").lower().replace(" ", "-") for heading in headings]
    # The same as an address, where a desk is known; it has the heading, too.
    known = "{{ with $externalLabels.desk }}{{ . }}/runbook{{ else }}docs/operating.md{{ end }}"
    assert rule["annotations"]["runbook_url"] == f"{known}#{anchor}"
    assert f'<h2 id="{anchor}">' in (DEPLOY.parent / "desk/templates/runbook_text.html").read_text()


@pytest.mark.parametrize("webhooks", [{}, {"ENGINEERS_WEBHOOK": "http://pager:80/a?b=c&d=%20e|f#g"}])
def test_routes_are_valid_with_and_without_webhooks(amtool: str, tmp_path: Path, webhooks: dict[str, str]) -> None:
    config = started_config(tmp_path, webhooks)
    run(amtool, "check-config", config)
    told = {receiver["name"]: receiver.get("webhook_configs", []) for receiver in read_yaml(config)["receivers"]}
    assert told["operators"] == []
    assert [hook["url"] for hook in told["engineers"]] == list(webhooks.values())


def test_receivers_of_ones_own_take_the_place_of_the_webhooks_and_the_examples_are_valid(
    amtool: str, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(ALERTMANAGER, own)
    example = (ALERTMANAGER / "receivers.example.yml").read_text()
    (own / "receivers.yml").write_text(re.sub(r"(?m)^    # (?=[a-z0-9]+_configs:|  )", "    ", example))
    if "msteamsv2" in run_or_says(amtool, "check-config", own_config := started_config(tmp_path, {}, config=own)):
        # an Alertmanager that is too old for Teams' workflows
        own_config.write_text(re.sub(r"(?m)^    msteamsv2_configs:\n(      .*\n)+", "", own_config.read_text()))
    run(amtool, "check-config", own_config)
    operators, engineers = read_yaml(own_config)["receivers"]
    assert {"name", "email_configs"} <= operators.keys()
    assert {"name", "pagerduty_configs", "webhook_configs"} == engineers.keys()
    assert read_yaml(own_config)["route"] == read_yaml(ALERTMANAGER / "alertmanager.yml")["route"]


@pytest.mark.parametrize("name", sorted(alerts()))
def test_an_alert_reaches_those_whom_it_names(amtool: str, name: str) -> None:
    labels = [f"{key}={value}" for key, value in alerts()[name]["labels"].items()]
    config = ALERTMANAGER / "alertmanager.yml"
    reached = run(amtool, "config", "routes", "test", f"--config.file={config}", f"alertname={name}", *labels)
    assert reached.split() == [alerts()[name]["labels"]["audience"]]


def test_each_alert_that_the_desk_hands_over_is_a_message_of_its_own_to_the_operators(amtool: str) -> None:
    config = ALERTMANAGER / "alertmanager.yml"
    labels = ["alertname=SheetbreakAlert", "audience=operators", "machine=pm1", "alert_id=a1"]
    reached = run(amtool, "config", "routes", "test", f"--config.file={config}", *labels)
    assert reached.split() == ["operators"]
    (route,) = read_yaml(config)["route"]["routes"]
    assert {"machine", "alert_id"} <= set(route["group_by"])
    assert route["group_wait"] == "0s"


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    need(program, "no prometheus-alertmanager on the PATH; run scripts/install-test-tools")
    address = f"127.0.0.1:{free_port()}"
    command = [str(program), f"--config.file={started_config(tmp_path, {})}", f"--storage.path={tmp_path / 'data'}"]
    command += [f"--web.listen-address={address}", "--cluster.listen-address="]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"http://{address}"
        _wait_for(f"{url}/-/ready", tmp_path / "log")
        yield url
    finally:
        process.kill()
        process.wait()


def test_while_no_monitor_runs_all_is_silent_but_what_operators_must_know(alertmanager: str) -> None:
    for_operators = {"SheetbreakNotWatched", "SheetbreakBreakWarning", "SheetbreakAlert"}
    others = sorted(alerts().keys() - {"SheetbreakMonitorDown"} - for_operators)
    send(alertmanager, [*others, *for_operators, "SomebodyElse"])
    wait_for(lambda: {"SomebodyElse", *others, *for_operators} <= in_state(alertmanager, "active"))
    assert in_state(alertmanager, "suppressed") == set()
    send(alertmanager, ["SheetbreakMonitorDown"])
    # Inhibition is worked out as alerts are sent on, group by group.
    wait_for(lambda: set(others) <= in_state(alertmanager, "suppressed"))
    assert in_state(alertmanager, "suppressed") == set(others)
    assert for_operators <= in_state(alertmanager, "active")


def send(url: str, names: list[str]) -> None:
    body = json.dumps([{"labels": {"alertname": name, "machine": "pm1"}} for name in names]).encode()
    request = urllib.request.Request(f"{url}/api/v2/alerts", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=PATIENCE_S).close()


def in_state(url: str, state: str) -> set[str]:
    """The names of all alerts that are active, or suppressed by another."""
    with urllib.request.urlopen(f"{url}/api/v2/alerts?inhibited=true", timeout=PATIENCE_S) as answer:
        listed = json.load(answer)
    return {alert["labels"]["alertname"] for alert in listed if alert["status"]["state"] == state}


def started_config(folder: Path, webhooks: dict[str, str], *, config: Path = ALERTMANAGER) -> Path:
    """The configuration as the container's start script makes it."""
    places = {"/etc/alertmanager/": f"{config}/", "/tmp/": f"{folder}/", "exec /bin/alertmanager": ": "}
    script = elsewhere((ALERTMANAGER / "start.sh").read_text(), places)
    subprocess.run(["sh", "-c", script], check=True, env={"PATH": "/usr/bin:/bin", **webhooks})
    return folder / "alertmanager.yml"


def _wait_for(url: str, log: Path) -> None:
    def answers() -> bool:
        try:
            urllib.request.urlopen(url, timeout=PATIENCE_S).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    wait_for(answers, says=log.read_text)
