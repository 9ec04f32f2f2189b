"""The way into a virtual cluster's Kubernetes API, with tokens of a real API server."""

import asyncio
import base64
import contextlib
import json
import subprocess
from pathlib import Path

import httpx2
import pytest

from atoll.cluster import kinds
from atoll.errors import ConflictError
from atoll.gateway import connections
from builders.gateway_site import ADMIN, SYSTEM, Site, access_secret, token_of


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}


async def credential(site: Site) -> str:
    async with site.client() as client:
        answer = await client.post("/credentials")
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])


async def test_a_credential_of_an_admin_is_the_owners_and_works(site: Site) -> None:
    async with site.client(await credential(site)) as client:
        made = await client.post(
            "/kubernetes/api/v1/namespaces/ray/configmaps", json=config_map("one")
        )
        assert made.status_code == 201, made.text
        who = await client.post(
            "/kubernetes/apis/authentication.k8s.io/v1/selfsubjectreviews",
            json={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
        )
        assert (
            who.json()["status"]["userInfo"]["username"] == f"system:serviceaccount:{SYSTEM}:owner"
        )
        gone = await client.delete("/kubernetes/api/v1/namespaces/ray/configmaps/one")
        assert gone.status_code == 200


async def test_a_credential_lives_as_long_as_asked_within_limits(site: Site) -> None:
    async with site.client() as client:
        made = (await client.post("/credentials", params={"expires": 900})).json()
        payload = made["token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert claims["exp"] - claims["iat"] == 900
        assert set(made) == {"token", "expiresAt"}
        refused = await client.post("/credentials", params={"expires": 3601})
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["errors"][0]["pointer"] == "/query/expires"


async def test_a_viewers_token_reads_and_cannot_write(site: Site) -> None:
    token, _ = await token_of(site.cluster, "viewer")
    async with site.client(token) as client:
        assert (await client.get("/kubernetes/api/v1/namespaces/ray/pods")).status_code == 200
        written = await client.post(
            "/kubernetes/api/v1/namespaces/ray/configmaps", json=config_map("two")
        )
    assert written.status_code == 403
    assert "viewer" in written.json()["message"]


async def test_impersonation_is_decided_by_the_api_server(site: Site) -> None:
    token, _ = await token_of(site.cluster, "viewer")
    async with site.client(token) as client:
        answer = await client.get(
            "/kubernetes/api/v1/namespaces/ray/pods", headers={"Impersonate-User": "admin"}
        )
    assert answer.status_code == 403
    assert "impersonate" in answer.json()["message"]


def signed_by_another_key(token: str, folder: Path) -> str:
    """The same claims, signed by another API server's key: what another virtual cluster gives out."""
    key, unsigned = folder / "other.key", token.rsplit(".", 1)[0]
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    argv = ["openssl", "dgst", "-sha256", "-sign", str(key)]
    made = subprocess.run(argv, input=unsigned.encode(), check=True, capture_output=True)
    return f"{unsigned}.{base64.urlsafe_b64encode(made.stdout).decode().rstrip('=')}"


async def test_a_token_of_another_virtual_cluster_is_refused(site: Site, tmp_path: Path) -> None:
    good, _ = await token_of(site.cluster, "owner")
    async with site.client(signed_by_another_key(good, tmp_path)) as client:
        refused = await client.get("/kubernetes/api/v1/namespaces/ray/pods")
    async with site.client(good) as client:
        passed = await client.get("/kubernetes/api/v1/namespaces/ray/pods")
    assert (refused.status_code, passed.status_code) == (401, 200)


async def test_our_own_token_is_not_shown_to_a_tenants_api_server(site: Site) -> None:
    async with site.client(ADMIN) as client:
        answer = await client.get("/kubernetes/api")
    assert answer.status_code == 401
    # Only the gateway says this: the API server's words for a token it does not know are other ones.
    assert "token of Atoll" in answer.json()["message"]
    assert answer.json()["kind"] == "Status"


async def test_without_a_token_nothing_passes_and_nothing_is_told(site: Site) -> None:
    async with site.client(None) as client:
        assert (await client.get("/kubernetes/api")).status_code == 401
        assert (await client.post("/credentials")).status_code == 401
    tenant, _ = await token_of(site.cluster, "owner")
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {tenant}"}) as client:
        answers = [
            await client.get(f"{site.url}/v1/virtual-clusters/{name}/kubernetes/api")
            for name in ("nobody", "unready")
        ]
    assert [a.status_code for a in answers] == [401, 401]
    assert answers[0].text.replace("nobody", "unready") == answers[1].text


async def test_a_watch_streams_each_change_as_it_happens(site: Site) -> None:
    async with site.client(await credential(site)) as client:
        base = "/kubernetes/api/v1/namespaces/ray/configmaps"
        at = (await client.get(base)).json()["metadata"]["resourceVersion"]
        query = {"watch": "true", "resourceVersion": at, "fieldSelector": "metadata.name=seen"}
        async with client.stream("GET", base, params=query, timeout=30) as stream:
            assert stream.status_code == 200
            lines = stream.aiter_lines()
            await client.post(base, json=config_map("seen"))
            async with asyncio.timeout(30):
                added = json.loads(await anext(lines))
            # The stream is open and gave the first change before the second one was made.
            await client.delete(f"{base}/seen")
            async with asyncio.timeout(30):
                deleted = json.loads(await anext(lines))
    assert [added["type"], deleted["type"]] == ["ADDED", "DELETED"]


async def test_a_watcher_that_leaves_gives_its_connection_back(site: Site) -> None:
    async with site.client(await credential(site)) as client:
        base = "/kubernetes/api/v1/namespaces/ray/configmaps"
        # More watches than one virtual cluster has connections, one after the other.
        most = connections._LIMITS.max_connections
        assert most is not None
        for _ in range(3):
            await asyncio.gather(*(_brief_watch(client, base) for _ in range(most // 2)))
        assert (await client.get(base)).status_code == 200


async def _brief_watch(client: httpx2.AsyncClient, base: str) -> None:
    async with client.stream("GET", base, params={"watch": "true"}) as stream:
        assert stream.status_code == 200


@pytest.mark.parametrize(
    "path", ["..%2f..%2fcredentials", "%2e%2e/ray-clusters", "api%5cv1", "a%252e%252e%252fb"]
)
async def test_a_path_that_climbs_out_is_refused(site: Site, path: str) -> None:
    token, _ = await token_of(site.cluster, "owner")
    async with site.client(token) as client:
        url = httpx2.URL(site.url).copy_with(
            raw_path=f"/v1/virtual-clusters/demo/kubernetes/{path}".encode()
        )
        answer = await client.get(url)
    assert answer.status_code in (404, 422), answer.text
    assert answer.status_code == 404 or "not passed on" in answer.json()["message"]


async def test_a_stream_without_a_websocket_is_refused_in_words(site: Site) -> None:
    """As from kubectl before 1.31, or through a proxy that takes the Upgrade header away."""
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bound", "namespace": "ray"},
        "spec": {"nodeName": "nowhere", "containers": [{"name": "c", "image": "i"}]},
    }  # fmt: skip
    with contextlib.suppress(ConflictError):
        await site.cluster.create(pod)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "nowhere"}}
    with contextlib.suppress(ConflictError):
        await site.cluster.create(node)
    address = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 9}},
    }
    await site.cluster.patch(kinds.NODE, "nowhere", {"status": address}, status=True)
    path = "/kubernetes/api/v1/namespaces/ray/pods/bound/exec?command=true"
    spdy = {"connection": "Upgrade", "upgrade": "SPDY/3.1"}
    async with site.client(await credential(site)) as client:
        answers = [
            await client.post("/kubernetes/api", headers=spdy),
            await client.post(path, headers=spdy),
            await client.post(path),
        ]
    for answer in answers:
        assert answer.status_code == 501, answer.text
        assert "WebSockets alone" in answer.json()["message"]


async def test_a_refused_stream_says_what_the_api_server_says(site: Site) -> None:
    viewer, _ = await token_of(site.cluster, "viewer")
    asked = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    path = "/kubernetes/api/v1/namespaces/ray/pods/x/exec"
    async with site.client(viewer) as client:
        forbidden = [await client.get(path, headers=asked), await client.post(path)]
    async with site.client(ADMIN) as client:
        ours = await client.get(path, headers=asked)
    async with site.client(None) as client:
        stranger = await client.get(path, headers=asked)
    for answer in forbidden:
        assert answer.status_code == 403, answer.text
        assert "is forbidden" in answer.json()["message"]
    assert (ours.status_code, stranger.status_code) == (401, 401)
    assert "token of Atoll" in ours.json()["message"]


async def test_an_unready_virtual_cluster_says_which_step_is_missing(site: Site) -> None:
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {ADMIN}"}) as client:
        unready = await client.post(f"{site.url}/v1/virtual-clusters/unready/credentials")
        nobody = await client.post(f"{site.url}/v1/virtual-clusters/nobody/credentials")
        wrong = await client.post(f"{site.url}/v1/virtual-clusters/No..Name/credentials")
    assert (unready.status_code, unready.json()["code"]) == (409, "not_ready")
    assert "AccessReady" in unready.json()["detail"]
    assert (nobody.status_code, wrong.status_code) == (404, 404)


async def test_a_renewed_credential_is_picked_up(site: Site) -> None:
    """A Secret whose token is refused is read again at once, not after it went stale."""
    broken = await access_secret(site.cluster, site.kubeconfig)
    broken["data"]["token"] = base64.b64encode(b"not-a-token").decode()
    await site.cluster.apply(broken)
    async with site.client() as client:
        assert (await client.post("/credentials")).status_code == 503
        await site.cluster.apply(await access_secret(site.cluster, site.kubeconfig))
        assert (await client.post("/credentials")).status_code == 201


async def test_a_deleted_access_secret_ends_access(site: Site) -> None:
    await site.cluster.delete(kinds.SECRET, "access-demo", "atoll-access")
    async with site.client() as client:
        answer = await client.post("/credentials")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_ready")


async def test_health_and_metrics_need_no_token_and_name_routes_only(site: Site) -> None:
    token, _ = await token_of(site.cluster, "viewer")
    async with site.client(token) as client:
        await client.get("/kubernetes/api/v1/namespaces/ray/pods")
    async with httpx2.AsyncClient() as client:
        assert (await client.get(f"{site.url}/healthz")).json() == {"status": "ok"}
        metrics = (await client.get(f"{site.url}/metrics")).text
    assert 'route="/v1/virtual-clusters/{vc}/kubernetes/{path:path}"' in metrics
    assert "namespaces/ray" not in metrics
