"""Idempotency-Key: a repeated request is done once, and another body under its key is refused."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from builders.api_process import Running, profile, wanted
from builders.refusals import assert_key_had_another_body

from .conftest import MakeTeam


def test_one_key_makes_one_virtual_cluster(
    running: Running, api: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team(cpu="4")
    body = wanted("once", team, quota={"cpu": "1"})

    def create(_: int) -> httpx2.Response:
        with running.client() as client:
            return client.post(
                "/v1/virtual-clusters", json=body, headers={"Idempotency-Key": "k-1"}
            )

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(create, range(6)))
    assert {a.status_code for a in answers} == {202}
    assert len({a.headers["location"] for a in answers}) == 1
    body["spec"]["quota"]["cpu"] = "2"
    assert_key_had_another_body(create(0))
    assert api.get(f"/v1/teams/{team}").json()["status"]["reserved"]["cpu"] == "1"


@pytest.mark.parametrize("noun", ["teams", "profiles", "quota-requests"])
def test_one_key_holds_one_body(api: httpx2.Client, make_team: MakeTeam, noun: str) -> None:
    team, name = make_team(cpu="4"), f"keyed-{uuid.uuid4().hex[:8]}"
    bodies: dict[str, list[dict[str, Any]]] = {
        "teams": [{"name": name}, {"name": f"{name}-2"}],
        "profiles": [profile(name), profile(f"{name}-2")],
        "quota-requests": [{"team": team, "quota": {"cpu": cpu}} for cpu in ("5", "6")],
    }
    first, other = bodies[noun]
    key = {"Idempotency-Key": name}
    made = [api.post(f"/v1/{noun}", json=first, headers=key) for _ in range(2)]
    assert [a.status_code for a in made] == [201, 201], made[-1].text
    assert made[0].json()["name"] == made[1].json()["name"]
    assert_key_had_another_body(api.post(f"/v1/{noun}", json=other, headers=key))
