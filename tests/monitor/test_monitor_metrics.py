"""The metrics, by the names and labels of the contract, and the server that shows them."""

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from monitor.health import STALE_AFTER_S, Health
from monitor.metrics.metrics import Metrics
from monitor.metrics.sensors import MOST_MACHINES
from monitor.web import MAX_CONNECTIONS, Web
from sheetbreak.artifact.promotion import record
from sheetbreak.errors import DataError, RowError, StreamUnavailable
from sheetbreak.streams.memory import MemoryStream
from sheetbreak.wire.actions import encode_action, make_action
from tests.support.models.mill import SENSORS, WARM_UP_ROWS, mill_rows, save_model
from tests.support.programs.monitor_rig import FakeClock, Monitor, outputs_of, topic_of, with_cell
from tests.support.running.patience import PATIENCE_S, wait_for

CONTRACT = {
    "sheetbreak_rows": {"machine", "outcome"},
    "sheetbreak_score_ratio": {"machine"},
    "sheetbreak_reconstruction_error": {"machine"},
    "sheetbreak_threshold": {"machine"},
    "sheetbreak_alert_open": {"machine"},
    "sheetbreak_alerts": {"machine", "severity"},
    "sheetbreak_breaks": {"machine", "warned"},
    "sheetbreak_sensor_error_share": {"machine", "sensor"},
    "sheetbreak_sensor_observed": set(),  # none while it is quiet: a test of its own
    "sheetbreak_sensor_expected": set(),
    "sheetbreak_sensor_health": set(),
    "sheetbreak_last_row_timestamp_seconds": {"machine"},
    "sheetbreak_consumer_lag_rows": {"partition"},
    "sheetbreak_rows_lost": {"partition"},
    "sheetbreak_batch_duration_seconds": set(),
    "sheetbreak_promotion_info": {"version", "decision", "by"},
    "sheetbreak_promotion_figure": {"model", "figure"},
    "sheetbreak_end_to_end_latency_seconds": set(),
    "sheetbreak_commits": {"result"},
    "sheetbreak_model_info": {"version", "family"},
    "sheetbreak_model_trained_timestamp_seconds": set(),
    "sheetbreak_model_reloads": {"result"},
    "sheetbreak_machine_state": {"machine", "state"},
    "sheetbreak_machine_blind": {"machine"},
    "sheetbreak_build_info": {"version"},
    "sheetbreak_missing_cells": {"sensor", "word"},
    "sheetbreak_warnings_true_ratio": {"machine"},
    "sheetbreak_verdict_precision_ratio": {"machine"},
    "sheetbreak_break_base_ratio": {"machine"},
    "sheetbreak_stops": {"machine", "why"},
    "sheetbreak_cold_starts": {"machine", "why"},
    "sheetbreak_alert_shelved": {"machine"},
    "sheetbreak_alert_acknowledged": {"machine"},
    "sheetbreak_sensors_masked": {"machine"},
    "sheetbreak_actions": {"machine", "action"},
    "sheetbreak_verdicts": {"machine", "verdict"},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    version = save_model(folder).version
    gate = {"candidate": {"roc_auc": 0.5, "warned": 3}, "current": {"roc_auc": 0.78, "warned": "many"}}
    record(folder, "v2", decision="candidate", by="if-better", current=version, why="worse", gate=gate)
    return folder


@pytest.fixture
def monitor(models: Path) -> Monitor:
    """A monitor that has seen a machine with alerts and a break, a repeated row and a record that is none."""
    rows = mill_rows(150, breaks=(100,))
    rows[40] = with_cell(rows[40], "x2", "Bad")
    topic = topic_of([*rows, rows[-1], b"{"])
    topic.say([encode_action(make_action("pm1", "unshelve", time_us=0, by="Aino"))])
    monitor = Monitor(topic, models)
    monitor.metrics.show_lag({0: 7})
    return monitor.run()


@pytest.fixture
def web(monitor: Monitor) -> Iterator[Web]:
    web = Web("127.0.0.1", 0, registry=monitor.registry, health=monitor.health)
    yield web
    web.close()


def get(web: Web, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=PATIENCE_S)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, dict(response.getheaders()), body


def test_every_metric_of_the_contract_is_served_with_its_labels_and_no_other(web: Web) -> None:
    status, headers, body = get(web, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    served = {
        family.name: {label for sample in family.samples for label in sample.labels} - {"le"}
        for family in text_string_to_metric_families(body)
        if not family.name.endswith("_created")
    }
    judged = {"sheetbreak_verdict_precision_ratio": {"machine"}}  # of a machine whose warnings operators judged
    assert served | judged == CONTRACT


def test_the_last_decision_about_a_model_is_served_with_its_figures(monitor: Monitor) -> None:
    sample = monitor.sample
    assert sample("sheetbreak_promotion_info", version="v2", decision="candidate", by="if-better") == 1
    assert sample("sheetbreak_promotion_figure", model="candidate", figure="warned") == 3
    assert sample("sheetbreak_promotion_figure", model="current", figure="roc_auc") == 0.78


def test_rows_are_counted_by_what_became_of_them(monitor: Monitor) -> None:
    states = [answer["state"] for answer in outputs_of(monitor.topic, "scores")]
    for outcome in ("scored", "restarting", "warming-up", "stopped"):
        label = outcome.replace("-", "_")
        assert monitor.sample("sheetbreak_rows_total", machine="pm1", outcome=label) == states.count(outcome)
    assert states.count("warming-up") == WARM_UP_ROWS
    assert states.count("restarting") == 15
    assert monitor.sample("sheetbreak_rows_total", machine="", outcome="dead_letter") == 1
    assert monitor.sample("sheetbreak_rows_total", machine="pm1", outcome="dead_letter") == 1


def test_cells_without_a_number_are_counted_and_their_rows_are_scored(models: Path) -> None:
    rows = mill_rows(150)
    for place in range(60, 150, 30):
        rows[place] = with_cell(rows[place], "x2", "Bad")
    monitor = Monitor(topic_of(rows), models).run()
    assert monitor.sample("sheetbreak_missing_cells_total", sensor="x2", word="Bad") == 3
    assert monitor.sample("sheetbreak_rows_total", machine="pm1", outcome="dead_letter") == 0
    assert monitor.sample("sheetbreak_rows_total", machine="pm1", outcome="restarting") == 0
    assert [answer["imputed"] for answer in outputs_of(monitor.topic, "scores")[60:150:30]] == [["x2"]] * 3


def test_stops_and_cold_starts_are_counted_and_told_once(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = mill_rows(120, labels=False)
    lossy = [row for place, row in enumerate(rows) if place not in (50, 70)]
    monitor = Monitor(topic_of([*lossy, *mill_rows(30, labels=False, seed=9)]), models).run()
    assert monitor.sample("sheetbreak_stops_total", machine="pm1", why="short-gap") == 2
    assert monitor.sample("sheetbreak_stops_total", machine="pm1", why="break") == 0
    assert monitor.sample("sheetbreak_cold_starts_total", machine="pm1", why="new") == 1
    assert monitor.sample("sheetbreak_cold_starts_total", machine="pm1", why="clock") == 1
    events = [record.getMessage() for record in caplog.records]
    [gap] = [line for line in events if "event=unknown-gap" in line]
    assert "machine=pm1 time=1999-05-01T01:42:00Z stop_gap_s=180 why=short-gap" in gap
    [cold] = [line for line in events if "event=cold-start" in line]
    assert "its clock was set back" in cold


def test_gauges_show_the_last_scored_row(monitor: Monitor) -> None:
    last = outputs_of(monitor.topic, "scores")[-1]
    assert monitor.sample("sheetbreak_reconstruction_error", machine="pm1") == last["score"]
    assert monitor.sample("sheetbreak_threshold", machine="pm1") == last["threshold"]
    assert monitor.sample("sheetbreak_score_ratio", machine="pm1") == last["ratio"]
    assert monitor.sample("sheetbreak_last_row_timestamp_seconds", machine="pm1") == 925534680
    shares = [monitor.sample("sheetbreak_sensor_error_share", machine="pm1", sensor=s) for s in SENSORS]
    assert sum(share or 0 for share in shares) == pytest.approx(1)


def test_leading_sensors_have_readings_while_an_alert_is_open_and_none_when_it_is_quiet(models: Path) -> None:
    for row_count, is_open in ((189, True), (120, False)):
        monitor = Monitor(topic_of(mill_rows(row_count, breaks=(150,))), models)
        monitor.run()
        last = outputs_of(monitor.topic, "scores")[-1]
        assert bool(last.get("top")) == is_open
        for kind in ("observed", "expected"):
            shown = {s: monitor.sample(f"sheetbreak_sensor_{kind}", machine="pm1", sensor=s) for s in SENSORS}
            told = {top["sensor"]: top[kind] for top in last.get("top", [])}
            assert {s: value for s, value in shown.items() if value is not None} == told


def test_alerts_and_breaks_are_counted(monitor: Monitor) -> None:
    alerts = outputs_of(monitor.topic, "alerts")
    for severity in ("warning", "critical"):
        opened = [alert for alert in alerts if alert["kind"] == "opened" and alert["severity"] == severity]
        assert monitor.sample("sheetbreak_alerts_total", machine="pm1", severity=severity) == len(opened)
    answers = [monitor.sample("sheetbreak_breaks_total", machine="pm1", warned=w) or 0 for w in ("yes", "no")]
    assert sum(answers) == 1
    open_now = alerts[-1]["kind"] != "closed"
    assert monitor.sample("sheetbreak_alert_open", machine="pm1") == open_now


def test_latency_runs_from_the_records_timestamp_to_the_commit(monitor: Monitor) -> None:
    assert monitor.sample("sheetbreak_end_to_end_latency_seconds_count") == 152
    assert monitor.sample("sheetbreak_end_to_end_latency_seconds_sum") == 152 * 100.0


def test_above_fifty_machines_sensors_that_do_not_lead_have_series_only_on_request(models: Path) -> None:
    machines = [mill_rows(22, machine=f"pm{i}", seed=i) for i in range(MOST_MACHINES + 1)]
    values = [value for turn in zip(*machines, strict=True) for value in turn]
    few = Monitor(topic_of(values[: 22 * 51 - 1]), models, max_records=500)
    few.topic.records[0] = [r for r in few.topic.records[0] if b'"pm50"' not in r.value]
    few.run()
    assert few.sample("sheetbreak_sensor_error_share", machine="pm3", sensor="x1") is not None
    many = Monitor(topic_of(values), models, max_records=500)
    many.run()
    [*_, last] = (score for score in outputs_of(many.topic, "scores") if score["machine"] == "pm3")
    leading = {top["sensor"] for top in last.get("top", [])}
    assert len(leading) < len(SENSORS)
    assert {
        s for s in SENSORS if many.sample("sheetbreak_sensor_error_share", machine="pm3", sensor=s) is not None
    } == leading
    assert many.sample("sheetbreak_score_ratio", machine="pm3") is not None
    many.metrics.sensors._all_series = True
    assert many.sample("sheetbreak_sensor_error_share", machine="pm3", sensor="x1") is not None


def test_a_sender_of_garbage_cannot_flood_prometheus_with_machines() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry, sensors=SENSORS)
    metrics.count_rejects(RowError("no row", reason="not-a-row", machine=f"m{i}") for i in range(5000))
    assert len(list(next(iter(metrics.collect())).samples)) < 6000
    counted = [s.value for s in next(iter(metrics.collect())).samples if s.labels["outcome"] == "dead_letter"]
    assert sum(counted) == 5000


def test_a_replaced_model_leaves_no_series(monitor: Monitor, tmp_path: Path) -> None:
    old = monitor.model.version
    monitor.metrics.show_model(save_model(tmp_path, now=datetime(2026, 6, 1, tzinfo=UTC)))
    assert monitor.sample("sheetbreak_model_info", version=old, family="pca") is None
    assert monitor.sample("sheetbreak_model_trained_timestamp_seconds") == 1780272000


def test_health_follows_the_loop_and_readiness_the_stream() -> None:
    clock = FakeClock()
    health = Health(clock.monotonic)
    assert health.alive()
    assert not health.ready()
    health.model_loaded = True
    assert not health.ready()
    health.stream_answers = True
    assert health.ready()
    clock.now += STALE_AFTER_S
    assert not health.alive()
    assert not health.ready()
    health.beat()
    assert health.alive()


def test_health_and_readiness_are_served_as_status_codes(monitor: Monitor, web: Web) -> None:
    assert get(web, "/healthz")[::2] == (200, "ok\n")
    assert get(web, "/readyz")[::2] == (200, "ready\n")
    monitor.health.stream_answers = False
    assert get(web, "/readyz")[0] == 503
    assert get(web, "/healthz")[0] == 200
    monitor.clock.now += STALE_AFTER_S
    assert get(web, "/healthz")[0] == 503


def test_answers_forbid_sniffing_framing_and_caching_and_name_no_software(web: Web) -> None:
    for path in ("/metrics", "/healthz", "/nowhere"):
        _, headers, _ = get(web, path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Server"].strip() == "sheetbreak"


def test_other_paths_and_methods_are_refused(web: Web) -> None:
    assert get(web, "/")[0] == 404
    assert get(web, "/metrics?name=x")[0] == 200
    assert get(web, "/metrics", method="POST")[0] == 501


def test_a_head_request_gets_the_headers_alone(web: Web) -> None:
    with socket.create_connection(("127.0.0.1", web.port)) as client:
        client.sendall(b"HEAD /metrics HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.0 200")
    assert answer.endswith(b"\r\n\r\n")


def test_a_silent_client_does_not_hold_up_the_others(web: Web) -> None:
    with socket.create_connection(("127.0.0.1", web.port)):
        assert get(web, "/healthz")[0] == 200


def test_clients_that_trickle_bytes_do_not_keep_a_probe_out(monitor: Monitor) -> None:
    """Each connection is busy enough for any limit on silence, and there are more of them than threads."""
    web = Web("127.0.0.1", 0, registry=monitor.registry, health=monitor.health, connection_s=2 * PATIENCE_S)
    with contextlib.closing(web), contextlib.ExitStack() as clients:
        address = ("127.0.0.1", web.port)
        slow = [clients.enter_context(socket.create_connection(address)) for _ in range(3 * MAX_CONNECTIONS)]

        def trickle() -> None:
            for client in slow:
                with contextlib.suppress(OSError):  # the oldest were dropped for the newer
                    client.sendall(b"G")

        def few_threads() -> bool:
            trickle()
            return threading.active_count() < 2 * MAX_CONNECTIONS

        trickle()
        assert get(web, "/readyz")[0] == 200
        wait_for(few_threads, says=threading.active_count)  # a thread ends a moment after its connection


def test_a_connection_ends_in_time_however_busy_it_is(monitor: Monitor) -> None:
    web = Web("127.0.0.1", 0, registry=monitor.registry, health=monitor.health, connection_s=1.0)
    with contextlib.closing(web), socket.create_connection(("127.0.0.1", web.port)) as client:
        began, ended = time.monotonic(), False
        client.settimeout(0.1)
        client.sendall(b"GET /healthz HTTP/1.0\r\nX-Slow: ")
        while not ended and time.monotonic() - began < PATIENCE_S:
            try:
                client.sendall(b"x")
                ended = client.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert ended


def test_openmetrics_is_served_to_those_who_ask(web: Web) -> None:
    _, headers, body = get(web, "/metrics", Accept="application/openmetrics-text;version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert body.endswith("# EOF\n")


def test_a_taken_port_is_the_users_to_change(web: Web) -> None:
    with pytest.raises(DataError, match=r"port \d+ on 127.0.0.1 is taken; .*--metrics-port"):
        Web("127.0.0.1", web.port, registry=CollectorRegistry(), health=Health(FakeClock().monotonic))


def test_a_foreign_address_is_the_users_to_change() -> None:
    with pytest.raises(DataError, match=r"port 0 on 192.0.2.1 cannot be used"):
        Web("192.0.2.1", 0, registry=CollectorRegistry(), health=Health(FakeClock().monotonic))


def test_a_lag_that_cannot_be_asked_for_now_is_no_reason_to_stop(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_self: MemoryStream) -> dict[int, int]:
        raise StreamUnavailable("broker away")

    monkeypatch.setattr(MemoryStream, "lag", away)
    topic = Monitor(topic_of(mill_rows(60)), models).run().topic
    assert len(outputs_of(topic, "scores")) == 60


def test_lag_is_shown_for_the_partitions_that_are_ours(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryStream, "lag", lambda _self: {1: 42})
    monitor = Monitor(topic_of(mill_rows(5)), models)
    monitor.metrics.show_lag({0: 7})
    monitor.run()
    assert monitor.sample("sheetbreak_consumer_lag_rows", partition="1") == 42
    assert monitor.sample("sheetbreak_consumer_lag_rows", partition="0") is None
