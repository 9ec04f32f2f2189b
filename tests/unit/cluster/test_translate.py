"""What a person reads of a Kubernetes API that did not answer."""

import ssl

import httpx2
import pytest

from atoll.cluster.client import translate
from atoll.errors import UnavailableError


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (httpx2.ConnectError("[SSL] certificate verify failed"), "certificate verify failed"),
        (ssl.SSLError("wrong version number"), "wrong version number"),
        (httpx2.ReadTimeout(""), "(ReadTimeout)"),
    ],
)
def test_the_cause_is_told_in_its_own_words(error: Exception, cause: str) -> None:
    told = translate(error, "Queue team-blue")
    assert isinstance(told, UnavailableError)
    assert "Queue team-blue" in str(told)
    assert cause in str(told)
