"""Which headers pass, in both directions."""

from atoll.gateway.headers import (
    request_headers,
    response_headers,
    tenant_code_request_headers,
    tenant_code_response_headers,
)

SENT = [
    (b"Authorization", b"Bearer tenant"),
    (b"Impersonate-User", b"root"),
    (b"Accept", b"application/json;as=Table"),
    (b"Cookie", b"atoll_session=1"),
    (b"Host", b"atoll"),
    (b"Connection", b"keep-alive, X-Named"),
    (b"X-Named", b"1"),
    (b"Transfer-Encoding", b"chunked"),
    (b"Upgrade", b"SPDY/3.1"),
    (b"TE", b"trailers"),
    (b"X-Forwarded-For", b"1.1.1.1"),
    (b"X-Remote-User", b"system:admin"),
    (b"Content-Length", b"3"),
]


def names(headers: list[tuple[bytes, bytes]]) -> set[bytes]:
    return {name for name, _ in headers}


def test_a_kubernetes_api_gets_the_callers_own_token_and_no_hop_by_hop_header() -> None:
    passed = request_headers(SENT)
    assert names(passed) == {b"authorization", b"impersonate-user", b"accept", b"content-length"}
    assert (b"authorization", b"Bearer tenant") in passed


def test_a_ray_head_gets_nothing_that_speaks_for_the_caller() -> None:
    assert names(tenant_code_request_headers(SENT)) == {b"accept", b"content-length"}


def test_repeated_headers_stay_repeated() -> None:
    twice = [(b"Accept", b"a"), (b"accept", b"b")]
    assert request_headers(twice) == [(b"accept", b"a"), (b"accept", b"b")]


ANSWERED = [
    (b"Content-Type", b"text/html"),
    (b"Content-Encoding", b"gzip"),
    (b"Set-Cookie", b"atoll_session=2"),
    (b"Date", b"now"),
    (b"Transfer-Encoding", b"chunked"),
    (b"Location", b"https://elsewhere"),
    (b"Access-Control-Allow-Origin", b"*"),
    (b"Clear-Site-Data", b'"*"'),
    (b"Service-Worker-Allowed", b"/"),
    (b"Warning", b"299"),
]


def test_an_api_servers_answer_keeps_what_clients_need() -> None:
    kept = names(response_headers(ANSWERED))
    assert {b"content-type", b"content-encoding", b"warning"} <= kept
    assert not {b"set-cookie", b"transfer-encoding", b"date"} & kept


def test_a_ray_heads_answer_gets_no_power_over_our_origin() -> None:
    kept = names(tenant_code_response_headers(ANSWERED))
    assert kept == {b"content-type", b"content-encoding", b"warning"}
