"""The files of deploy/: they parse, what they refer to exists, and they say what the settings classes take."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from matching.settings import MatchingSettings
from smartex_chassis import ChassisSettings, load

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
K8S = DEPLOY / "k8s"
BASE = K8S / "base" / "matching"
KUSTOMIZATIONS = sorted(K8S.rglob("kustomization.yaml"))
SETTINGS = sorted(K8S.rglob("smartex.env"))

Document = dict[str, Any]


def documents(path: Path) -> list[Document]:
    return [each for each in yaml.safe_load_all(path.read_text("utf-8")) if each is not None]


def variables(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def field(variable: str) -> str:
    return variable.removeprefix("SMARTEX_").lower()


def find(path: Path, kind: str) -> Document:
    return next(each for each in documents(path) if each["kind"] == kind)


def name_of(path: Path) -> str:
    return str(path.relative_to(K8S))


def layers(folder: Path) -> Iterator[Path]:
    """A kustomization and all that it builds on."""
    yield folder
    content = documents(folder / "kustomization.yaml")[0]
    for part in [*content.get("resources", ()), *content.get("components", ())]:
        if (folder / part).is_dir():
            yield from layers((folder / part).resolve())


@pytest.fixture
def pod() -> Document:
    spec: Document = find(BASE / "statefulset.yaml", "StatefulSet")["spec"]["template"]["spec"]
    return spec


@pytest.fixture
def container(pod: Document) -> Document:
    (only,) = pod["containers"]
    return dict(only)


@pytest.fixture
def settings() -> dict[str, str]:
    return {field(name): value for name, value in variables(BASE / "smartex.env").items()}


@pytest.mark.parametrize("path", sorted(K8S.rglob("*.yaml")), ids=name_of)
def test_every_file_is_whole(path: Path) -> None:
    found = documents(path)
    assert found
    assert all({"apiVersion", "kind"} <= each.keys() for each in found)
    if path.name != "kustomization.yaml":
        assert all(each["metadata"]["name"] for each in found)


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=name_of)
def test_a_kustomization_names_what_is_there_and_all_of_it(path: Path) -> None:
    content = documents(path)[0]
    named = [*content.get("resources", ()), *content.get("components", ())]
    named += [patch["path"] for patch in content.get("patches", ())]
    named += [file for made in content.get("configMapGenerator", ()) for file in made["envs"]]
    for each in named:
        target = path.parent / each
        assert target.is_file() or (target / "kustomization.yaml").is_file(), each
    beside = {each.name for each in path.parent.iterdir() if each.is_file()} - {path.name}
    assert beside == {each for each in named if "/" not in each}


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_patches_change_what_exists(overlay: str) -> None:
    folder = K8S / "overlays" / overlay
    content = documents(folder / "kustomization.yaml")[0]
    there = set()
    for layer in layers(folder):
        for resource in documents(layer / "kustomization.yaml")[0].get("resources", ()):
            if (layer / resource).is_file():
                there |= {(each["kind"], each["metadata"]["name"]) for each in documents(layer / resource)}
    for patch in content.get("patches", ()):
        for each in documents(folder / patch["path"]):
            assert (each["kind"], each["metadata"]["name"]) in there
    base = {made["name"] for made in documents(BASE / "kustomization.yaml")[0]["configMapGenerator"]}
    assert {made["name"] for made in content.get("configMapGenerator", ())} <= base


@pytest.mark.parametrize("path", SETTINGS, ids=name_of)
def test_settings_files_set_what_there_is(path: Path) -> None:
    known = {*MatchingSettings.model_fields, *ChassisSettings.model_fields}
    assert {field(name) for name in variables(path)} <= known


def test_the_settings_are_taken_by_their_classes(
    monkeypatch: pytest.MonkeyPatch, container: Document
) -> None:
    for name, value in variables(BASE / "smartex.env").items():
        monkeypatch.setenv(name, value)
    (from_pod,) = container["env"]
    monkeypatch.setenv(from_pod["name"], "matching-0")
    matching, chassis = load(MatchingSettings), load(ChassisSettings)
    assert matching.bus() == "kafka://smartex-kafka-bootstrap:9092"
    assert matching.pod == "matching-0"
    assert (chassis.host, chassis.reflection) == ("0.0.0.0", False)


def test_the_pods_get_the_settings(container: Document) -> None:
    made = documents(BASE / "kustomization.yaml")[0]["configMapGenerator"]
    assert [each["configMapRef"]["name"] for each in container["envFrom"]] == [each["name"] for each in made]


def test_ports_are_those_of_the_settings_everywhere(container: Document, settings: dict[str, str]) -> None:
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"grpc": int(settings["port"]), "metrics": int(settings["metrics_port"])}
    for service in documents(BASE / "services.yaml"):
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
    assert container["readinessProbe"]["grpc"]["port"] == ports["grpc"]
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    (rule,) = find(BASE / "networkpolicy.yaml", "NetworkPolicy")["spec"]["ingress"]
    assert {each["port"] for each in rule["ports"]} == set(ports)


def test_files_that_settings_name_lie_in_what_is_mounted(
    pod: Document, container: Document, settings: dict[str, str]
) -> None:
    mounts = {each["name"]: Path(each["mountPath"]) for each in container["volumeMounts"]}
    state = find(BASE / "statefulset.yaml", "StatefulSet")["spec"]
    volumes = [each["name"] for each in pod["volumes"]]
    claims = [each["metadata"]["name"] for each in state["volumeClaimTemplates"]]
    assert sorted([*volumes, *claims]) == sorted(mounts)
    assert Path(settings["jwks"]).parent == mounts["jwks"]
    assert Path(settings["database_url_file"]).parent == mounts["database"]
    assert mounts["snapshots"] in Path(settings["matching_data"]).parents


def test_the_pod_has_no_more_rights_than_it_needs(pod: Document, container: Document) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    rights = container["securityContext"]
    assert rights["readOnlyRootFilesystem"]
    assert not rights["allowPrivilegeEscalation"]
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert str(pod["securityContext"]["runAsUser"]) in (DEPLOY / "Dockerfile").read_text("utf-8")


def test_a_pod_gets_the_time_that_its_drain_may_take(pod: Document) -> None:
    chassis = ChassisSettings(jwks="/keys/jwks.json")
    longest = chassis.drain_timeout + chassis.stream_drain + chassis.stop_timeout
    assert pod["terminationGracePeriodSeconds"] > longest.total_seconds()


def test_log_and_history_are_where_the_operators_put_them(pod: Document, settings: dict[str, str]) -> None:
    kafka = find(K8S / "components/kafka/kafka.yaml", "Kafka")
    (listener,) = kafka["spec"]["kafka"]["listeners"]
    address = f"{kafka['metadata']['name']}-kafka-bootstrap:{listener['port']}"
    assert settings["bus_url"] == f"kafka://{address}"
    cluster = find(K8S / "components/postgres/postgres.yaml", "Cluster")["metadata"]["name"]
    secrets = [each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each]
    assert secrets == [f"{cluster}-app"]


@pytest.mark.parametrize(
    ("settings_file", "brokers_file"),
    [
        (BASE / "smartex.env", K8S / "components/kafka/kafka.yaml"),
        (K8S / "overlays/prod/smartex.env", K8S / "overlays/prod/kafka.yaml"),
    ],
    ids=["dev", "prod"],
)
def test_topics_have_no_more_copies_than_there_are_brokers(settings_file: Path, brokers_file: Path) -> None:
    copies = int(variables(settings_file)["SMARTEX_KAFKA_REPLICATION"])
    brokers = find(brokers_file, "KafkaNodePool")["spec"]["replicas"]
    config = find(brokers_file, "Kafka")["spec"]["kafka"]["config"]
    assert config["min.insync.replicas"] <= copies <= brokers
    assert config["default.replication.factor"] == copies


def test_selectors_find_the_pods() -> None:
    labels = documents(BASE / "kustomization.yaml")[0]["labels"][0]
    assert labels["includeSelectors"]
    wanted = labels["pairs"]["app.kubernetes.io/name"]
    for path, kind in ((BASE / "availability.yaml", "PodDisruptionBudget"),):
        assert find(path, kind)["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": wanted}
    target = find(BASE / "availability.yaml", "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    state = find(BASE / "statefulset.yaml", "StatefulSet")
    assert (target["kind"], target["name"]) == (state["kind"], state["metadata"]["name"])
    headless = next(
        each for each in documents(BASE / "services.yaml") if each["spec"].get("clusterIP") == "None"
    )
    assert state["spec"]["serviceName"] == headless["metadata"]["name"]
