"""The words of the portal: what each step, phase and reason means for a person.

A reason that is not listed is shown split into words, and its message always stands beside it, so a
new reason of the worker is never hidden.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from atoll.resources.meta import Condition
from atoll.resources.virtual_clusters import Phase, StepState

Tone = Literal["good", "busy", "calm", "warn", "bad"]


@dataclass(frozen=True)
class StepWords:
    """One step: what is being done, what is true afterwards, and what is undone on deletion."""

    doing: str
    done: str
    undoing: str


STEPS: dict[str, StepWords] = {
    "Admitted": StepWords(
        "Reserving the quota", "The team's quota is reserved", "Giving the quota back"
    ),
    "NamespaceReady": StepWords(
        "Making the host namespace", "The host namespace is there", "Removing the host namespace"
    ),
    "GuardRailsReady": StepWords(
        "Setting the guard rails",
        "Quota, limits and network rules hold on the host",
        "Removing the guard rails",
    ),
    "NodesReady": StepWords("Assigning nodes", "Its nodes are assigned", "Giving the nodes back"),
    "RedisReady": StepWords(
        "Starting Redis", "Redis keeps the state of Ray heads", "Removing Redis and its data"
    ),
    "RedisPasswordReady": StepWords(
        "Changing the password of Redis",
        "Redis and its Secret agree on the password",
        "Forgetting the password of Redis",
    ),
    "ControlPlaneReady": StepWords(
        "Starting the control plane",
        "The Kubernetes API of the virtual cluster answers",
        "Removing the control plane and its data",
    ),
    "AccessReady": StepWords(
        "Opening access", "Kubeconfig and gateway access work", "Closing access"
    ),
    "OperatorReady": StepWords("Installing KubeRay", "KubeRay is running", "Removing KubeRay"),
    "SchedulerReady": StepWords(
        "Installing the gang scheduler", "The gang scheduler is running", "Removing the scheduler"
    ),
    "QueueReady": StepWords(
        "Setting up the team's queue", "The team's queue is open", "Removing the queue"
    ),
    "PoliciesReady": StepWords(
        "Setting admission policies",
        "Every Ray cluster is gang-scheduled and fault tolerant",
        "Removing admission policies",
    ),
    "QuotaReady": StepWords(
        "Agreeing on the quota", "The quota is the same on every layer", "Letting go of the quota"
    ),
    "RayClustersReady": StepWords(
        "Starting the Ray clusters", "The Ray clusters asked for are ready", "Stopping Ray clusters"
    ),
    "GcsUsersReady": StepWords(
        "Giving every Ray head its own keys",
        "Every Ray head has keys of its own in Redis",
        "Removing the users of Redis",
    ),
    "ProbeReady": StepWords(
        "Probing it as a user would", "A probe from the user's side passed", "Stopping the probe"
    ),
}

SHARED_STEPS: dict[str, StepWords] = {
    "HostSchedulerReady": StepWords(
        "Finding the host's gang scheduler",
        "The host's gang scheduler is running",
        "Leaving the host's gang scheduler",
    ),
    "HostQueueReady": StepWords(
        "Making its queue on the host", "Its queue on the host is open", "Removing its host queue"
    ),
}
"""Steps that only shared virtual clusters have."""
_ALL_STEPS = STEPS | SHARED_STEPS

REASONS: dict[str, str] = {
    # as it should be
    "Ready": "Everything that was asked for is there",
    "Done": "Done",
    "Gone": "Gone, checked",
    "Closed": "Closed, checked",
    # on the way
    "NotLookedYet": "Nobody has looked yet",
    "Planned": "Planned, not begun",
    "ChangingPassword": "Redis is being given a new password; both are taken meanwhile",
    "Reserving": "Being reserved",
    "Making": "Being made",
    "Writing": "Being written",
    "Installing": "Being installed",
    "Upgrading": "Being upgraded",
    "Starting": "Starting",
    "ImageNotPulled": "An image cannot be pulled",
    "Labelling": "Nodes are being marked as its own",
    "SyncerStarting": "The virtual cluster is filling up with its first objects",
    "ExportingKubeconfig": "Its API runs; the way in is being made",
    "RayClustersStarting": "Ray heads and workers are starting",
    "QueueOpening": "Its queue on the host is being opened",
    "NotEnoughNodes": "Too few free nodes of that template",
    "LayerLags": "The quota is not the same everywhere yet",
    "DeviceUnknown": "Its quota names a device that no node has",
    "OverQuota": "More runs than the quota allows; what runs stays",
    # on the way out
    "Deleting": "Being deleted",
    "Removing": "Being removed",
    "Uninstalling": "Being uninstalled",
    "Unlabelling": "Nodes are being given back",
    "RemovingQueue": "Its queue on the host is being removed",
    "GivingBack": "The reservation is being given back",
    "Closing": "Being closed",
    "StoppingRay": "Ray clusters are being stopped",
    "NamespaceTerminating": "Kubernetes is removing what is in it",
    # trouble
    "NotThereYet": "Something it needs is not there yet",
    "NotAnswering": "It does not answer",
    "ApiUnavailable": "The Kubernetes API does not answer",
    "ChangedMeanwhile": "Somebody else wrote at the same moment; will be tried again",
    "Refused": "Kubernetes refused it",
    "QuotaExceeded": "The team's quota does not leave enough",
    "ChartMissing": "A chart cannot be found",
    "ChartDigestMismatch": "A chart is not the one that the profile pinned",
    "RepositoryUnreachable": "The chart repository does not answer",
    "ChartRefusedValues": "A chart refused its values",
    "ChartMadeInvalidObject": "A chart made something that Kubernetes does not take",
    "RedisUnreachable": "Redis does not answer; will be tried again",
    "RedisRefused": "Redis refuses its password",
    "SecretRefused": "A namespace does not let in a password of Redis",
    "RedisTlsFailed": "Redis and the platform do not agree on TLS",
    "RedisTlsNotServed": "Its Kubernetes is too old for a Redis with TLS",
    "RedisSecretMissing": "The credentials of the external Redis are not there",
    "RedisReadOnly": "The external Redis takes no writes at this address",
    "RedisMayEvict": "The external Redis drops keys when it is full",
    "RedisKeysForbidden": "The external Redis keeps keys from the user that it was given",
    "RedisUsersForbidden": "The external Redis does not let the platform manage users",
    "StoreChanged": "Its profile keeps the state of Ray heads elsewhere than it runs",
    "AtWork": "At work",
    "HelmBusy": "Another helm is at it; will be tried again",
    "HelmFailed": "Helm failed; will be tried again",
    "TeamMissing": "The team does not exist",
    "ProfileMissing": "The profile does not exist",
    "NamespaceTaken": "The host has a namespace of that name that is not ours",
    "ValuesRefused": "A value of the vcluster chart is not open to teams",
    "LargerThanAnyNode": "A Ray cluster asks for more than any node has",
    "QuotaTooSmall": "Its quota is less than its Ray clusters need",
    "TeamTreeBroken": "The team's parents make no tree",
    "QuotaInvalid": "The quota breaks a rule",
    "UnknownResource": "The quota names a device that no node has",
    "OverReserved": "More is reserved than the limits allow; what runs stays",
    "QuotaNotNamed": "Its quota leaves out what the team limits",
    "StoredInvalid": "It, its team or its profile is stored with something wrong",
    "DrainingNodes": "Pods are leaving the nodes that it gives back",
    "NodesNotDrained": "Pods do not leave the nodes that it gives back",
    "SchedulerChanged": "Its profile has another scheduler than it runs",
    "SchedulerNotAllowed": "The team may not use the scheduler of its profile",
    "SchedulerNotShared": "The scheduler of its profile is for dedicated mode only",
    "QuotaNeeded": "A shared virtual cluster needs an amount of CPU and memory",
    "NodesNotOwned": "A shared virtual cluster owns no nodes",
    "NoSharedNodes": "The host has no nodes left to share",
    "HostSchedulerMissing": "The host has no gang scheduler",
    "NoNodesAskedFor": "It asks for no nodes",
    "NewerWriter": "Another worker has taken over",
    "Unexpected": "Something unexpected; will be tried again",
}

_ALIASES = {"Admission": "Admitted", "SharedNodes": "NodesReady"}
_STATES: dict[StepState, tuple[str, Tone]] = {
    "waiting": ("Waiting", "calm"),
    "running": ("Running", "busy"),
    "done": ("Done", "good"),
    "failed": ("Failed", "bad"),
}
_PHASES: dict[Phase, Tone] = {
    "Pending": "calm",
    "Provisioning": "busy",
    "Ready": "good",
    "Degraded": "warn",
    "Failed": "bad",
    "Deleting": "busy",
}
_RAY: dict[str, Tone] = {
    "ready": "good",
    "pending": "busy",
    "suspended": "calm",
    "failed": "bad",
    "deleting": "busy",
    "PENDING": "calm",
    "RUNNING": "busy",
    "SUCCEEDED": "good",
    "FAILED": "bad",
    "STOPPED": "warn",
}
_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def split_words(name: str) -> str:
    """PascalCase as words: "WaitingForNodes" -> "Waiting for nodes"."""
    parts = _BREAK.split(name)
    return " ".join(
        [parts[0], *(p if p.isupper() and len(p) > 1 else p.lower() for p in parts[1:])]
    )


def reason_words(reason: str) -> str:
    """What a one-word reason means; unknown ones are split into words."""
    if reason in REASONS:
        return REASONS[reason]
    if reason.startswith("WaitingFor"):
        step = find_step(reason.removeprefix("WaitingFor"))
        return f"Waits until this is so: {step.done}" if step else split_words(reason)
    return split_words(reason)


def find_step(name: str) -> StepWords | None:
    """The words of a step by its name ("control-plane") or its condition ("ControlPlaneReady")."""
    pascal = "".join(part[:1].upper() + part[1:] for part in name.split("-"))
    return _ALL_STEPS.get(_ALIASES.get(pascal, pascal)) or _ALL_STEPS.get(f"{pascal}Ready")


def step_words(name: str, title: str, *, deleting: bool = False) -> str:
    """What is being done in a step, as the first words of a sentence."""
    words = find_step(name)
    if words is None:
        return title or split_words(name)
    return words.undoing if deleting else words.doing


def state_words(state: StepState) -> tuple[str, Tone]:
    """The word and the tone of a step's state."""
    return _STATES[state]


def phase_tone(phase: Phase) -> Tone:
    """The tone of a phase's badge."""
    return _PHASES[phase]


def ray_tone(state: str) -> Tone:
    """The tone of a Ray cluster's or job's state."""
    return _RAY.get(state, "calm")


@dataclass(frozen=True)
class ConditionWords:
    """A condition for a person: what is claimed, whether it holds, why."""

    claim: str
    answer: str
    tone: Tone
    why: str
    more: str = ""
    """What the message adds; empty when it says nothing that is not there already."""


def condition_words(condition: Condition, others: Iterable[Condition] = ()) -> ConditionWords:
    """The condition in words. `others` are those told beside it: the summary repeats none of them."""
    step = _ALL_STEPS.get(condition.type)
    if condition.type == "Ready":
        claim = "It is ready to use"
    else:
        claim = step.done if step else split_words(condition.type)
    answers: dict[str, tuple[str, Tone]] = {
        "True": ("Yes", "good"),
        "False": ("No", "warn"),
        "Unknown": ("Not known yet", "calm"),
    }
    answer, tone = answers[condition.status]
    why = reason_words(condition.reason)
    said = {c.message for c in others if c.type != condition.type and c.message}
    repeats = (
        condition.message.rstrip(".") == why.rstrip(".")
        or (condition.reason.startswith("WaitingFor") and condition.message.startswith("Begins when"))
        or (condition.type == "Ready" and any(condition.message.endswith(text) for text in said))
    )  # fmt: skip
    return ConditionWords(claim, answer, tone, why, "" if repeats else condition.message)
