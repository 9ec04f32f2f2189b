"""What the API hands on to the gateway, and how much of it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from builders.api_process import TOKEN, start_api, stop


class Echo(BaseHTTPRequestHandler):
    """Stands where the gateway is; says what it got."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = {
            "path": self.path,
            "headers": {k.lower(): v for k, v in self.headers.items()},
            "bytes": len(self.rfile.read(length)),
        }
        text = json.dumps(body).encode()
        self.send_response(418)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-From", "gateway")
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST  # noqa: N815 - the base class names it

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("way", ["ray-clusters", "ray-jobs", "credentials"])
def test_what_is_read_whole_behind_the_gateway_is_limited_too(api: httpx2.Client, way: str) -> None:
    answer = api.post(f"/v1/virtual-clusters/some/{way}", content=b"x" * 1_200_000)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (413, "too_large"), problem
    assert problem["limit"] == 1024 * 1024 < problem["size"]
    assert str(problem["limit"]) in problem["detail"]


def test_forwarding(tmp_path: Path, api_server: Path, broker: str, api: httpx2.Client) -> None:
    path = "/v1/virtual-clusters/some/kubernetes/api/v1/a%2Fb?watch=1&x=%20"
    away = api.get(path)
    assert (away.status_code, away.json()["code"]) == (503, "gateway_unavailable")
    gateway = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    running = start_api(
        tmp_path, api_server, broker, ATOLL_GATEWAY_URL=f"http://127.0.0.1:{gateway.server_port}"
    )
    try:
        with running.client() as client:
            answer = client.post(
                path, content=b"x" * 2_000_000, headers={"X-Own": "1", "TE": "trailers"}
            )
            assert (answer.status_code, answer.headers["x-from"]) == (418, "gateway")
            got = answer.json()
            assert got["path"] == path
            assert got["bytes"] == 2_000_000
            assert got["headers"]["authorization"] == f"Bearer {TOKEN}"
            assert got["headers"]["x-own"] == "1"
            assert "te" not in got["headers"]
            assert got["headers"]["x-request-id"] == answer.headers["x-request-id"]
        with running.client(token=None) as stranger:
            assert stranger.post(path).status_code == 401
    finally:
        gateway.shutdown()
        gateway.server_close()
        assert stop(running) == 0
