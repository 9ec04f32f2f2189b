"""The platform installed the production way: helm/atoll, pods, least power."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from atoll.client import Atoll
from atoll.contract.profiles import ProfileCreate
from atoll.errors import UnavailableError
from atoll.hosts.bundle import Bundle
from atoll.resources.profiles import ProfileSpec
from e2e.image import REFERENCE, TAG
from e2e.stage import ROOT, Stage
from waiting import until

NAMESPACE, RELEASE = "atoll-system", "atoll"
_SMALL = "requests.cpu=20m"


class InCluster:
    """One release of helm/atoll on the stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._token = secrets.token_hex(24)

    def install(self) -> None:
        """As docs/reference/charts.md says, with the bundle from the node's disk."""
        self._kubectl("create", "namespace", NAMESPACE)
        secret = {
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "atoll", "namespace": NAMESPACE},
            "stringData": {
                "admin-token": self._token, "broker-password": secrets.token_hex(24),
            },
        }  # fmt: skip
        self.stage.host.create(f"/api/v1/namespaces/{NAMESPACE}/secrets", secret).raise_for_status()
        values = [
            "secretName=atoll", f"image.repository={REFERENCE}", f"image.tag={TAG}",
            f"bundle.hostPath={self.stage.bundle}", "api.replicas=1", "gateway.replicas=1",
            "worker.replicas=1", "worker.concurrency=2",
            *(f"{part}.resources.{_SMALL}"
              for part in ("api", "gateway", "worker", "follower", "broker")),
        ]  # fmt: skip
        self._helm(
            "install", RELEASE, str(ROOT / "helm" / "atoll"), "--namespace", NAMESPACE,
            "--wait", "--timeout", "4m", *(part for value in values for part in ("--set", value)),
        )  # fmt: skip
        with self.client() as client:
            until(lambda: self._served(client), "the host serves our resources", 60)
            for manifest in Bundle.read(self.stage.bundle).profiles():
                spec = ProfileSpec.model_validate(manifest["spec"])
                client.profiles.create(ProfileCreate(name=manifest["metadata"]["name"], spec=spec))

    def _served(self, client: Atoll) -> bool:
        """For a moment after the definitions are made the API server does not serve them."""
        try:
            for noun in (client.teams, client.profiles, client.virtual_clusters):
                list(noun.all())
        except UnavailableError:
            return False
        return True

    @contextmanager
    def client(self) -> Iterator[Atoll]:
        """The API by its Service's address, which the nodes reach."""
        service = self.stage.host.get(f"/api/v1/namespaces/{NAMESPACE}/services/{RELEASE}-api")
        assert service is not None
        with Atoll(f"http://{service['spec']['clusterIP']}:8080", self._token) as client:
            yield client

    def accounts(self) -> set[str]:
        """The ServiceAccounts that the platform's pods run as."""
        pods = self.stage.host.items(
            f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app.kubernetes.io/name%3Datoll"
        )
        return {pod["spec"]["serviceAccountName"] for pod in pods}

    def remove(self) -> None:
        """The release, the definitions, the namespace."""
        self.stage.run(self.stage.helm, "uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")
        self.stage.run(self.stage.kubectl, "delete", "namespace", NAMESPACE, "--ignore-not-found")
        for path in (ROOT / "helm" / "atoll" / "crds").glob("*.yaml"):
            self.stage.run(self.stage.kubectl, "delete", "--ignore-not-found", "-f", str(path))
        deadline = time.monotonic() + 60
        while self.stage.host.get(f"/api/v1/namespaces/{NAMESPACE}"):
            assert time.monotonic() < deadline, f"the namespace {NAMESPACE} does not go"
            time.sleep(0.5)

    def words(self) -> str:
        """How the pods are, for messages."""
        pods = self._kubectl_out("get", "pods", "-n", NAMESPACE, "-o", "wide")
        logs = self._kubectl_out("logs", "-n", NAMESPACE, f"deploy/{RELEASE}-worker", "--tail=20")
        return f"{pods}\n{logs}"

    def _kubectl_out(self, *arguments: str) -> str:
        return self.stage.run(self.stage.kubectl, *arguments).stdout

    def _kubectl(self, *arguments: str) -> None:
        done = self.stage.run(self.stage.kubectl, *arguments)
        assert done.returncode == 0, done.stderr

    def _helm(self, *arguments: str) -> None:
        done = self.stage.run(self.stage.helm, *arguments)
        assert done.returncode == 0, f"{done.stderr}\n{self.words()}"
