"""The compose file, the images and their start scripts: what they promise, checked without a Docker engine."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.kafka.broker import Broker
from tests.support.outside.start_scripts import elsewhere
from tests.support.running.services import need

ROOT = Path(__file__).resolve().parents[2]
OURS = ("topics", "trainer", "replay", "monitor", "desk")
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = msgspec.yaml.decode(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_the_services_are_those_of_the_contract() -> None:
    assert set(SERVICES) == {*OURS, "kafka", "prometheus", "alertmanager", "grafana"}


def test_ports_are_published_on_this_machine_alone_unless_another_address_is_named() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(published) == 5
    assert all(port.startswith("${BIND_ADDRESS:-127.0.0.1}:") for port in published)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_container_can_fill_the_disk_the_memory_or_the_table_of_processes(name: str) -> None:
    service = SERVICES[name]
    assert service["init"] is True
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_container_can_gain_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "network_mode", "pid", "user", "cap_add", "devices"}
    assert "docker.sock" not in str(service)


@pytest.mark.parametrize("name", OURS)
def test_our_containers_write_to_volumes_and_tmp_alone(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["tmpfs"] == ["/tmp"]
    writable = [mount for mount in SERVICES[name].get("volumes", ()) if not mount.endswith(":ro")]
    own = {"trainer": ["models:/models", "history:/history"], "desk": ["desk:/desk"]}
    assert writable == own.get(name, [])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_runs_for_ever_comes_back_and_says_how_it_is(name: str) -> None:
    service = SERVICES[name]
    if name in ("topics", "trainer"):
        assert service["restart"] == "no"
        return
    assert service["restart"] == "unless-stopped"
    if name != "replay":  # it has nothing that could be asked
        assert service["healthcheck"]["test"]


def test_rows_flow_only_when_all_is_in_place() -> None:
    for name in ("replay", "monitor"):
        awaited = {other: entry["condition"] for other, entry in SERVICES[name]["depends_on"].items()}
        assert awaited == {
            "kafka": "service_healthy",
            "topics": "service_completed_successfully",
            "trainer": "service_completed_successfully",
        }


def test_monitors_can_be_scaled() -> None:
    """Neither a fixed name nor a fixed port nor a fixed Kafka id; Prometheus finds them all by their service's name."""
    assert not SERVICES["monitor"].keys() & {"container_name", "ports", "hostname"}
    assert not [name for name in SERVICES["monitor"]["environment"] if "INSTANCE" in name]
    prometheus = msgspec.yaml.decode((ROOT / "deploy/prometheus/prometheus.yml").read_bytes())
    (job,) = (job for job in prometheus["scrape_configs"] if job["job_name"] == "sheetbreak")
    (found_by,) = job["dns_sd_configs"]
    port = int(SERVICES["monitor"]["environment"]["SHEETBREAK_METRICS_PORT"])
    assert (found_by["names"], found_by["port"]) == (["monitor"], port)


def test_the_desk_is_open_only_where_it_is_published_on_this_machine_alone() -> None:
    environment = SERVICES["desk"]["environment"]
    published = environment["SHEETBREAK_PUBLISHED_ON"]
    assert SERVICES["desk"]["ports"] == [f"{published}:${{DESK_PORT:-8080}}:8080"]
    assert environment["SHEETBREAK_DESK_TOKEN"] == "${DESK_TOKEN:-}"


def test_the_desk_hands_alerts_to_the_stacks_alertmanager_and_prometheus_knows_whether_it_does() -> None:
    environment = SERVICES["desk"]["environment"]
    assert environment["SHEETBREAK_ALERTMANAGER"] == "http://alertmanager:9093"
    prometheus = msgspec.yaml.decode((ROOT / "deploy/prometheus/prometheus.yml").read_bytes())
    (job,) = (job for job in prometheus["scrape_configs"] if job["job_name"] == "sheetbreak-desk")
    assert job["static_configs"] == [{"targets": [f"desk:{environment['SHEETBREAK_PORT']}"]}]
    assert "--data.maintenance-interval=10s" in SERVICES["alertmanager"]["command"]  # kept over a crash, not 15 minutes
    # Links of both begin with the same address, which tells no alert apart.
    public = environment["SHEETBREAK_PUBLIC_URL"]
    assert SERVICES["prometheus"]["environment"] == {"PUBLIC_URL": public}
    assert prometheus["global"]["external_labels"] == {"desk": "${PUBLIC_URL}"}
    assert prometheus["alerting"]["alert_relabel_configs"] == [{"action": "labeldrop", "regex": "desk"}]


def test_every_setting_stands_in_the_example_with_its_default() -> None:
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", TEXT))
    assert re.findall(r"\$\{?\w+", TEXT) == re.findall(r"\$\{\w+(?=:-)", TEXT), "each variable needs a default"
    example = (ROOT / ".env.example").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    placeholders = {"MILL_CSV", "MILL_SCHEMA"}  # empty files stand in for what is not given
    assert settings == {name: "" if name in placeholders else default for name, default in used.items()}
    page = (ROOT / "docs/operating.md").read_text()
    assert all(name in used for name in re.findall(r"\b(?:MILL|TRAIN|REPLAY|GRAFANA)_\w+", page))


def test_the_brokers_probe_asks_a_real_broker_and_starts_no_jvm(broker: Broker) -> None:
    assert SERVICES["kafka"]["healthcheck"]["test"] == ["CMD", "/deploy/probe.sh", "kafka", "9092"]
    probe = ROOT / "deploy" / "kafka" / "probe.sh"
    host, _, port = broker.address.rpartition(":")
    assert subprocess.run([probe, host, port], check=False).returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an open port is no broker
        assert subprocess.run([probe, "127.0.0.1", str(silent.getsockname()[1])], check=False).returncode
    assert "java" not in probe.read_text().lower()


def test_images_of_others_are_pinned_and_the_broker_is_the_tests_own() -> None:
    images = {name: service["image"] for name, service in SERVICES.items() if "image" in service}
    assert images.keys() == SERVICES.keys() - set(OURS)
    assert all(re.fullmatch(r"[\w/.-]+:v?\d+\.\d+\.\d+", image) for image in images.values())
    tested = re.search(
        r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>(.+?)<", (ROOT / "deploy/kafka/pom.xml").read_text()
    )
    assert tested
    assert images["kafka"] == f"apache/kafka:{tested[1]}"


def test_what_is_mounted_is_there() -> None:
    for name, service in SERVICES.items():
        for mount in service.get("volumes", ()):
            source = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", mount).split(":")[0]
            if source.startswith("."):
                assert source.startswith("./deploy/"), f"{name} mounts {source}"
                assert (ROOT / source).exists(), f"{name} mounts {source}"
            else:
                assert source in COMPOSE["volumes"], f"{name} mounts {source}"


def stages() -> dict[str, list[str]]:
    """The Dockerfile's instructions by stage, those of the stages that it starts from included."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if start := re.match(r"FROM (\S+) AS (\S+)", line):
            current = found[start[2]] = list(found.get(start[1], ()))
        current.append(line)
    return found


@pytest.mark.parametrize("target", ["monitor", "trainer", "replay", "desk"])
def test_images_run_as_nobody_in_particular_and_install_by_hash(target: str) -> None:
    lines = stages()[target]
    assert [line for line in lines if line.startswith("USER")][-1] == "USER sheetbreak"
    for line in lines:
        if "pip install" in line:
            assert "--no-deps" in line  # with it pip resolves nothing: only what the lock names comes in
            assert "--require-hashes" in line or "--no-deps /wheels" in line
        assert "--mount" not in line  # the classic builder, which docker-compose 1.29 may use, does not know it


def test_the_monitors_image_has_no_tensorflow() -> None:
    for target in ("monitor", "replay"):
        lists = {found for line in stages()[target] for found in re.findall(r"requirements/(\w+)\.txt", line)}
        assert lists == {"monitor"}
    names = re.findall(r"^([\w.-]+)==", (ROOT / "requirements/monitor.txt").read_text(), re.MULTILINE)
    assert "onnxruntime" in names
    assert not [name for name in names if "tensor" in name or "keras" in name]


@pytest.mark.parametrize("service", ["trainer", "replay", "monitor", "desk"])
def test_the_variables_that_a_container_gets_are_options_of_its_program(service: str) -> None:
    command = {"trainer": "train"}.get(service, service)
    options = subprocess.run(
        [sys.executable, "-m", "sheetbreak", command, "--help"], capture_output=True, text=True, check=True
    ).stdout
    given = [name for name in SERVICES[service]["environment"] if name.startswith("SHEETBREAK_")]
    assert given
    assert [name for name in given if not re.search(rf"\b{name}\b", options)] == []


def test_compose_itself_takes_the_file() -> None:
    """Every Compose that is here: Debian's `docker-compose` is 1.29 or 2, `docker compose` is a plugin of Docker's."""
    programs = [["docker-compose"], ["docker", "compose"]]
    found = [program for program in programs if shutil.which(program[0]) and _runs([*program, "version"])]
    need(found, "no docker-compose on the PATH; run scripts/install-test-tools")
    for program in found:
        file = ["--project-directory", str(ROOT), "-f", str(ROOT / "docker-compose.yml")]
        subprocess.run([*program, *file, "config", "-q"], check=True)


def _runs(command: list[str]) -> bool:
    return not subprocess.run(command, check=False, capture_output=True).returncode


MANIFEST = '{"training": {"data_sha256": "%s", "fit_rows": 600, "validation_rows": 200}}'


class Container:
    """A start script on folders of this machine, beside a sheetbreak that notes what it is told."""

    def __init__(self, folder: Path, script: str) -> None:
        self.folder = folder
        for name in ("input", "models", "history", "bin"):
            (folder / name).mkdir()
        for name in ("mill.csv", "plant.toml"):
            (folder / "input" / name).touch()
        program = folder / "bin" / "sheetbreak"
        program.write_text(
            "#!/bin/sh\n"
            f'case "$*" in --version) echo "sheetbreak ${{VERSION:-0.1.0}}"; exit;; esac\n'
            f'echo "$*${{SHEETBREAK_FROM:+ from=$SHEETBREAK_FROM}} schema=$SHEETBREAK_SCHEMA" >>{folder}/told\n'
            'if [ "$1" = simulate ]; then for out; do :; done; echo "$*" >"$out"; fi\n'
            f'if [ "$1" = train ]; then [ -z "$FAILS" ] || exit 2; mkdir -p {folder}/models/v1; '
            f"printf '{MANIFEST}' $(sha256sum $2 | cut -d' ' -f1) >{folder}/models/v1/manifest.json; "
            f'[ -n "$STAYS" ] || ln -sfn v1 {folder}/models/current; fi\n'
        )
        program.chmod(0o755)
        text = (ROOT / "deploy" / script).read_text()
        paths = [path for path in ("/input/", "/models/", "/history/") if path in text]
        self.script = folder / "start.sh"
        self.script.write_text(elsewhere(text, {path: f"{folder}{path}" for path in paths}))

    def start(self, *arguments: str, code: int = 0, **variables: str) -> list[str]:
        """Run the script; returns what sheetbreak was told."""
        (self.folder / "told").write_text("")
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "SIMULATE_DAYS": "14",
            "SIMULATE_MACHINES": "4",
            "SIMULATE_SEED": "7",
            "SHEETBREAK_SEED": "0",
            **variables,
        }
        done = subprocess.run(["sh", str(self.script), *arguments], env=environment, check=False)
        assert done.returncode == code
        return (self.folder / "told").read_text().replace(f"{self.folder}", "").splitlines()


@pytest.fixture
def trainer(tmp_path: Path) -> Container:
    return Container(tmp_path, "trainer/start.sh")


def commands(told: list[str]) -> list[str]:
    return [line.split()[0] for line in told]


def test_without_a_csv_a_mill_is_simulated_and_rows_of_another_time_are_left_to_play(trainer: Container) -> None:
    learned, live, trained = trainer.start()
    assert learned.startswith("simulate --days 14 --machines 4 --seed 7 ")
    assert live.startswith("simulate --days 14 --machines 4 --seed 8 ")
    assert trained == f"train {learned.split()[-2]} schema="
    played = (trainer.folder / "history" / "live").read_text().strip().removeprefix(str(trainer.folder))
    assert played == live.split()[-2]


def test_nothing_is_trained_again_until_something_changed(trainer: Container) -> None:
    assert commands(trainer.start()) == ["simulate", "simulate", "train"]
    assert trainer.start() == []
    assert commands(trainer.start(SHEETBREAK_SEED="1")) == ["train"]
    assert trainer.start(SHEETBREAK_SEED="1") == []
    assert commands(trainer.start(VERSION="0.2.0", SHEETBREAK_SEED="1")) == ["simulate", "simulate", "train"]
    (trainer.folder / "models" / "current").unlink()
    assert commands(trainer.start(VERSION="0.2.0", SHEETBREAK_SEED="1")) == ["train"]


def test_a_training_that_failed_is_tried_again_and_its_failure_is_said(trainer: Container) -> None:
    assert commands(trainer.start(FAILS="1", code=2)) == ["simulate", "simulate", "train"]
    assert not (trainer.folder / "history" / "live").exists()
    assert commands(trainer.start()) == ["train"]


def test_a_mills_own_csv_is_trained_on_and_played_with_its_schema(trainer: Container) -> None:
    (trainer.folder / "input" / "mill.csv").write_text("when,flow\n")
    assert trainer.start() == ["train /input/mill.csv schema="]
    (trainer.folder / "input" / "plant.toml").write_text("[columns]\n")
    assert trainer.start() == ["train /input/mill.csv schema=/input/plant.toml"]
    assert trainer.start() == []
    (trainer.folder / "input" / "mill.csv").write_text("when,flow\n2026-01-05,1\n")
    assert commands(trainer.start()) == ["train"]
    assert (trainer.folder / "history" / "live").read_text().strip().endswith("/input/mill.csv")


def test_a_mills_own_csv_is_played_from_the_first_row_that_the_model_has_not_seen(tmp_path: Path) -> None:
    (tmp_path / "trainer").mkdir()
    trainer = Container(tmp_path / "trainer", "trainer/start.sh")
    (trainer.folder / "input" / "mill.csv").write_text("when,flow\n")
    trainer.start()
    (tmp_path / "replay").mkdir()
    replay = Container(tmp_path / "replay", "replay/start.sh")
    for name in ("live", "live-from"):
        shutil.copy(trainer.folder / "history" / name, replay.folder / "history" / name)
    (told,) = replay.start()
    assert " from=800 " in told
    (told,) = replay.start(SHEETBREAK_FROM="5")
    assert " from=5 " in told


def test_a_candidate_is_not_trained_again_and_its_rows_are_not_played_either(trainer: Container) -> None:
    """The model that stays current is of another history, whose row numbers mean nothing in this one."""
    other = trainer.folder / "models" / "v0"
    other.mkdir()
    (other / "manifest.json").write_text((MANIFEST % "of another file").replace("600", "9999"))
    (trainer.folder / "models" / "current").symlink_to("v0")
    (trainer.folder / "input" / "mill.csv").write_text("when,flow\n")
    assert commands(trainer.start(STAYS="1")) == ["train"]
    assert trainer.start(STAYS="1") == []
    assert (trainer.folder / "history" / "live-from").read_text() == "800\n"


def test_the_trainers_container_is_sheetbreak_when_it_is_told_a_command(trainer: Container) -> None:
    assert trainer.start("models", "use", "v7") == ["models use v7 schema="]


@pytest.mark.parametrize(("name", "file"), [("MILL_CSV", "mill.csv"), ("MILL_SCHEMA", "plant.toml")])
def test_a_setting_that_names_no_file_is_told_by_its_name_and_value(
    trainer: Container, capfd: pytest.CaptureFixture[str], name: str, file: str
) -> None:
    (trainer.folder / "input" / file).unlink()
    (trainer.folder / "input" / file).mkdir()  # as Docker does
    assert trainer.start(code=2, **{name: "./mil.csv"}) == []
    assert f"{name} names no file: ./mil.csv" in capfd.readouterr().err


def test_a_replay_that_is_off_plays_nothing_and_stays(tmp_path: Path) -> None:
    replay = Container(tmp_path, "replay/start.sh")
    (tmp_path / "history" / "live").write_text("/history/live-1.csv\n")
    sleep = tmp_path / "bin" / "sleep"
    sleep.write_text(f"#!/bin/sh\necho sleep $* >>{tmp_path}/told\n")
    sleep.chmod(0o755)
    assert replay.start(REPLAY="off") == ["sleep infinity"]
    assert replay.start(REPLAY="of", code=2) == []


def test_the_replay_plays_what_the_trainer_left_and_is_never_late(tmp_path: Path) -> None:
    replay = Container(tmp_path, "replay/start.sh")
    (tmp_path / "history" / "live").write_text("/history/live-1.csv\n")
    topic = "kafka://kafka:9092/sensor-rows"
    assert replay.start() == [f"replay /history/live-1.csv --to {topic} --times onward --loop schema="]
    (tmp_path / "input" / "mill.csv").write_text("when,flow\n")
    (tmp_path / "input" / "plant.toml").write_text("[columns]\n")
    (told,) = replay.start()
    assert told.endswith("schema=/input/plant.toml")
