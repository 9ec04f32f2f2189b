"""Pools of connections: one per virtual cluster, bounded, never closed under somebody's hands."""

import httpx2

from atoll.gateway.connections import Connections


async def test_the_same_address_shares_a_pool_and_others_do_not() -> None:
    connections = Connections()
    async with connections.use_plain("http://127.0.0.1:1") as one:
        async with connections.use_plain("http://127.0.0.1:1") as again:
            assert again is one
        async with connections.use_plain("http://127.0.0.1:2") as other:
            assert other is not one
    await connections.close()
    assert one.is_closed
    assert other.is_closed


async def test_the_oldest_gives_way_but_only_when_nobody_uses_it() -> None:
    connections = Connections(most=1)
    async with connections.use_plain("http://127.0.0.1:1") as used:
        async with connections.use_plain("http://127.0.0.1:2"):
            pass
        assert not used.is_closed
    assert used.is_closed
    async with connections.use_plain("http://127.0.0.1:2") as kept:
        pass
    assert not kept.is_closed
    async with connections.use_plain("http://127.0.0.1:3"):
        assert kept.is_closed
    await connections.close()


async def test_a_cookie_of_one_answer_is_not_kept_for_the_next_request() -> None:
    connections = Connections()
    async with connections.use_plain("http://127.0.0.1:1") as client:
        request = httpx2.Request("GET", "http://127.0.0.1:1/")
        answer = httpx2.Response(200, headers={"set-cookie": "a=b"}, request=request)
        client.cookies.extract_cookies(answer)
        assert not list(client.cookies.jar)
    await connections.close()
