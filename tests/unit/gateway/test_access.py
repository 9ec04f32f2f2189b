"""What the gateway believes of access Secrets, and for how long."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atoll.cluster.kinds import Kind
from atoll.errors import ConflictError, NotFoundError
from atoll.gateway.access import FRESH_SECONDS, AccessStore


class Host:
    """The two reads the store makes of the host, from memory."""

    def __init__(self) -> None:
        self.secret: dict[str, Any] | None = None
        self.exists = True
        self.reads = 0
        self.conditions: list[dict[str, str]] = []

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> dict[str, Any]:
        self.reads += 1
        await asyncio.sleep(0)
        if not self.exists:
            raise NotFoundError("gone")
        return {
            "metadata": {"name": name},
            "spec": {"team": "blue"},
            "status": {"conditions": self.conditions},
        }

    async def find(
        self, kind: Kind, name: str, namespace: str | None = None
    ) -> dict[str, Any] | None:
        assert (name, namespace) == ("access-demo", "atoll-access")
        return self.secret


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def secret(value: str = "one", minutes: int = 60, **change: str | None) -> dict[str, Any]:
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    text: dict[str, str | None] = {
        "server": "https://demo.vc-demo.svc:443/",
        "ca.crt": "PEM",
        "token": f"{value}\n",
        "expires_at": until.isoformat().replace("+00:00", "Z"),
    } | change
    return {"data": {k: base64.b64encode(v.encode()).decode() for k, v in text.items() if v}}


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(host: Host, clock: Clock) -> AccessStore:
    return AccessStore(host, "atoll-access", clock=clock)  # type: ignore[arg-type]


async def test_it_is_read_once_for_many_and_again_when_stale(
    store: AccessStore, host: Host, clock: Clock
) -> None:
    host.secret = secret("one")
    found = await asyncio.gather(*(store.access("demo") for _ in range(20)))
    assert {(a.server, a.token) for a in found} == {("https://demo.vc-demo.svc:443", "one")}
    assert host.reads == 1
    host.secret = secret("two")
    assert (await store.access("demo")).token == "one"
    clock.now += FRESH_SECONDS
    assert (await store.access("demo")).token == "two"


async def test_forgetting_reads_again(store: AccessStore, host: Host) -> None:
    host.secret = secret("one")
    await store.access("demo")
    host.secret = secret("two")
    store.forget("demo")
    assert (await store.access("demo")).token == "two"


async def test_a_missing_secret_names_the_step_and_its_words(
    store: AccessStore, host: Host
) -> None:
    host.conditions = [
        {
            "type": "AccessReady",
            "status": "False",
            "reason": "Waiting",
            "message": "the API is silent",
        }
    ]
    with pytest.raises(ConflictError, match="step AccessReady: the API is silent") as missing:
        await store.access("demo")
    assert missing.value.code == "not_ready"
    host.secret = secret()
    assert (await store.access("demo")).token == "one"  # no waiting until the first look is stale


@pytest.mark.parametrize("key", ["server", "ca.crt", "token", "expires_at"])
async def test_half_a_secret_is_none(store: AccessStore, host: Host, key: str) -> None:
    host.secret = secret(**{key: None})
    with pytest.raises(ConflictError):
        await store.access("demo")


async def test_an_expired_token_is_not_used(store: AccessStore, host: Host) -> None:
    host.secret = secret(minutes=-1)
    with pytest.raises(ConflictError, match="expired"):
        await store.access("demo")
    host.secret = secret("fresh")
    assert (await store.access("demo")).token == "fresh"


async def test_a_deleted_virtual_cluster_is_gone_when_its_read_is_stale(
    store: AccessStore, host: Host, clock: Clock
) -> None:
    host.secret = secret()
    await store.access("demo")
    host.exists = False
    clock.now += FRESH_SECONDS
    with pytest.raises(NotFoundError):
        await store.access("demo")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "kube-system", "a" * 33])
async def test_what_cannot_be_a_name_is_never_looked_up(
    store: AccessStore, host: Host, name: str
) -> None:
    with pytest.raises(NotFoundError):
        await store.access(name)
    assert host.reads == 0


async def test_secrets_do_not_show_in_what_is_printed(store: AccessStore, host: Host) -> None:
    host.secret = secret("very-secret")
    assert "very-secret" not in repr(await store.access("demo"))
