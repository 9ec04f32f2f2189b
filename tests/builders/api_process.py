"""The API as a process, and bodies to send to it."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from atoll.settings import Settings

TOKEN = "test-token-of-this-run"
TEMPLATE = "api-tests"


@dataclass
class Running:
    """An API process and how to talk to it."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def client(self, token: str | None = TOKEN) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=30)


def start_api(folder: Path, kubeconfig: Path, broker: str, **extra: str) -> Running:
    log = folder / "api.log"
    environment = {
        **os.environ,
        "ATOLL_KUBECONFIG": str(kubeconfig),
        "ATOLL_BROKER_URL": broker,
        "ATOLL_ADMIN_TOKEN": TOKEN,
        "ATOLL_RUNTIME_DIR": str(folder),
        "ATOLL_GATEWAY_URL": "http://127.0.0.1:9",
        **extra,
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "atoll.main", "api"], env=environment, stdout=out, stderr=out
        )
    port_file = folder / "api.json"
    for _ in range(300):
        if port_file.exists():
            url = json.loads(port_file.read_text())["url"]
            try:
                if httpx2.get(f"{url}/v1/health", timeout=10).status_code == 200:
                    return Running(url, process, log)
            except httpx2.HTTPError:
                pass
        if process.poll() is not None:
            break
        time.sleep(0.1)
    process.kill()
    process.wait()
    pytest.fail(log.read_text()[-3000:])


def stop(running: Running) -> int:
    running.process.terminate()
    return running.process.wait(20)


def chart(name: str, version: str) -> dict[str, str]:
    return {"repository": f"https://charts.example.org/{name}", "name": name, "version": version}


def profile(name: str, kubernetes: str = "1.36.3") -> dict[str, Any]:
    return {
        "name": name,
        "spec": {
            "kubernetes": {"version": kubernetes},
            "vcluster": {"chart": chart("vcluster", "0.36.1")},
            "kuberay": {"chart": chart("kuberay-operator", "1.7.0")},
            "scheduler": {"chart": chart("volcano", "1.15.1")},
            "ray": {"version": "2.60.0"},
        },
    }


def wanted(name: str, team: str, **spec: Any) -> dict[str, Any]:
    """A body for POST virtual-clusters; it asks for the node of `give_node`."""
    nodes = {TEMPLATE: 1}
    return {"name": name, "spec": {"team": team, "mode": "dedicated", "replicaSets": nodes, **spec}}


def give_node(kubeconfig: Path) -> None:
    """One node on the host, of the template that `wanted` asks for; it may be there already."""
    config = yaml.safe_load(kubeconfig.read_text())
    server = config["clusters"][0]["cluster"]["server"]
    meta = {"name": TEMPLATE, "labels": {Settings().node_label: TEMPLATE}}
    answer = httpx2.post(
        f"{server}/api/v1/nodes",
        json={"apiVersion": "v1", "kind": "Node", "metadata": meta},
        headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}"},
        verify=False,
        timeout=30,
    )
    assert answer.status_code in (201, 409), answer.text


def team_status(api: httpx2.Client, team: str) -> dict[str, Any]:
    """The status of a team, as the API says it."""
    found: dict[str, Any] = api.get(f"/v1/teams/{team}").json()["status"]
    return found
