"""Alerts and dashboard ask only for numbers that the code counts, with labels it gives them."""

import json
import re

import yaml

from atoll.telemetry import metrics, worker_metrics
from charts.rendering import HELM, render

FILES = HELM / "atoll" / "files"
COUNTED = {
    metric._name: set(metric._labelnames)
    for metric in (
        metrics.REQUESTS,
        metrics.REQUEST_SECONDS,
        metrics.STREAMS,
        worker_metrics.STEPS,
        worker_metrics.LOOKS,
        worker_metrics.HINTS,
        worker_metrics.UNCONVERGED,
        worker_metrics.STORE_UP,
        worker_metrics.STORE_MEMORY,
        worker_metrics.STORE_LIMIT,
    )
}


def expressions() -> list[str]:
    rules = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"][0]["rules"]
    panels = json.loads((FILES / "dashboard.json").read_text())["panels"]
    found = [rule["expr"] for rule in rules]
    found += [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(found) > 10
    return found


def test_every_metric_is_counted_somewhere() -> None:
    for expression in expressions():
        names = re.findall(r"atoll_\w+", expression)
        assert names, expression
        for name in names:
            assert re.sub("_(total|count|sum|bucket)$", "", name) in COUNTED, name


def test_every_label_is_one_of_its_metric() -> None:
    for expression in expressions():
        known = {"le"}
        for name in re.findall(r"atoll_\w+", expression):
            known |= COUNTED[re.sub("_(total|count|sum|bucket)$", "", name)]
        grouped = {
            w.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for w in by.split(",")
        }
        matched = set(re.findall(r"(\w+)=~?\"", expression))
        assert grouped | matched <= known, expression


def test_every_alert_says_what_to_do() -> None:
    rules = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"][0]["rules"]
    for rule in rules:
        assert rule["for"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert len(rule["annotations"]["description"]) > 30


def test_the_chart_carries_the_files_as_they_are() -> None:
    rendered = render("atoll", "production")
    alerts = yaml.safe_load((FILES / "alerts.yaml").read_text())
    assert rendered.one("PrometheusRule", "atoll-metrics")["spec"] == alerts
    board = rendered.one("ConfigMap", "atoll-dashboard")
    assert json.loads(board["data"]["atoll.json"]) == json.loads(
        (FILES / "dashboard.json").read_text()
    )
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
