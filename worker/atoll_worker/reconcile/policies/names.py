"""One name, one gang: a RayJob and a RayCluster of one name in one namespace would share a PodGroup.

KubeRay names the PodGroup of both `ray-<name>-pg` and writes its size by turns (batchscheduler/volcano,
syncPodGroup), so a part of the larger gang could be placed. Admission sees one object at a time; those of
the other kind come to it as the policy's parameters.
"""

from atoll_worker.reconcile.policies.manifests import Policy, Rule, resources

_API = "ray.io/v1"


def validate_names() -> list[Policy]:
    """A refusal for each of the two kinds. Until the API server knows the other kind all are let in."""
    return [
        _refusal("atoll-ray-cluster-names", "RayCluster", "RayJob"),
        _refusal("atoll-ray-job-names", "RayJob", "RayCluster"),
    ]


def _refusal(policy: str, kind: str, other: str) -> Policy:
    """No exception for a RayJob's own RayCluster: its name is the job's with five letters more."""
    means = (
        f"a RayJob and a RayCluster of one name would be one gang. Take another name for the {kind}"
    )
    return Policy(
        policy, [resources("ray.io", "v1", [f"{kind.lower()}s"], "CREATE")],
        rules=[
            Rule(
                "params.metadata.name != object.metadata.?name.orValue('')",
                f"There is a {other} of this name, and {means}, or delete the {other} first.",
                told=f"""
                'There is a {other} ' + params.metadata.name + ' in this namespace, and {means}, '
                + 'or delete the {other} first.'
                """,
            )
        ],
        parameters=(_API, other), optional=True,
    )  # fmt: skip
