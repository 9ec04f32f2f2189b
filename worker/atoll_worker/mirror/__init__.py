"""The gang mirror: gangs of shared virtual clusters, shown to the host's scheduler and back.

`follow` is the entry; it runs until cancelled and belongs into a process of the worker's side.
"""

from atoll_worker.mirror.leader import follow

__all__ = ["follow"]
