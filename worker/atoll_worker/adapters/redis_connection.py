"""One connection to a Redis, whose every trouble becomes an error that names its cause."""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from atoll.errors import TemporaryError, Who
from atoll_worker.reconcile.ports import Instance

SECONDS = 3.0
"""How long a connection, or an answer, may take."""


@dataclass(frozen=True)
class Login:
    """As whom to speak, and how: `authority` (PEM) is whom to believe under TLS; None: no TLS.

    `secret` is where the password stands, for people; `who` can mend what is wrong with it.
    """

    password: str = field(repr=False)
    username: str | None = None
    authority: str | None = None
    secret: str = "Secret redis"  # noqa: S105 (a name)
    who: Who = "nobody"


@asynccontextmanager
async def connected(instance: Instance, login: Login) -> AsyncIterator[Redis]:
    """A connection. Raises TemporaryError with RedisRefused, RedisTlsFailed or RedisUnreachable."""
    client = Redis(
        host=instance.host,
        port=instance.port,
        username=login.username,
        password=login.password,
        socket_connect_timeout=SECONDS,
        socket_timeout=SECONDS,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        **_tls(login),
    )
    try:
        yield client
    except (AuthenticationError, NoPermissionError) as error:
        raise TemporaryError(
            f"Redis {instance.name} refuses the password of {login.secret}: {error}",
            reason="RedisRefused",
            delay=10,
            who=login.who,
        ) from error
    except (RedisError, OSError, TimeoutError) as error:
        raise _unreachable(instance, login, error) from error
    finally:
        await client.aclose()


def _tls(login: Login) -> dict[str, Any]:
    if login.authority is None:
        return {}
    return {
        "ssl": True,
        "ssl_ca_data": login.authority,
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
    }


def _unreachable(instance: Instance, login: Login, error: Exception) -> TemporaryError:
    cause = next((one for one in _chain(error) if isinstance(one, ssl.SSLError)), None)
    if cause:
        return TemporaryError(
            f"Redis {instance.name} and we do not agree on TLS: {cause}. Is it TLS that it speaks, and "
            f"does ca.crt of {login.secret} hold the authority of its certificate?",
            reason="RedisTlsFailed",
            delay=10,
            who=login.who,
        )
    speaks = "speak TLS" if login.authority else "want no TLS"
    ask = f" Is the address right, may the worker reach it, and does it {speaks}?"
    return TemporaryError(
        f"Redis {instance.name} does not answer: {type(error).__name__}: {error}"
        + (ask if login.who == "admin" else ""),
        reason="RedisUnreachable",
        who=login.who,
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came of."""
    while error:
        yield error
        error = error.__cause__ or error.__context__
