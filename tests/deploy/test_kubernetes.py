"""Manifests for Kubernetes: sound by the API's schemas, hardened as compose, and agreeing with one another."""

import copy
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from monitor.config import read_options
from tests.support.outside.kustomize import Manifest, build, containers, documents, identity, parts, pod_spec

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
KUSTOMIZATIONS = [KUBERNETES / "base", KUBERNETES / "overlays" / "mill"]
CUSTOM = {"PodMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"}
"""Kinds whose schemas come with their operators; what matters of them is asked below."""


@pytest.fixture(params=KUSTOMIZATIONS, ids=lambda path: path.name)
def built(request: pytest.FixtureRequest) -> list[Manifest]:
    return build(request.param)


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = (one for one in manifests if identity(one) == (kind, name))
    return found


def validate(manifest: Manifest) -> None:
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_every_manifest_of_the_apis_own_kinds_is_sound_by_its_schema(built: list[Manifest]) -> None:
    ours = [manifest for manifest in built if manifest["kind"] not in CUSTOM]
    assert {"StatefulSet", "Deployment", "Job", "CronJob", "NetworkPolicy", "Service", "ConfigMap"} <= {
        manifest["kind"] for manifest in ours
    }
    for manifest in ours:
        validate(manifest)


def test_the_schemas_refuse_a_field_that_is_not_there_and_a_value_of_another_type() -> None:
    monitor = named(build(KUBERNETES / "base"), "StatefulSet", "sheetbreak-monitor")
    for path, value in [(("readynessProbe",), {}), (("ports",), "9464"), (("securityContext", "runAsRoot"), False)]:
        broken = copy.deepcopy(monitor)
        where = containers(broken)[0]
        for key in path[:-1]:
            where = where[key]
        where[path[-1]] = value
        with pytest.raises(kubernetes_validate.ValidationError):
            validate(broken)


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=lambda path: path.name)
def test_the_kustomizations_are_what_kubectl_makes_of_them(folder: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl here: they are built by tests/support/outside/kustomize.py alone")
    done = subprocess.run([kubectl, "kustomize", str(folder)], check=True, capture_output=True, text=True)
    theirs = {identity(one): one for one in parts(done.stdout)}
    assert theirs == {identity(one): one for one in build(folder)}


def test_the_rules_are_those_that_promtool_tests(tmp_path: Path) -> None:
    rule = named(build(KUBERNETES / "base"), "PrometheusRule", "sheetbreak")
    groups = [
        group
        for path in sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
        for group in documents(path)[0]["groups"]
    ]
    assert rule["spec"] == {"groups": groups}
    assert len(groups) >= 4
    copied = shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=shutil.ignore_patterns("data"))
    written = copied / "kubernetes" / "base" / "rules.yaml"
    written.unlink()
    subprocess.run([sys.executable, str(copied / "kubernetes" / "make_rules.py")], check=True)
    assert written.read_bytes() == (KUBERNETES / "base" / "rules.yaml").read_bytes()


def test_prometheus_finds_the_monitors_under_the_name_that_the_rules_ask_for(built: list[Manifest]) -> None:
    scrape = named(built, "PodMonitor", "sheetbreak")["spec"]
    template = named(built, "StatefulSet", "sheetbreak-monitor")["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert scrape["selector"]["matchLabels"].items() <= labels.items()
    assert labels[scrape["jobLabel"]] == "sheetbreak"
    rules = (DEPLOY / "prometheus" / "rules" / "alerts.yml").read_text()
    assert set(re.findall(r'job="(\w+)"', rules)) == {"sheetbreak"}
    (endpoint,) = scrape["podMetricsEndpoints"]
    ports = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
    assert (endpoint["path"], ports[endpoint["port"]]) == ("/metrics", 9464)


def test_the_scaler_follows_the_lag_up_to_the_partitions(built: list[Manifest]) -> None:
    scaled = named(built, "ScaledObject", "sheetbreak-monitor")["spec"]
    target = scaled["scaleTargetRef"]
    monitor = named(built, target["kind"], target["name"])
    assert (target["apiVersion"], "replicas" in monitor["spec"]) == (monitor["apiVersion"], False)
    create = containers(named(built, "Job", "sheetbreak-topics"))[0]["args"]
    assert scaled["maxReplicaCount"] == int(create[create.index("--partitions") + 1])
    (trigger,) = scaled["triggers"]
    asked = trigger["metadata"]
    assert trigger["type"] == "kafka"
    assert int(asked["lagThreshold"]) > 0
    assert all(isinstance(value, str) for value in asked.values()), "KEDA takes text alone"
    broker = named(built, "ConfigMap", "sheetbreak")["data"]["KAFKA"]
    assert f"kafka://{asked['bootstrapServers']}" == broker
    options = monitor_options(built, broker)
    assert (asked["consumerGroup"], options.source) == (options.kafka.group, f"{broker}/{asked['topic']}")
    if "authenticationRef" in trigger:
        login = named(built, "TriggerAuthentication", trigger["authenticationRef"]["name"])
        for one in login["spec"]["secretTargetRef"]:
            assert one["key"] in named(built, "Secret", one["name"])["stringData"]


def monitor_options(built: list[Manifest], broker: str) -> Any:
    """What the monitor makes of its pod's arguments and environment."""
    (container,) = containers(named(built, "StatefulSet", "sheetbreak-monitor"))
    _, *argv = (word.replace("$(KAFKA)", broker) for word in container["args"])
    data = named(built, "ConfigMap", "sheetbreak")["data"]
    given = {one["name"]: one.get("value", "sheetbreak-monitor-0") for one in container["env"]}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**data, **given}.items():
            patch.setenv(name, value)
        return read_options(argv)


def test_a_monitors_instance_is_its_pods_name_and_its_options_are_understood(built: list[Manifest]) -> None:
    options = monitor_options(built, "kafka://kafka:9092")
    assert options.kafka.instance_id == "sheetbreak-monitor-0"
    assert (options.metrics_host, options.metrics_port, options.log_format) == ("0.0.0.0", 9464, "json")
    monitor = named(built, "StatefulSet", "sheetbreak-monitor")
    (instance,) = (one for one in containers(monitor)[0]["env"] if one["name"] == "SHEETBREAK_INSTANCE_ID")
    assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert named(built, "Service", monitor["spec"]["serviceName"])["spec"]["clusterIP"] == "None"


def test_probes_ask_what_the_programs_answer(built: list[Manifest]) -> None:
    paths = {"sheetbreak-monitor": ("/healthz", "/readyz"), "sheetbreak-desk": ("/healthz", "/healthz")}
    for manifest in built:
        if manifest["kind"] not in ("StatefulSet", "Deployment"):
            continue
        (container,) = containers(manifest)
        asked = {kind: container[kind]["httpGet"] for kind in ("livenessProbe", "readinessProbe", "startupProbe")}
        alive, ready = paths[manifest["metadata"]["name"]]
        assert (asked["livenessProbe"]["path"], asked["readinessProbe"]["path"]) == (alive, ready)
        assert {probe["port"] for probe in asked.values()} <= {port["name"] for port in container["ports"]}


def test_every_pod_is_as_hardened_as_in_compose(built: list[Manifest]) -> None:
    pods = [(manifest, pod) for manifest in built if (pod := pod_spec(manifest)) is not None]
    assert len(pods) == 5
    for manifest, pod in pods:
        name = identity(manifest)
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["runAsUser"] == 10001, name  # as in the Dockerfile
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            hardened = container["securityContext"]
            assert hardened["readOnlyRootFilesystem"], name
            assert hardened["allowPrivilegeEscalation"] is False, name
            assert hardened["capabilities"] == {"drop": ["ALL"]}, name
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}, name


def test_whatever_a_pod_names_is_there(built: list[Manifest]) -> None:
    """The desk's token and Kafka's login come from outside of the base."""
    there = {identity(manifest) for manifest in built}
    secrets = {"sheetbreak-desk", "kafka-sasl"} if ("Secret", "kafka-sasl") not in there else set()
    for manifest in built:
        pod = pod_spec(manifest) or {}
        for volume in pod.get("volumes", ()):
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in there
        volumes = {volume["name"] for volume in pod.get("volumes", ())}
        for container in containers(manifest):
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes
            for source in container["envFrom"]:
                for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
                    if key in source:
                        assert (kind, source[key]["name"]) in there or source[key]["name"] in secrets
    policies = [one["spec"]["podSelector"]["matchLabels"] for one in built if one["kind"] == "NetworkPolicy"]
    for manifest in built:
        template = manifest.get("spec", {}).get("jobTemplate", manifest).get("spec", {}).get("template")
        if template:
            assert any(chosen.items() <= template["metadata"]["labels"].items() for chosen in policies)
