"""Requests to the API: address, token, retries that are safe, errors as ours."""

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from atoll.addresses import is_loopback
from atoll.client.problems import error_of, unreachable
from atoll.errors import AtollError

Body = dict[str, Any]
_TIMEOUT = httpx2.Timeout(30.0, connect=5.0)
_RETRIES = (0.2, 0.8)
"""Seconds before the second and third try of a request whose connection broke."""


class Transport:
    """A connection to one API. Every method raises errors of `atoll.errors`."""

    def __init__(
        self, url: str, token: str | None = None, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx2.Client(
            base_url=self.url, headers=headers, timeout=_TIMEOUT, transport=transport,
            follow_redirects=False, trust_env=not is_loopback(self.url),
        )  # fmt: skip

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Body | None = None,
        content: bytes | None = None,
        params: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """One request under /v1 and its answer.

        A broken connection is tried again: reads always, writes because every POST carries an
        Idempotency-Key and every other write is repeatable.
        """
        sent = {**(headers or {})}
        if method == "POST":
            sent.setdefault("Idempotency-Key", str(uuid.uuid4()))
        request = self._http.build_request(
            method, f"/v1/{path}", json=body, content=content, params=_set(params), headers=sent
        )
        return self._checked(self._deliver(request), f"{method} /v1/{path}")

    def get(self, path: str, **params: str | int | None) -> Any:
        """The JSON of a GET."""
        return self.send("GET", path, params=params).json()

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        params: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
        silence: float | None = None,
    ) -> Iterator[httpx2.Response]:
        """A GET whose answer is read as it comes. `silence` is the longest pause in seconds."""
        timeout = httpx2.Timeout(30.0, connect=5.0, read=silence)
        try:
            with self._http.stream(
                "GET", f"/v1/{path}", params=_set(params), headers=dict(headers or {}),
                timeout=timeout,
            ) as answer:  # fmt: skip
                if answer.is_error:
                    answer.read()
                    raise error_of(answer.status_code, answer.content, f"GET /v1/{path}")
                yield answer
        except httpx2.HTTPError as error:
            raise unreachable(error, self.url) from error

    def _deliver(self, request: httpx2.Request) -> httpx2.Response:
        for delay in (*_RETRIES, None):
            try:
                return self._http.send(request)
            except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
                if delay is None:
                    raise unreachable(error, self.url) from error
                time.sleep(delay)
            except httpx2.HTTPError as error:
                raise unreachable(error, self.url) from error
        raise AssertionError

    def _checked(self, answer: httpx2.Response, what: str) -> httpx2.Response:
        if answer.is_error:
            raise error_of(answer.status_code, answer.content, what)
        if answer.is_redirect:
            raise AtollError(
                f"{what} was redirected to {answer.headers.get('location')}; is {self.url} the "
                "address of an Atoll API?"
            )
        return answer


def _set(params: Mapping[str, str | int | None] | None) -> dict[str, str | int]:
    return {key: value for key, value in (params or {}).items() if value is not None}
