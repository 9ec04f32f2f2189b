"""If-Match against what people ask for: status and ledgers move all the time and are no reason to refuse."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2

from builders.api_process import Running, wanted

MakeTeam = Callable[..., str]
ATOLL = "/apis/atoll.dev/v1alpha1"
_MERGE = {"Content-Type": "application/merge-patch+json"}


def write_status(kube: httpx2.Client, name: str, failures: int) -> None:
    """As a worker does it, without a look at the revision."""
    path = f"{ATOLL}/virtualclusters/{name}/status"
    body = {"status": {"failures": failures}}
    kube.patch(path, json=body, headers=_MERGE).raise_for_status()


@contextmanager
def busy_worker(kube: httpx2.Client, name: str) -> Iterator[list[int]]:
    """Statuses, more often than any worker writes them; the list holds what was written last."""
    over, last = threading.Event(), [0]

    def work() -> None:
        while not over.is_set():
            write_status(kube, name, last[0] + 1)
            last[0] += 1
            over.wait(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield last
    finally:
        over.set()
        thread.join(30)


def test_a_status_does_not_move_the_revision_and_is_not_lost(
    api: httpx2.Client, kube: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team(cpu="9")
    api.post("/v1/virtual-clusters", json=wanted("still", team, quota={"cpu": "1"}))
    path = "/v1/virtual-clusters/still"
    etag = api.get(path).headers["etag"]
    write_status(kube, "still", 7)
    assert api.get(path).headers["etag"] == etag
    change = {"spec": {"quota": {"cpu": "2"}}}
    assert api.patch(path, json=change, headers={"If-Match": etag}).status_code == 202
    after = api.get(path)
    assert (after.json()["spec"]["quota"]["cpu"], after.json()["status"]["failures"]) == ("2", 7)
    assert after.headers["etag"] != etag
    stale = api.patch(path, json=change, headers={"If-Match": etag})
    assert (stale.status_code, stale.json()["revision"]) == (412, after.json()["revision"])
    assert [e["pointer"] for e in stale.json()["errors"]] == ["/header/If-Match"]


def test_a_busy_worker_makes_no_fresh_read_stale(
    api: httpx2.Client, kube: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team(cpu="50")
    api.post("/v1/virtual-clusters", json=wanted("worked-on", team, quota={"cpu": "1"}))
    path = "/v1/virtual-clusters/worked-on"
    with busy_worker(kube, "worked-on") as written:
        for cpu in range(2, 12):
            etag = api.get(path).headers["etag"]
            change = {"spec": {"quota": {"cpu": str(cpu)}}}
            answer = api.patch(path, json=change, headers={"If-Match": etag})
            assert answer.status_code == 202, answer.text
    found = api.get(path)
    assert found.json()["spec"]["quota"]["cpu"] == "11"
    assert found.json()["status"]["failures"] == written[0] > 0
    with busy_worker(kube, "worked-on"):
        gone = api.delete(path, headers={"If-Match": found.headers["etag"]})
    assert gone.status_code == 202, gone.text


def test_of_two_writers_who_read_the_same_one_is_refused(
    running: Running, api: httpx2.Client, make_team: MakeTeam
) -> None:
    path = f"/v1/teams/{make_team(cpu='4')}"
    etag = api.get(path).headers["etag"]

    def rename(who: int) -> int:
        with running.client() as client:
            change = {"spec": {"displayName": f"by {who}"}}
            return client.patch(path, json=change, headers={"If-Match": etag}).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(rename, range(8)))
    assert codes == [200] + [412] * 7


def test_a_teams_ledger_does_not_move_its_revision(api: httpx2.Client, make_team: MakeTeam) -> None:
    team = make_team(cpu="4")
    path = f"/v1/teams/{team}"
    etag = api.get(path).headers["etag"]
    api.post("/v1/virtual-clusters", json=wanted("held", team, quota={"cpu": "1"}))
    assert api.get(path).headers["etag"] == etag
    change = {"spec": {"displayName": "Held"}}
    assert api.patch(path, json=change, headers={"If-Match": etag}).status_code == 200
    assert api.get(path).json()["status"]["reserved"]["cpu"] == "1"


def test_one_made_anew_under_the_same_name_has_another_revision(api: httpx2.Client) -> None:
    first = api.post("/v1/teams", json={"name": "again", "spec": {}})
    stale = {"If-Match": first.headers["etag"]}
    assert api.delete("/v1/teams/again", headers=stale).status_code == 204
    api.post("/v1/teams", json={"name": "again", "spec": {}}).raise_for_status()
    assert api.delete("/v1/teams/again", headers=stale).status_code == 412
