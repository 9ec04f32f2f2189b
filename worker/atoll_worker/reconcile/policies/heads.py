"""The head of every Ray cluster has an address that stays, whoever made it (decision 0049)."""

from atoll.domain.ray_clusters import HEAD_SERVICE
from atoll_worker.reconcile.policies.manifests import Policy, resources, text

_HEAD = "Object.spec.headGroupSpec"


def mutate_heads() -> Policy:
    """Put the head's Service into RayClusters that say nothing of it.

    When they are made, for KubeRay leaves the Service of a head as it is; and again when they are
    replaced by what their author wrote: KubeRay may take the change for an upgrade and begin all pods
    anew. One that cannot be changed starts as it was written, with KubeRay's own headless Service. A
    type that it asks for (`serviceType`) stays: KubeRay would take that of the Service instead.
    """
    had = "oldObject.spec.headGroupSpec.?headService.?spec.?publishNotReadyAddresses.orValue(false)"
    service = f"{_HEAD}.headService"
    spec = f"""
        {service}.spec{{
            type: object.spec.headGroupSpec.?serviceType.orValue({text(HEAD_SERVICE["type"])}),
            publishNotReadyAddresses: {str(HEAD_SERVICE["publishNotReadyAddresses"]).lower()}}}
    """
    return Policy(
        "atoll-ray-heads", [resources("ray.io", "v1", ["rayclusters"])],
        conditions={
            "says-nothing-of-it": "!has(object.spec.headGroupSpec.headService)",
            "is-new-or-had-one": f"request.operation == 'CREATE' || {had}",
        },
        optional=True,
        mutations=[
            f"Object{{spec: Object.spec{{headGroupSpec: {_HEAD}{{"
            f"headService: {service}{{spec: {spec}}}}}}}}}"
        ],
    )  # fmt: skip
