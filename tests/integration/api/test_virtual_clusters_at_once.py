"""Virtual clusters made and changed by many at once: the quota holds, and one request counts once."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx2

from builders.api_process import Running, team_status, wanted

from .conftest import MakeTeam


def test_fifty_creates_at_once_never_pass_the_limit(
    running: Running, make_team: MakeTeam, api: httpx2.Client
) -> None:
    team = make_team(cpu="10")

    def create(index: int) -> int:
        with running.client() as client:
            body = wanted(f"race-{index}", team, quota={"cpu": "1"})
            answer = client.post("/v1/virtual-clusters", json=body, timeout=60)
            if answer.status_code == 409:
                assert answer.json()["code"] == "quota_exceeded"
            return answer.status_code

    with ThreadPoolExecutor(50) as pool:
        codes = list(pool.map(create, range(50)))
    assert (codes.count(202), codes.count(409)) == (10, 40)
    status = team_status(api, team)
    assert Decimal(status["reserved"]["cpu"]) == 10
    listed = api.get("/v1/virtual-clusters", params={"team": team}).json()["items"]
    assert sorted(status["reservations"]) == sorted(v["name"] for v in listed)
    assert len(listed) == 10


def test_two_creates_with_one_name_at_once(
    running: Running, make_team: MakeTeam, api: httpx2.Client
) -> None:
    team = make_team(cpu="100")

    def create(cpu: int) -> httpx2.Response:
        with running.client() as client:
            body = wanted("twin", team, quota={"cpu": str(cpu)})
            return client.post("/v1/virtual-clusters", json=body)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, range(1, 9)))
    assert sorted(a.status_code for a in answers) == [202] + [409] * 7
    for refused in (a.json() for a in answers if a.status_code == 409):
        assert refused["code"] == "exists"
        assert refused["errors"] == [{"pointer": "/name", "detail": "is taken"}]
        assert "choose another name, or PATCH the one that exists" in refused["detail"]
    kept = api.get("/v1/virtual-clusters/twin").json()["spec"]["quota"]["cpu"]
    assert team_status(api, team)["reserved"]["cpu"] == kept


def test_patches_at_once_end_with_what_is_stored(
    running: Running, api: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team(cpu="60")
    for name in ("one", "two"):
        api.post("/v1/virtual-clusters", json=wanted(f"busy-{name}", team, quota={"cpu": "1"}))

    def patch(index: int) -> int:
        with running.client() as client:
            name = "one" if index % 2 else "two"
            return client.patch(
                f"/v1/virtual-clusters/busy-{name}",
                json={"spec": {"quota": {"cpu": str(index + 20)}}},
                headers={"If-Match": "*"},
            ).status_code

    with ThreadPoolExecutor(12) as pool:
        codes = set(pool.map(patch, range(12)))
    assert codes <= {202, 409}
    assert 202 in codes
    status = team_status(api, team)
    assert Decimal(status["reserved"]["cpu"]) <= 60
    for name in ("one", "two"):
        found = api.get(f"/v1/virtual-clusters/busy-{name}").json()
        assert Decimal(status["reservations"][f"busy-{name}"]["cpu"]) >= Decimal(
            found["spec"]["quota"]["cpu"]
        )
