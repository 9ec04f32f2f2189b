"""From where processes on nodes reach pods."""

from typing import Any

import pytest
from pydantic import ValidationError

from atoll.settings import Settings
from atoll_worker.reconcile.node_addresses import node_blocks


def node(addresses: dict[str, str], **spec: Any) -> dict[str, Any]:
    told = [{"type": kind, "address": text} for kind, text in addresses.items()]
    return {"spec": spec, "status": {"addresses": told}}


def test_own_addresses_and_the_ends_of_the_pod_network_and_no_pods() -> None:
    nodes = [
        node({"InternalIP": "192.168.1.11", "Hostname": "b"}, podCIDR="10.42.1.0/24"),
        node({"InternalIP": "192.168.1.10", "ExternalIP": "203.0.113.5"},
             podCIDR="10.42.0.0/24", podCIDRs=["10.42.0.0/24", "fd00:42::/64"]),
        {"spec": {}, "status": {}},
    ]  # fmt: skip
    assert node_blocks(nodes) == [
        "10.42.0.0/31", "10.42.1.0/31", "192.168.1.10/32", "192.168.1.11/32", "203.0.113.5/32",
        "fd00:42::/127",
    ]  # fmt: skip
    assert node_blocks(reversed(nodes)) == node_blocks(nodes)


def test_more_blocks_are_checked_when_the_process_starts() -> None:
    assert Settings(api_server_from=" 10.0.0.0/8, 192.0.2.1 ").api_server_from == (
        "10.0.0.0/8,192.0.2.1/32"
    )
    with pytest.raises(ValidationError, match=r"10\.0\.0\.1/8"):
        Settings(api_server_from="10.0.0.1/8")
