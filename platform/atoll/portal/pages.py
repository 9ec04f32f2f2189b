"""What the templates of teams and virtual clusters are given. Pure: models in, words out."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml

from atoll.application.nodes import NodeInventory
from atoll.contract.profiles import ProfileRead
from atoll.contract.quotas import QuotaRead
from atoll.contract.teams import TeamRead
from atoll.contract.virtual_clusters import VirtualClusterRead
from atoll.domain.plurals import count
from atoll.domain.quantities import add_quantities, parse_quantity
from atoll.domain.quotas import demand
from atoll.portal.bars import Bar, amount, label_of, quota_bars
from atoll.portal.forms import Form, quota_fields
from atoll.portal.snippets import snippets
from atoll.portal.timeline import State, state_of, timeline_of
from atoll.portal.words import Tone, condition_words, phase_tone, reason_words
from atoll.resources.meta import Condition

ROLES = {
    "owner": "Everything: create, change and delete virtual clusters, all rights inside them",
    "member": "Use them: Ray clusters, jobs and workloads in every namespace inside",
    "viewer": "Look: state, logs and events, without changing anything",
}


@dataclass(frozen=True)
class ClusterLine:
    """One virtual cluster in a list."""

    read: VirtualClusterRead
    state: State
    tone: Tone


@dataclass(frozen=True)
class TeamCard:
    """One team in the list of teams."""

    read: TeamRead
    title: str
    bars: list[Bar]
    clusters: list[ClusterLine]


@dataclass(frozen=True)
class NodeTemplate:
    """A node template in a form, with how many nodes of it are free."""

    name: str
    hint: str


def cluster_line(vc: VirtualClusterRead, now: datetime) -> ClusterLine:
    """A line of a list."""
    return ClusterLine(vc, state_of(vc, now), phase_tone(vc.status.phase))


def team_title(team: TeamRead) -> str:
    """The name people gave the team, or its short name."""
    return team.spec.display_name or team.name


def team_bars(team: TeamRead) -> list[Bar]:
    """What the team's virtual clusters reserve of its limits."""
    limits = {name: line.limit for name, line in team.spec.quota.items()}
    return quota_bars(team.status.reserved, limits, "reserved")


def team_trouble(team: TeamRead) -> list[tuple[str, str]]:
    """What is wrong with a team's quota or its place among the teams: in short, and in full."""
    found = (c for c in team.status.conditions if c.status == "False")
    return [(reason_words(c.reason), c.message) for c in found]


def team_card(team: TeamRead, clusters: list[VirtualClusterRead], now: datetime) -> TeamCard:
    """A card of the list of teams."""
    lines = [cluster_line(vc, now) for vc in clusters if vc.spec.team == team.name]
    return TeamCard(team, team_title(team), team_bars(team), lines)


def team_values(
    team: TeamRead,
    quota: QuotaRead,
    clusters: list[VirtualClusterRead],
    profiles: list[ProfileRead],
    templates: list[NodeTemplate],
    form: Form,
) -> dict[str, Any]:
    """Everything the page of a team shows."""
    now = datetime.now(UTC)
    allowed = [p for p in profiles if _may_choose(team, p)]
    return {
        "team": team,
        "title": team_title(team),
        "bars": team_bars(team),
        "trouble": team_trouble(team),
        "clusters": [cluster_line(vc, now) for vc in clusters],
        "profiles": [(p.name, _profile_words(p)) for p in allowed],
        "profile_words": f"May choose {count(len(allowed), 'profile')}.",
        "templates": templates,
        "quota_fields": quota_fields(quota),
        "roles": ROLES,
        "form": form,
        "now": now,
    }


def _may_choose(team: TeamRead, profile: ProfileRead) -> bool:
    named, schedulers = team.spec.profiles, team.spec.schedulers
    return (
        not profile.spec.retired
        and (not named or profile.name in named)
        and (not schedulers or profile.spec.scheduler.name in schedulers)
    )


def _profile_words(profile: ProfileRead) -> str:
    spec = profile.spec
    words = f"{profile.name}: Kubernetes {spec.kubernetes.version}, Ray {spec.ray.version}"
    words = words if spec.scheduler.name == "volcano" else f"{words}, {spec.scheduler.name}"
    return f"{words} (not valid)" if profile.status.valid.status == "False" else words


def virtual_cluster_values(
    vc: VirtualClusterRead, kubeconfig: str, api_url: str, now: datetime
) -> dict[str, Any]:
    """Everything the page of a virtual cluster shows, except what the gateway knows."""
    line = timeline_of(vc, now)
    conditions = sorted(vc.status.conditions, key=lambda c: c.type != "Ready")
    pairs = [(c, condition_words(c, conditions)) for c in conditions]
    return {
        "vc": vc,
        "tone": phase_tone(vc.status.phase),
        "state": state_of(vc, now),
        "line": line,
        "way_title": "Deletion, step by step"
        if vc.deleting_since
        else "The way here, step by step",
        "open": [p for p in pairs if p[0].status != "True" or p[0].type == "Ready"],
        "held": [p for p in pairs if p[0].status == "True" and p[0].type != "Ready"],
        "bars": quota_bars(vc.status.used, vc.spec.quota, "used"),
        "reachable": holds(vc, "AccessReady"),
        "kubeconfig": kubeconfig,
        "snippets": snippets(vc, api_url),
        "now": now,
    }


def holds(vc: VirtualClusterRead, condition: str) -> bool:
    """Whether a condition of the virtual cluster is true."""
    found: list[Condition] = [c for c in vc.status.conditions if c.type == condition]
    return bool(found) and found[0].status == "True"


def held(quota: dict[str, str]) -> str:
    """A quota as words: "4 cores of CPU, 8 GiB of memory"."""
    lines = (f"{_within(label_of(n))} {amount(n, parse_quantity(v))}" for n, v in quota.items())
    return ", ".join(lines)


def _within(label: str) -> str:
    """A label as it is written within a sentence: names keep their capitals."""
    named = label.startswith("Ray ") or label[:2].isupper()
    return label if named else label[:1].lower() + label[1:]


def what_goes(vc: VirtualClusterRead, ray_clusters: int | None, jobs: int | None) -> list[str]:
    """What a deletion takes with it, line by line. None stands for a number nobody could tell."""
    lines = [f"The Kubernetes API of {vc.name} and everything that runs in it"]
    if ray_clusters is None:
        asked = [r.name for r in vc.spec.ray_clusters]
        lines.append("Every Ray cluster and job in it" + (f": {', '.join(asked)}" if asked else ""))
    else:
        lines.append(
            f"{count(ray_clusters, 'Ray cluster')} and the record of {count(jobs or 0, 'job')}"
        )
    lines.append("Its Redis, with the state that lets Ray heads survive a restart")
    lines.append("Its volumes, with all data that was not copied elsewhere")
    lines.append("Every kubeconfig of it stops working")
    if vc.status.namespace:
        lines.append(f"The host namespace {vc.status.namespace}, with all that is in it")
    return lines


def preview_values(team: TeamRead, wanted: VirtualClusterRead) -> dict[str, Any]:
    """What the team's bars would be if the virtual cluster were created."""
    after = add_quantities(team.status.reserved, demand(wanted.spec.quota))
    asked = demand(wanted.spec.quota)
    limits = {n: line.limit for n, line in team.spec.quota.items() if n in asked}
    shown = {n: v for n, v in after.items() if n in asked}
    nodes = (f"{count(n, 'node')} {t}" for t, n in wanted.spec.replica_sets.items())
    return {
        "name": wanted.name,
        "spec": wanted.spec,
        "held": held(wanted.spec.quota),
        "nodes": ", ".join(nodes),
        "bars": quota_bars(shown, limits, "reserved afterwards"),
    }


def node_templates(inventory: NodeInventory | None, owner: str | None = None) -> list[NodeTemplate]:
    """One line per node template of the host; what `owner` has already counts as free for it."""
    nodes = inventory.nodes if inventory else ()
    found = []
    for name in sorted({n.template for n in nodes}):
        there = [n for n in nodes if n.template == name]
        free = sum(n.owner in (None, owner) for n in there)
        found.append(NodeTemplate(name, f"{free} of {len(there)} are free."))
    return found


def as_yaml(vc: VirtualClusterRead) -> str:
    """The object as the API gives it, as YAML."""
    text: str = yaml.safe_dump(vc.dump(), sort_keys=False, allow_unicode=True)
    return text
