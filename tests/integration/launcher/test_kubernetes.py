"""The files of deploy/: they parse, what they refer to exists, and they say what the settings classes take."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from matching.settings import MatchingSettings
from notifications.settings import NotificationsSettings
from notifications.vault import open_vault
from positions.settings import PositionsSettings
from smartex_bus import KafkaSettings, settings_of
from smartex_chassis import ChassisSettings, LocalIssuer, Settings, load

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
K8S = DEPLOY / "k8s"
KUSTOMIZATIONS = sorted(K8S.rglob("kustomization.yaml"))

CLASSES: dict[str, type[Settings]] = {
    "matching": MatchingSettings,
    "positions": PositionsSettings,
    "notifications": NotificationsSettings,
}

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


@pytest.fixture(params=CLASSES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def base(service: str) -> Path:
    return K8S / "base" / service


@pytest.fixture
def workload(base: Path) -> Document:
    """The StatefulSet or the Deployment."""
    (path,) = [path for path in base.iterdir() if path.stem in ("statefulset", "deployment")]
    (only,) = documents(path)
    return only


@pytest.fixture
def pod(workload: Document) -> Document:
    spec: Document = workload["spec"]["template"]["spec"]
    return spec


@pytest.fixture
def container(pod: Document) -> Document:
    (only,) = pod["containers"]
    return dict(only)


@pytest.fixture
def settings(base: Path) -> dict[str, str]:
    return {field(name): value for name, value in variables(base / "smartex.env").items()}


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
    named += [patch["path"] for patch in content.get("patches", ()) if "path" in patch]
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
        for each in documents(folder / patch["path"]) if "path" in patch else ():
            assert (each["kind"], each["metadata"]["name"]) in there
        kinds = patch.get("target", {}).get("kind", "Deployment").split("|")
        assert set(kinds) <= {kind for kind, _ in there}
    made = {f"{service}-settings" for service in CLASSES}
    assert {each["name"] for each in content.get("configMapGenerator", ())} <= made
    assert {
        ("StatefulSet", "matching"),
        ("Deployment", "positions"),
        ("Deployment", "notifications"),
    } <= there


def made_of(overlay: str) -> Iterator[tuple[str, list[Path]]]:
    """Each service, and the files of its settings in an overlay, the base's first."""
    folder = K8S / "overlays" / overlay
    for service in CLASSES:
        files = [K8S / "base" / service / "smartex.env"]
        for each in documents(folder / "kustomization.yaml")[0].get("configMapGenerator", ()):
            if each["name"] == f"{service}-settings":
                files += [folder / name for name in each["envs"]]
        yield service, files


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_settings_files_set_what_there_is(overlay: str) -> None:
    for service, files in made_of(overlay):
        known = {*CLASSES[service].model_fields, *ChassisSettings.model_fields}
        assert {field(name) for path in files for name in variables(path)} <= known, service


def test_in_production_calls_to_the_market_trust_what_it_shows() -> None:
    for service, files in made_of("prod"):
        told = {name: value for path in files for name, value in variables(path).items()}
        assert "SMARTEX_TLS_CERT_FILE" in told
        assert ("SMARTEX_EXCHANGE_CA_FILE" in told) == ("SMARTEX_EXCHANGE_URL" in told), service


def test_the_settings_are_taken_by_their_classes(
    monkeypatch: pytest.MonkeyPatch, service: str, base: Path, container: Document
) -> None:
    for name, value in variables(base / "smartex.env").items():
        monkeypatch.setenv(name, value)
    (from_pod,) = container["env"]
    monkeypatch.setenv(from_pod["name"], f"{service}-0")
    own: Any = load(CLASSES[service])
    chassis = load(ChassisSettings)
    assert own.bus() == "kafka://smartex-kafka-bootstrap:9092"
    assert own.pod == f"{service}-0"
    assert (chassis.host, chassis.reflection) == ("0.0.0.0", False)
    assert container["args"] == [service]


def test_the_pods_get_the_settings(base: Path, container: Document) -> None:
    made = documents(base / "kustomization.yaml")[0]["configMapGenerator"]
    assert [each["configMapRef"]["name"] for each in container["envFrom"]] == [each["name"] for each in made]


def test_ports_are_those_of_the_settings_everywhere(
    base: Path, container: Document, settings: dict[str, str]
) -> None:
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    told = {"grpc": "port", "metrics": "metrics_port", "callbacks": "callback_port"}
    assert ports == {name: int(settings[key]) for name, key in told.items() if key in settings}
    for service in documents(base / "services.yaml"):
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
    assert container["readinessProbe"]["grpc"]["port"] == ports["grpc"]
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    (rule,) = find(base / "networkpolicy.yaml", "NetworkPolicy")["spec"]["ingress"]
    assert {each["port"] for each in rule["ports"]} == set(ports)


def test_files_that_settings_name_lie_in_what_is_mounted(
    workload: Document, pod: Document, container: Document, settings: dict[str, str]
) -> None:
    mounts = {each["name"]: Path(each["mountPath"]) for each in container["volumeMounts"]}
    before = {each["name"] for one in pod.get("initContainers", ()) for each in one["volumeMounts"]}
    volumes = {each["name"] for each in pod["volumes"]}
    claims = {each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", ())}
    assert volumes | claims == {*mounts, *before}
    files = [Path(value) for value in settings.values() if value.startswith("/")]
    assert len(files) >= 3
    for file in files:
        assert any(mount in file.parents for mount in mounts.values()), file


def test_keys_are_readable_for_their_service_alone(tmp_path: Path) -> None:
    """The command that copies them, run: the service's own classes take what it leaves."""
    pod = find(K8S / "base/notifications/deployment.yaml", "Deployment")["spec"]["template"]["spec"]
    secrets, keys = tmp_path / "secrets", tmp_path / "keys"
    keys.mkdir()
    signing = LocalIssuer(secrets / "delegation").issue(subject="e2e")
    open_vault(secrets / "addresses" / "addresses.key")
    (secrets / "addresses" / "addresses.key").chmod(0o440)
    (secrets / "delegation" / "signing_key.pem").chmod(0o440)
    (init,) = pod["initContainers"]
    shell, option, script = init["command"]
    script = script.replace("/secrets/", f"{secrets}/").replace("/keys/", f"{keys}/")
    # It is run again where a Secret was not whole, and where the pod's sandbox is made anew.
    (secrets / "addresses" / "addresses.key").rename(tmp_path / "later")
    assert subprocess.run([shell, option, script], capture_output=True).returncode
    (tmp_path / "later").rename(secrets / "addresses" / "addresses.key")
    for _ in range(2):
        subprocess.run([shell, option, script], check=True)
    open_vault(keys / "addresses.key")
    again = LocalIssuer(keys / "delegation").issue(subject="e2e")
    assert jwt.get_unverified_header(again)["kid"] == jwt.get_unverified_header(signing)["kid"]
    assert (keys / "delegation" / "signing_key.pem").stat().st_mode & 0o077 == 0


def test_the_pod_has_no_more_rights_than_it_needs(pod: Document, container: Document) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    for each in (container, *pod.get("initContainers", ())):
        rights = each["securityContext"]
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
    secrets = {each["name"]: each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}
    assert secrets["database"] == f"{cluster}-app"
    told = (K8S / "README.md").read_text("utf-8")
    assert all(secret in told for secret in secrets.values())


@pytest.mark.parametrize(
    ("overlay", "brokers_file"),
    [("dev", K8S / "components/kafka/kafka.yaml"), ("prod", K8S / "overlays/prod/kafka.yaml")],
    ids=["dev", "prod"],
)
def test_topics_have_no_more_copies_than_there_are_brokers(overlay: str, brokers_file: Path) -> None:
    brokers = find(brokers_file, "KafkaNodePool")["spec"]["replicas"]
    config = find(brokers_file, "Kafka")["spec"]["kafka"]["config"]
    for _, files in made_of(overlay):
        told = {name: value for path in files for name, value in variables(path).items()}
        copies = int(told["SMARTEX_KAFKA_REPLICATION"])
        assert config["min.insync.replicas"] <= copies <= brokers
        assert config["default.replication.factor"] == copies


def test_selectors_find_the_pods(service: str, base: Path, workload: Document) -> None:
    labels = documents(base / "kustomization.yaml")[0]["labels"][0]
    assert labels["includeSelectors"]
    own = {"app.kubernetes.io/name": labels["pairs"]["app.kubernetes.io/name"]}
    assert own == {"app.kubernetes.io/name": service}
    disruption = find(base / "availability.yaml", "PodDisruptionBudget")["spec"]
    policy = find(base / "networkpolicy.yaml", "NetworkPolicy")["spec"]
    assert disruption["selector"]["matchLabels"] == own
    assert policy["podSelector"]["matchLabels"] == own
    (spread,) = workload["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == own
    target = find(base / "availability.yaml", "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (workload["kind"], workload["metadata"]["name"])
    headless = next(
        each for each in documents(base / "services.yaml") if each["spec"].get("clusterIP") == "None"
    )
    assert headless["metadata"]["name"] == f"{service}-headless"
    assert workload["spec"].get("serviceName", f"{service}-headless") == f"{service}-headless"


def test_only_the_services_reach_the_log() -> None:
    """It knows no tokens: who writes a command there trades for any account."""
    (listener,) = find(K8S / "components/kafka/kafka.yaml", "Kafka")["spec"]["kafka"]["listeners"]
    (peer,) = listener["networkPolicyPeers"]
    (wanted,) = peer["podSelector"]["matchLabels"].items()
    for service in CLASSES:
        labels = documents(K8S / "base" / service / "kustomization.yaml")[0]["labels"][0]
        assert labels["includeSelectors"], "or pods do not have them"
        assert wanted in labels["pairs"].items()


def managed_url() -> str:
    """What the README would have set for a managed Kafka."""
    (line,) = re.findall(r"^SMARTEX_BUS_URL=(\S+)$", (K8S / "README.md").read_text("utf-8"), re.MULTILINE)
    return str(line)


def test_a_managed_kafka_is_told_by_files_that_its_component_mounts(tmp_path: Path) -> None:
    component = documents(K8S / "components/managed-kafka/kustomization.yaml")[0]
    (patch,) = component["patches"]
    mount, volume = (change["value"] for change in yaml.safe_load(patch["patch"]))
    assert mount["name"] == volume["name"]
    assert f"secret generic {volume['secret']['secretName']} " in (K8S / "README.md").read_text("utf-8")
    (tmp_path / "password").write_text("hidden\n")
    (tmp_path / "ca.crt").touch()
    settings = settings_of(managed_url().replace(mount["mountPath"], str(tmp_path)))
    assert isinstance(settings, KafkaSettings)
    assert (settings.security.protocol, settings.security.password) == ("SASL_SSL", "hidden")
    assert settings.security.ca_file == tmp_path / "ca.crt"


def test_every_service_is_watched() -> None:
    monitor = find(K8S / "components/monitoring/servicemonitor.yaml", "ServiceMonitor")["spec"]
    for service in CLASSES:
        pairs = documents(K8S / "base" / service / "kustomization.yaml")[0]["labels"][0]["pairs"]
        assert monitor["selector"]["matchLabels"].items() <= pairs.items()


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_overlays_build(overlay: str) -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(K8S / "overlays" / overlay)], check=True, capture_output=True, timeout=60
    )
    names = {(each["kind"], each["metadata"]["name"]) for each in yaml.safe_load_all(built.stdout)}
    assert {
        ("StatefulSet", "matching"),
        ("Deployment", "positions"),
        ("Deployment", "notifications"),
    } <= names


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_the_login_of_a_managed_kafka_reaches_every_service(tmp_path: Path) -> None:
    overlay = os.path.relpath(K8S / "overlays/prod", tmp_path.resolve())
    component = os.path.relpath(K8S / "components/managed-kafka", tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(f"resources: [{overlay}]\ncomponents: [{component}]\n")
    built = subprocess.run(["kubectl", "kustomize", tmp_path], check=True, capture_output=True, timeout=60)
    reached = set()
    for each in yaml.safe_load_all(built.stdout):
        if each["kind"] in ("StatefulSet", "Deployment"):
            spec = each["spec"]["template"]["spec"]
            assert "kafka" in {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
            assert "kafka" in {volume["name"] for volume in spec["volumes"]}
            reached.add(each["metadata"]["name"])
    assert reached == set(CLASSES)
