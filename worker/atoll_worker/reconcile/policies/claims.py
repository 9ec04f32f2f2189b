"""A claim of storage that is larger than the whole quota, refused when it is made.

Without it the claim is taken inside, refused by the host's ResourceQuota when vcluster copies it, and pending
for ever with an event that few look for. What several claims take together the host's quota alone counts.
"""

from atoll_worker.reconcile.policies.manifests import Enforced, Policy, Rule, quantity, resources

RESOURCE = "storage"
_CLAIMS = [resources("", "v1", ["persistentvolumeclaims"])]
_PATH = f"spec.?resources.?requests[?'{RESOURCE}']"


def limit_claims(enforced: Enforced) -> Policy | None:
    """The refusal, where the quota names storage. A claim that does not grow is never refused."""
    limit = enforced.quota.get(RESOURCE)
    if limit is None:
        return None
    asked, had = quantity(f"object.{_PATH}"), quantity(f"oldObject.{_PATH}")
    return Policy(
        "atoll-claims", _CLAIMS,
        rules=[
            Rule(
                f"{asked}.compareTo(quantity('{limit}')) <= 0 "
                f"|| (request.operation == 'UPDATE' && {asked}.compareTo({had}) <= 0)",
                f"This claim is larger than the whole storage quota ({limit}) and would wait for ever.",
                told=f"""
                'This claim asks for ' + string(object.{_PATH}.orValue('0'))
                + ' of storage; the whole quota of virtual cluster {enforced.virtual_cluster} is {limit}, so '
                + 'it would wait for ever. Ask for less, or ask the team owner for a larger quota.'
                """,
            )
        ],
    )  # fmt: skip
