"""What is found of an object, before it becomes a condition of its status. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A condition without its times: whether it holds, why in one word, and in a sentence."""

    type: str
    holds: bool
    reason: str
    message: str
