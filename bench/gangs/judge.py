"""Judges gangs by every event of their pods, in the order of the server's own history.

A scheduler binds the pods of a gang one by one, so between its first and its last pod every gang is
half there for a moment. What must never be is a gang that is half there *without the room for the
rest*: then gangs hold what others of them wait for. So at every event
- a gang that has begun counts as if all its pods were bound, and all that counts fits the queue;
- no node holds more than it has;
- a gang that has begun loses no pod before it is whole;
- no pod is bound twice, and no gang has more pods than it has members;
and when nothing moves any more, no gang is begun but not whole.
"""

from dataclasses import dataclass, field


@dataclass
class Gang:
    """What is known of one gang. Times are seconds of whatever clock the caller has."""

    name: str
    size: int
    """Members; all of them are needed (minMember)."""
    cpu: int
    """Of each pod, in thousandths of a core."""
    made: float = 0.0
    bound: dict[str, str] = field(default_factory=dict)
    """Every pod that has been bound: its node."""
    held: set[str] = field(default_factory=set)
    """Those of them that are still there."""
    first: float = 0.0
    whole: float | None = None

    @property
    def begun(self) -> bool:
        """Whether some, but not all, of it is bound."""
        return bool(self.bound) and self.whole is None

    @property
    def claim(self) -> int:
        """What the queue must have for it: while it is begun, room for all of it."""
        return self.cpu * (self.size if self.begun else len(self.held))


class Judge:
    """Fed with bindings and ends of pods; `faults` says in words what must never have been."""

    def __init__(self, room: int, nodes: dict[str, int]) -> None:
        """`room`: capability of the queue, `nodes`: what each has; thousandths of a core."""
        self._room, self._nodes = room, nodes
        self._used = dict.fromkeys(nodes, 0)
        self._gangs: dict[str, Gang] = {}
        self._claimed = 0
        self.faults: list[str] = []
        self.events = 0
        self.most_claimed = 0
        self.most_begun = 0
        self.longest_begun = 0.0
        self._begun: set[str] = set()

    def made(self, gang: Gang) -> None:
        """A gang is asked for."""
        self._gangs[gang.name] = gang

    def gone(self, name: str) -> None:
        """A gang's pods are gone, by our own will; its name may come again."""
        gang = self._gangs.pop(name)
        if gang.held or gang.begun:
            self._fault(f"{name} is gone and still holds {len(gang.held)} pods")
            self._begun.discard(name)

    @property
    def begun(self) -> list[str]:
        """Gangs that are half there now: name, pods bound, members."""
        waiting = (self._gangs[name] for name in sorted(self._begun))
        return [f"{gang.name} ({len(gang.held)} of {gang.size})" for gang in waiting]

    def bound(self, gang_name: str, pod: str, node: str, now: float) -> Gang | None:
        """A pod has a node. The gang when this was its last pod, None otherwise."""
        gang = self._gangs[gang_name]
        before = gang.bound.get(pod)
        if before is not None:
            if before != node:
                self._fault(f"{pod} was bound to {before} and then to {node}")
            return None
        self.events += 1
        old = gang.claim
        gang.bound[pod] = node
        gang.held.add(pod)
        if len(gang.bound) == 1:
            gang.first = now
            self._begun.add(gang.name)
        self._hold(node, gang.cpu)
        done = len(gang.bound) == gang.size
        if done:
            gang.whole = now
            self._begun.discard(gang.name)
            self.longest_begun = max(self.longest_begun, now - gang.first)
        elif len(gang.bound) > gang.size:
            self._fault(f"{gang.name} has {len(gang.bound)} pods of {gang.size}")
        self._claim(gang, old)
        self.most_begun = max(self.most_begun, len(self._begun))
        return gang if done else None

    def ended(self, gang_name: str, pod: str) -> None:
        """A pod is gone, or holds nothing any more."""
        gang = self._gangs.get(gang_name)
        if gang is None or pod not in gang.held:
            return
        self.events += 1
        if gang.whole is None:
            self._fault(f"{gang.name} lost {pod} with {len(gang.bound)} of {gang.size} pods bound")
        old = gang.claim
        gang.held.discard(pod)
        self._hold(gang.bound[pod], -gang.cpu)
        self._claim(gang, old)

    def _claim(self, gang: Gang, old: int) -> None:
        self._claimed += gang.claim - old
        self.most_claimed = max(self.most_claimed, self._claimed)
        if gang.claim > old and self._claimed > self._room:
            half = ", ".join(self.begun[:5])
            self._fault(
                f"{gang.name} has begun without room for all of it: {self._claimed}m of "
                f"{self._room}m are spoken for; half there: {half}"
            )

    def _hold(self, node: str, cpu: int) -> None:
        self._used[node] += cpu
        if self._used[node] > self._nodes[node]:
            self._fault(f"{node} holds {self._used[node]}m of {self._nodes[node]}m")

    def _fault(self, words: str) -> None:
        self.faults.append(words)
