"""What KWOK does with nodes and with the pods that the agent does not run."""

from __future__ import annotations

from typing import Any

import yaml

from atoll.hosts.sandbox.images import REAL_IMAGES

_READY = """
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
hostIP: "127.0.0.1"
podIP: {{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}
conditions:
- {type: PodReadyToStartContainers, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: ContainersReady, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ range .spec.readinessGates }}
- {type: {{ .conditionType | Quote }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: "sandbox"
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: "sandbox"
  ready: true
  restartCount: 0
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }},
    finishedAt: {{ $now | Quote }}}}
{{ end }}
"""

_DONE = """
{{ $now := Now }}
phase: Succeeded
conditions:
- {type: Ready, status: "False", reason: PodCompleted, lastTransitionTime: {{ $now | Quote }}}
- {type: ContainersReady, status: "False", reason: PodCompleted,
   lastTransitionTime: {{ $now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: "sandbox"
  ready: false
  started: false
  restartCount: 0
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }},
    finishedAt: {{ $now | Quote }}}}
{{ end }}
"""

# A Job's pod has the Job as its owner, or (copied from a virtual cluster) says so in a note.
_JOB = (
    "[.metadata.ownerReferences[]?.kind, "
    '.metadata.annotations["vcluster.loft.sh/owner-set-kind"]] '
    '| any(. == "Job") | if . then "yes" else "no" end'
)


def _only(*rules: dict[str, Any]) -> dict[str, Any]:
    # jq over the pod: "real" pods belong to the agent, whatever their stage of life.
    test = (
        f'[.spec.containers[].image | test("{REAL_IMAGES}")] | any | if . then "real" else "no" end'
    )
    simulated = {"key": test, "operator": "In", "values": ["no"]}
    return {"matchExpressions": [simulated, *rules]}


def _stage(name: str, kind: str, selector: dict[str, Any], following: dict[str, Any], ms: int = 0
           ) -> dict[str, Any]:  # fmt: skip
    spec: dict[str, Any] = {
        "resourceRef": {"apiGroup": "v1", "kind": kind},
        "selector": selector,
        "next": following,
    }
    if ms:
        spec["delay"] = {"durationMilliseconds": ms}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": spec,
    }


def render_stages() -> str:
    """KWOK's configuration file as YAML text."""
    living = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
    leaving = {"key": ".metadata.deletionTimestamp", "operator": "Exists"}
    job = {"key": _JOB, "operator": "In", "values": ["yes"]}

    def phase(value: str) -> dict[str, Any]:
        return {"key": ".status.phase", "operator": "In", "values": [value]}

    ready = {"matchExpressions": [{"key": ".status.phase", "operator": "DoesNotExist"}]}
    stages = [
        _stage("node-settled", "Node", ready, {"statusTemplate": "phase: Running"}),
        _stage("pod-ready", "Pod", _only(living, phase("Pending")), {"statusTemplate": _READY}),
        _stage("pod-done", "Pod", _only(living, phase("Running"), job),
               {"statusTemplate": _DONE}, ms=1000),
        _stage("pod-gone", "Pod", _only(leaving), {"finalizers": {"empty": True}, "delete": True}),
    ]  # fmt: skip
    return yaml.safe_dump_all(stages, sort_keys=False)
