"""Kubeconfigs: where they lead, whom they trust, and what they say where kubectl cannot use them."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from atoll.application.kubeconfigs import kubeconfig_text
from atoll.errors import UnavailableError
from atoll.settings import Settings


def cluster_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)["clusters"][0]["cluster"]
    return found


def test_with_nothing_said_it_leads_to_the_api() -> None:
    text = kubeconfig_text("lab", Settings(api_url="https://atoll.example/"))
    assert cluster_of(text) == {
        "server": "https://atoll.example/v1/virtual-clusters/lab/kubernetes"
    }
    assert not text.startswith("#")


def test_another_address_and_its_authority(tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text("PEM")
    settings = Settings(
        api_url="http://127.0.0.1:1",
        kubernetes_url="https://127.0.0.1:2",
        kubernetes_ca_file=authority,
    )
    text = kubeconfig_text("lab", settings)
    cluster = cluster_of(text)
    assert cluster["server"] == "https://127.0.0.1:2/v1/virtual-clusters/lab/kubernetes"
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"PEM"
    # Tokens come from the API all the same.
    plugin = yaml.safe_load(text)["users"][0]["user"]["exec"]
    assert plugin["args"] == ["credential", "lab", "--api-url", "http://127.0.0.1:1"]
    assert not text.startswith("#")


@pytest.mark.parametrize("kubernetes_url", [None, "http://atoll.example"])
def test_plain_http_is_said_to_be_of_no_use_to_kubectl(kubernetes_url: str | None) -> None:
    settings = Settings(api_url="http://127.0.0.1:1", kubernetes_url=kubernetes_url)
    text = kubeconfig_text("lab", settings)
    comment, _, rest = text.partition("\n")
    assert comment.startswith("# kubectl needs https")
    assert yaml.safe_load(text) == yaml.safe_load(rest)


def test_an_authority_that_is_gone_is_an_admins_matter(tmp_path: Path) -> None:
    settings = Settings(kubernetes_ca_file=tmp_path / "none.crt")
    with pytest.raises(UnavailableError, match="ATOLL_KUBERNETES_CA_FILE") as found:
        kubeconfig_text("lab", settings)
    assert str(tmp_path) not in found.value.detail
