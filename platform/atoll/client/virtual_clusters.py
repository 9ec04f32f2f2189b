"""Virtual clusters: what every noun can do, and the ways into one."""

import yaml

from atoll.client.objects import Objects, parse
from atoll.client.transport import Body, Transport
from atoll.contract.virtual_clusters import (
    Credential,
    VirtualClusterCreate,
    VirtualClusterQuotaPreview,
    VirtualClusterQuotaWrite,
    VirtualClusterRead,
)


class VirtualClusters(Objects[VirtualClusterRead, VirtualClusterCreate]):
    """Virtual clusters the caller may see."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, "virtual-clusters", VirtualClusterRead)

    def preview_quota(
        self, name: str, wanted: VirtualClusterQuotaWrite
    ) -> VirtualClusterQuotaPreview:
        """What this quota would do to what is in it. Raises NotFoundError, InvalidError."""
        path = f"{self._path}/{name}/quota:preview"
        answer = self._transport.send("POST", path, body=wanted.dump())
        return parse(VirtualClusterQuotaPreview, answer.json())

    def kubeconfig(self, name: str) -> Body:
        """A kubeconfig without any secret, parsed."""
        answer = self._transport.send(
            "GET", f"{self._path}/{name}/kubeconfig", headers={"Accept": "application/yaml"}
        )
        found: Body = yaml.safe_load(answer.text)
        return found

    def credential(self, name: str) -> Credential:
        """A short-lived token for its Kubernetes API."""
        answer = self._transport.send("POST", f"{self._path}/{name}/credentials")
        return parse(Credential, answer.json())
