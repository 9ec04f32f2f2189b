"""Which headers pass, in both directions."""

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
     b"proxy-connection", b"te", b"trailer", b"trailers", b"transfer-encoding", b"upgrade")
)  # fmt: skip
# `cookie` is our session; the others say who somebody is to servers that believe a proxy.
_OURS = frozenset((b"host", b"expect", b"cookie", b"forwarded", b"x-real-ip"))
_BELIEVED = (b"x-forwarded-", b"x-remote-")
_NEVER_BACK = frozenset((b"date", b"server", b"set-cookie"))
# A Ray head runs the tenant's code, and answers under the origin of our portal.
_NOT_FROM_TENANT_CODE = frozenset(
    (b"clear-site-data", b"service-worker-allowed", b"strict-transport-security", b"alt-svc",
     b"www-authenticate", b"location", b"refresh", b"content-security-policy",
     b"content-security-policy-report-only", b"x-frame-options", b"cross-origin-opener-policy",
     b"cross-origin-embedder-policy", b"cross-origin-resource-policy", b"x-content-type-options")
)  # fmt: skip


def request_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """What goes on to a Kubernetes API server: the caller's own headers, with the caller's token.

    Impersonate-* passes as it is: the API server refuses it for anybody without that right.
    """
    return [
        (name, value)
        for name, value in _end_to_end(headers)
        if name not in _OURS and not name.startswith(_BELIEVED)
    ]


def tenant_code_request_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """What goes on to a Ray head: nothing worth stealing, nothing that speaks for somebody."""
    return [
        (name, value)
        for name, value in request_headers(headers)
        if name != b"authorization" and not name.startswith((b"impersonate-", b"x-atoll-"))
    ]


def response_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """What comes back to the caller from a Kubernetes API server."""
    return [(name, value) for name, value in _end_to_end(headers) if name not in _NEVER_BACK]


def tenant_code_response_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """What comes back from a Ray head: no power over our origin. The caller adds `location`."""
    return [
        (name, value)
        for name, value in response_headers(headers)
        if name not in _NOT_FROM_TENANT_CODE and not name.startswith(b"access-control-")
    ]


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    known = [(name.lower(), value) for name, value in headers]
    named = {
        part.strip().lower()
        for name, value in known
        if name == b"connection"
        for part in value.split(b",")
    }
    return [(n, v) for n, v in known if n not in _HOP_BY_HOP and n not in named]
