"""The tests' own door to a Kubernetes API: plain requests, so that nothing of ours is trusted."""

import base64
import ssl
import tempfile
import time
import weakref
from pathlib import Path
from typing import Any, Self

import httpx2
import yaml

Object = dict[str, Any]
MERGE = "application/merge-patch+json"


class Kube:
    """One API server, as the user of a kubeconfig with a client certificate or a token."""

    def __init__(self, config: Object) -> None:
        context = {c["name"]: c["context"] for c in config["contexts"]}[config["current-context"]]
        cluster = {c["name"]: c["cluster"] for c in config["clusters"]}[context["cluster"]]
        self._cluster = cluster
        self.address: str = cluster["server"]
        user = {u["name"]: u["user"] for u in config["users"]}[context["user"]]
        trust = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        if "client-certificate-data" in user:
            with tempfile.TemporaryDirectory() as folder:
                pair = [Path(folder) / "crt", Path(folder) / "key"]
                for file, key in zip(pair, ("certificate", "key"), strict=True):
                    file.write_bytes(base64.b64decode(user[f"client-{key}-data"]))
                trust.load_cert_chain(*pair)
        headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self._http = httpx2.Client(
            base_url=cluster["server"], verify=trust, headers=headers, timeout=20, trust_env=False
        )
        weakref.finalize(self, self._http.close)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        return cls(yaml.safe_load(path.read_text()))

    def as_bearer(self, token: str) -> "Kube":
        """The same server, asked by whoever holds this token."""
        config = {
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": self._cluster}],
            "users": [{"name": "it", "user": {"token": token}}],
        }
        return Kube(config)

    def send(self, method: str, path: str, body: Object | None = None) -> httpx2.Response:
        """One request; a broken connection is tried again for a few seconds."""
        headers = {"Content-Type": MERGE} if method == "PATCH" else {}
        for pause in (0.2, 0.5, 1.0, 2.0, None):
            try:
                return self._http.request(method, path, json=body, headers=headers)
            except httpx2.TransportError:
                if pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError

    def get(self, path: str) -> Object | None:
        """One object, or None when the server says 404."""
        answer = self.send("GET", path)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        found: Object = answer.json()
        return found

    def text(self, path: str) -> str:
        return self.send("GET", path).raise_for_status().text

    def items(self, path: str) -> list[Object]:
        """The objects of a list; none where the server does not know the kind."""
        found: list[Object] = (self.get(path) or {"items": []})["items"]
        return found

    def create(self, path: str, body: Object) -> httpx2.Response:
        return self.send("POST", path, body)

    def patch(self, path: str, body: Object) -> Object:
        found: Object = self.send("PATCH", path, body).raise_for_status().json()
        return found

    def delete(self, path: str) -> None:
        self.send("DELETE", path)


def secret_value(secret: Object, key: str) -> str:
    return base64.b64decode(secret["data"][key]).decode()
