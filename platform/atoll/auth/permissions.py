"""What can be permitted, and which role has it."""

from typing import Literal, get_args

from atoll.application.callers import Caller

Permission = Literal[
    "platform:read",
    "teams:read",
    "teams:write",
    "quotas:read",
    "quotas:write",
    "quota-requests:read",
    "quota-requests:write",
    "quota-requests:decide",
    "profiles:read",
    "profiles:write",
    "virtual-clusters:read",
    "virtual-clusters:write",
    "virtual-clusters:connect",
    "ray:read",
    "ray:write",
]

_OF_ROLE: dict[str, frozenset[str]] = {"admin": frozenset(get_args(Permission))}


def is_permitted(caller: Caller, permission: Permission) -> bool:
    """Whether one of the caller's roles has the permission."""
    return any(permission in _OF_ROLE.get(role, frozenset()) for role in caller.roles)
