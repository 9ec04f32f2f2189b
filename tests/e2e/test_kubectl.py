"""kubectl with `atoll kubeconfig get`: no secret in the file, short-lived tokens, the team's own cluster."""

import json
from pathlib import Path

import pytest
import yaml

from e2e.local import Local, Ran


@pytest.fixture
def kubeconfig(platform: Local, tmp_path: Path) -> Path:
    platform.demo()
    ran = platform.atoll("kubeconfig", "get", "demo")
    assert ran.code == 0, ran.err
    file = tmp_path / "kubeconfig"
    file.write_text(ran.out)
    return file


def kubectl(platform: Local, kubeconfig: Path, *arguments: str) -> Ran:
    env = {**platform.env, "KUBECONFIG": str(kubeconfig)}
    done = platform.stage.run(platform.stage.kubectl, *arguments, env=env)
    return Ran(done.returncode, done.stdout, done.stderr, 0)


def test_kubectl_lists_the_pods_of_the_ray_cluster(platform: Local, kubeconfig: Path) -> None:
    ran = kubectl(platform, kubeconfig, "get", "pods", "-n", "ray", "-o", "json")
    assert ran.code == 0, ran.err
    kinds = sorted(
        pod["metadata"]["labels"]["ray.io/node-type"]
        for pod in json.loads(ran.out)["items"]
        if "ray.io/node-type" in pod["metadata"]["labels"]
    )
    assert kinds == ["head", "worker", "worker"]


def test_kubectl_makes_and_removes_an_object(platform: Local, kubeconfig: Path) -> None:
    made = kubectl(
        platform, kubeconfig, "create", "configmap", "mine", "-n", "ray", "--from-literal=a=1"
    )
    assert made.code == 0, made.err
    gone = kubectl(platform, kubeconfig, "delete", "configmap", "mine", "-n", "ray")
    assert gone.code == 0, gone.err


def test_there_is_no_secret_in_the_file(kubeconfig: Path) -> None:
    config = yaml.safe_load(kubeconfig.read_text())
    assert [set(user["user"]) for user in config["users"]] == [{"exec"}]
    (user,) = config["users"]
    assert user["user"]["exec"]["args"][:2] == ["credential", "demo"]
    assert not {"token", "password", "client-key-data"} & set(json.dumps(config).split('"'))
