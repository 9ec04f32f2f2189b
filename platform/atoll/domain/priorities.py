"""The priority classes inside a virtual cluster: the only ones that Ray workloads may name.

They order gangs in the team's own queue. None reaches the host, where all teams weigh the same.
"""

PRIORITIES: dict[str, int] = {"atoll-low": -100, "atoll-normal": 0, "atoll-high": 100}
"""Class -> value. Far below the system's classes, so that DNS, operator and scheduler go first."""

PRIORITY_LABEL = "ray.io/priority-class-name"
"""The label of a Ray workload that KubeRay turns into the priority of its gang."""
