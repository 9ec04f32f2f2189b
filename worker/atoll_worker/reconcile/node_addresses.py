"""Addresses from which processes on the nodes of the host reach pods. Pure."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from atoll.cluster.client import Object


def node_blocks(nodes: Iterable[Object]) -> list[str]:
    """CIDR blocks, in order: each node's own addresses, and its two ends of the pod network.

    What a node itself sends to a pod of another node bears, by the network plugin, the node's address or
    the first or second address of its pod range (the tunnel's, the bridge's); no pod ever has those.
    """
    found: set[str] = set()
    for node in nodes:
        for address in node.get("status", {}).get("addresses") or []:
            if address["type"] in ("InternalIP", "ExternalIP"):
                found.add(str(ip_network(address["address"])))
        spec = node.get("spec") or {}
        for pods in spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else []):
            first = ip_network(pods).network_address
            found.add(f"{first}/{first.max_prefixlen - 1}")
    return sorted(found, key=_order)


def _order(block: str) -> tuple[int, int, str]:
    address = ip_address(block.partition("/")[0])
    return address.version, int(address), block
