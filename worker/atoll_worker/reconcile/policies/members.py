"""What members of a team leave alone: the namespaces of the platform."""

from atoll.domain.names import SYSTEM_NAMESPACE
from atoll_worker.reconcile.policies.manifests import (
    SYSTEM_NAMESPACES,
    Policy,
    Rule,
    resources,
    text,
)

_ALL = [resources("*", "*", ["*/*"], "CREATE", "UPDATE", "DELETE", "CONNECT")]
_MEMBER = f"system:serviceaccount:{SYSTEM_NAMESPACE}:member"


def validate_members() -> Policy:
    """A member's role holds in every namespace, for RBAC knows no "all but". A token of the account
    `owner`, a pod with that account or a shell in the operator would make an administrator of them.
    """
    return Policy(
        "atoll-members", _ALL, {"a-member": f"request.userInfo.username == {text(_MEMBER)}"},
        rules=[
            Rule(
                "false",
                f"The namespaces {' and '.join(SYSTEM_NAMESPACES)} are the platform's; members of a team "
                "change nothing there. Use another namespace, or ask the team owner.",
            )
        ],
        system_only=True,
    )  # fmt: skip
