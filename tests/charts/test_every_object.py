"""Rules that hold for every object of every chart in every mode."""

import re
from pathlib import Path

import pytest

from charts.rendering import (
    ALL,
    CHARTS,
    HELM,
    Rendered,
    containers,
    helm,
    modes,
    pod_templates,
    render,
    template,
)

COMMON = {
    "app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/part-of",
    "app.kubernetes.io/component", "app.kubernetes.io/managed-by", "app.kubernetes.io/version",
    "helm.sh/chart",
}  # fmt: skip
CLUSTER_WIDE = {
    "Namespace", "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding", "PriorityClass",
}  # fmt: skip


@pytest.mark.parametrize(("chart", "mode"), ALL)
def test_lint_finds_nothing(chart: str, mode: str) -> None:
    answer = helm(
        "lint", "--strict", HELM / chart, "-f", HELM / chart / "ci" / f"{mode}-values.yaml"
    )
    assert "[WARNING]" not in answer.stdout
    assert "[ERROR]" not in answer.stdout


def test_the_same_values_render_the_same_text(rendered: Rendered) -> None:
    again = template(rendered.chart, HELM / rendered.chart / "ci" / f"{rendered.mode}-values.yaml")
    assert again.stdout == rendered.text


@pytest.mark.parametrize("chart", CHARTS)
def test_every_template_renders_something_in_some_mode(chart: str) -> None:
    text = "".join(render(chart, mode).text for c, mode in ALL if c == chart)
    templates = [p.name for p in (HELM / chart / "templates").glob("*.yaml")]
    assert templates
    silent = [name for name in templates if f"# Source: {chart}/templates/{name}\n" not in text]
    assert silent == []


def test_every_object_says_whose_it_is_and_where_it_lives(rendered: Rendered) -> None:
    _, namespace = CHARTS[rendered.chart]
    for item in rendered.objects:
        meta = item["metadata"]
        assert set(meta["labels"]) >= COMMON, item["kind"]
        assert meta["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        assert ("namespace" not in meta) == (item["kind"] in CLUSTER_WIDE), meta["name"]
        if "namespace" in meta:
            assert meta["namespace"] in (namespace, "atoll-access", "atoll-access-mirror")


def test_no_object_is_rendered_twice(rendered: Rendered) -> None:
    names = [
        (o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in rendered.objects
    ]
    assert len(names) == len(set(names))


def test_pods_can_do_nothing_that_they_need_not(rendered: Rendered) -> None:
    for name, pod in pod_templates(rendered):
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert "automountServiceAccountToken" in pod["spec"], name
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            assert key not in pod["spec"], name
        for container in containers(pod):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name


def test_every_container_is_probed_and_bounded(rendered: Rendered) -> None:
    for name, pod in pod_templates(rendered):
        for container in containers(pod):
            assert {"readinessProbe", "livenessProbe"} <= set(container), name
            resources = container["resources"]
            assert {"cpu", "memory"} <= set(resources["requests"]), name
            assert "memory" in resources["limits"], name


def test_every_image_is_pinned(rendered: Rendered) -> None:
    for name, pod in pod_templates(rendered):
        for container in containers(pod):
            image = container["image"]
            assert re.search(r"(:[\w][\w.-]*|@sha256:[0-9a-f]{64})$", image), (name, image)
            assert not image.endswith(":latest"), name


def test_selectors_find_their_pods_and_services_have_pods_behind_them(rendered: Rendered) -> None:
    labels = [pod["metadata"]["labels"].items() for _, pod in pod_templates(rendered)]
    for owner in (o for o in rendered.objects if "template" in (o.get("spec") or {})):
        wanted = owner["spec"]["selector"]["matchLabels"].items()
        assert wanted <= owner["spec"]["template"]["metadata"]["labels"].items()
        assert sum(wanted <= pod for pod in labels) == 1, "two owners would fight for the same pods"
    for service in rendered.of("Service"):
        selector = dict(service["spec"]["selector"])
        # Set by Kubernetes itself on each pod of a StatefulSet.
        pod_name = selector.pop("statefulset.kubernetes.io/pod-name", None)
        assert pod_name in (None, service["metadata"]["name"])
        found = sum(selector.items() <= pod for pod in labels)
        assert found == 1, service["metadata"]["name"]


def test_no_secret_is_rendered_and_passwords_come_by_reference(rendered: Rendered) -> None:
    assert not [o for o in rendered.objects if o["kind"] == "Secret"]
    for _, pod in pod_templates(rendered):
        for container in containers(pod):
            assert not re.search(
                r"requirepass \w|--requirepass|-a \w", " ".join(container["command"])
            )
            for variable in container["env"]:
                if re.search("PASSWORD|AUTH|TOKEN$", variable["name"]):
                    assert "secretKeyRef" in variable["valueFrom"], variable["name"]


@pytest.mark.parametrize("path", [p for c in CHARTS for p in modes(c)], ids=lambda p: p.name)
def test_ci_values_say_what_they_are_for(path: Path) -> None:
    assert path.read_text().startswith("# ")
