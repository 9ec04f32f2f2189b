"""Which paths pass."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import InvalidError
from atoll.gateway.paths import check_path, rest_of

PREFIX = "/v1/virtual-clusters/demo/kubernetes"


def scope(raw: str) -> dict[str, object]:
    return {"type": "http", "path": raw, "raw_path": raw.encode()}


@pytest.mark.parametrize(
    ("raw", "rest"),
    [
        (PREFIX, ""),
        (f"{PREFIX}/", ""),
        (f"{PREFIX}/api/v1/pods", "api/v1/pods"),
        (f"{PREFIX}/api/a%20b%3Fc", "api/a%20b%3Fc"),
        (f"{PREFIX}/x/..x/x../...", "x/..x/x../..."),
        (f"{PREFIX}/svc:8265/proxy//a/", "svc:8265/proxy//a/"),
    ],
)
def test_the_rest_is_passed_as_it_was_sent(raw: str, rest: str) -> None:
    assert rest_of(scope(raw), PREFIX) == rest


@pytest.mark.parametrize(
    "rest",
    [
        "..", ".", "a/../b", "a/..", "%2e%2e/b", "a/.%2E", "%252e%252e", "%25252e%25252e", "a%2fb", "a%252Fb",
        "a%5Cb", "a\\b", "a%00b", "a%0d%0ab", "a%7f",
    ],
)  # fmt: skip
def test_a_rest_that_hides_something_is_refused(rest: str) -> None:
    with pytest.raises(InvalidError) as refused:
        rest_of(scope(f"{PREFIX}/{rest}"), PREFIX)
    assert refused.value.code == "bad_path"


@pytest.mark.parametrize(
    "raw",
    [
        "/v1/virtual-clusters/demo%2Fkubernetes/api",
        "/v1/virtual-clusters/%64emo/kubernetes/api",
        "/v1/virtual-clusters/other/kubernetes/api",
        "/v1/virtual-clusters/demo/kubernetesx",
    ],
)
def test_a_prefix_that_is_not_the_routes_is_refused(raw: str) -> None:
    with pytest.raises(InvalidError):
        rest_of(scope(raw), PREFIX)


@given(st.text(alphabet="./%25eEfFcC\\a", max_size=12))
def test_what_passes_has_no_climbing_segment_however_often_it_is_decoded(text: str) -> None:
    try:
        check_path(text.encode())
    except InvalidError:
        return
    for segment in text.split("/"):
        decoded = segment
        for _ in range(6):
            assert decoded not in (".", "..")
            assert "/" not in decoded
            assert "\\" not in decoded
            decoded = unquote(decoded)
