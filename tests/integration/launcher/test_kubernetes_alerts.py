"""The alert rules of deploy/: every metric in them is one that the services have, with the labels it has."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from smartex_chassis import telemetry

MONITORING = Path(__file__).resolve().parents[3] / "deploy/k8s/components/monitoring"
SERVICES = ("matching", "notifications", "positions")
TARGET_LABELS = {"namespace", "pod", "service"}
"""What Prometheus adds to every metric that a ServiceMonitor finds."""
WORDS = {
    "absent",
    "and",
    "avg_over_time",
    "by",
    "delta",
    "histogram_quantile",
    "increase",
    "max",
    "or",
    "rate",
    "sum",
}
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((MONITORING / "prometheusrule.yaml").read_text("utf-8"))["spec"]["groups"]
    for rule in group["rules"]
]


@pytest.fixture(scope="module")
def registered() -> dict[str, set[str]]:
    """The labels of every time series that the services show, by its name."""
    for service in SERVICES:
        importlib.import_module(f"{service}.wiring")
    series: dict[str, set[str]] = {}
    for name, metric in telemetry._made.items():
        series[name] = {*metric._labelnames, *TARGET_LABELS}
        if metric._type == "histogram":
            del series[name]
            for suffix in ("bucket", "sum", "count"):
                series[f"{name}_{suffix}"] = {*metric._labelnames, *TARGET_LABELS, "le"}
    return series


def name_of(rule: dict[str, Any]) -> str:
    return str(rule["alert"])


def selected(expression: str) -> dict[str, set[str]]:
    """The metrics of an expression, with the labels that it asks of each."""
    bare = re.sub(r"\bby \([^)]*\)", "by", re.sub(r'"[^"]*"', '""', expression))
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"\b([a-z][a-z_]*)\b(?:\{([^}]*)\})?", re.sub(r"\[[^\]]*\]", "", bare)):
        if name not in WORDS:
            found.setdefault(name, set()).update(re.findall(r"(\w+)\s*[=!]", labels))
    return found


@pytest.mark.parametrize("rule", ALERTS, ids=name_of)
def test_an_alert_asks_only_for_what_there_is(rule: dict[str, Any], registered: dict[str, set[str]]) -> None:
    expression = rule["expr"]
    metrics = selected(re.sub(r"\{[^}]*\}", lambda part: part[0].replace(" ", ""), expression))
    assert metrics
    assert metrics.keys() <= registered.keys()
    for metric, labels in metrics.items():
        assert labels <= registered[metric], metric
    kept = {label for part in re.findall(r"\bby \(([^)]*)\)", expression) for label in part.split(", ")}
    assert kept <= set().union(*(registered[metric] for metric in metrics))
    assert expression.count("(") == expression.count(")")


@pytest.mark.parametrize("rule", ALERTS, ids=name_of)
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description"}
    grouped = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
    for label in re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())):
        assert not grouped or any(label in part.split(", ") for part in grouped), "the sum has lost it"


def test_alerts_have_names_of_their_own() -> None:
    names = [name_of(rule) for rule in ALERTS]
    assert len(set(names)) == len(names)
