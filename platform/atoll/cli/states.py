"""State in lines for people: what is used of a quota, what does not hold and why."""

from collections.abc import Iterator

from atoll.contract.virtual_clusters import VirtualClusterRead
from atoll.resources.meta import Condition

_SAY_MORE = ("OverQuota", "DeviceUnknown")
"""Reasons of conditions that hold and yet want to be known."""


def state_lines(vc: VirtualClusterRead) -> Iterator[str]:
    """What a table of one row leaves out."""
    yield from use_lines(vc)
    yield from untrue(vc.status.conditions)


def use_lines(vc: VirtualClusterRead) -> Iterator[str]:
    """What is used and free of each line of its quota."""
    for resource, limit in vc.spec.quota.items():
        used, free = vc.status.used.get(resource), vc.status.free.get(resource)
        if used is not None:
            yield f"{resource}: {used} used of {limit}, {free or '0'} free"


def untrue(conditions: list[Condition]) -> Iterator[str]:
    """Conditions that do not hold, or hold with a but; not those that only wait for another one."""
    found = [
        c
        for c in conditions
        if c.message
        and (c.status == "False" or c.reason in _SAY_MORE)
        and not c.reason.startswith("WaitingFor")
    ]
    said = tuple(c.message for c in found if c.type != "Ready")
    for condition in found:
        # The summary repeats the words of the condition it speaks for.
        if condition.type != "Ready" or not (said and condition.message.endswith(said)):
            yield f"{condition.type}: {condition.reason}: {condition.message}"
