"""The page of a team's quota: limits, history, and requests that an admin decides."""

import httpx2
import pytest
from playwright.sync_api import Page, expect

from integration.portal.conftest import TOKEN, Kube, Portal

TEAM = "asking"


@pytest.fixture(scope="module")
def asking(kube: Kube, portal: Portal) -> str:
    """A team of these tests' own."""
    with httpx2.Client(base_url=portal.url, headers={"Authorization": f"Bearer {TOKEN}"}) as api:
        quota = {"cpu": {"limit": "16"}, "memory": {"limit": "32Gi", "guaranteed": "8Gi"}}
        api.post("/v1/teams", json={"name": TEAM, "spec": {"quota": quota}}).raise_for_status()
    return TEAM


def ask(portal: Portal, cpu: str, reason: str) -> str:
    with httpx2.Client(base_url=portal.url, headers={"Authorization": f"Bearer {TOKEN}"}) as api:
        body = {"team": TEAM, "quota": {"cpu": cpu}, "reason": reason}
        answer = api.post("/v1/quota-requests", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["name"])


def test_limits_and_history_are_told_with_units(page: Page, asking: str) -> None:
    page.goto(f"/teams/{asking}")
    page.get_by_role("link", name="History and requests").click()
    page.wait_for_url(f"**/teams/{asking}/quota")
    expect(page.get_by_role("main")).to_contain_text("Nobody asks for more.")
    limits = page.get_by_role("region", name="Limits")
    expect(limits.get_by_role("row", name="CPU")).to_contain_text("16 cores")
    expect(limits.get_by_role("row", name="Memory")).to_contain_text("8 GiB")
    history = page.get_by_role("region", name="History")
    expect(history).to_contain_text("with the team")
    expect(history).to_contain_text("CPU: not named → 16 cores")


def test_a_request_is_approved_with_a_note(
    page: Page, asking: str, portal: Portal, kube: Kube
) -> None:
    name = ask(portal, "24", "two more projects")
    page.goto(f"/teams/{asking}/quota")
    expect(page.get_by_role("main")).to_contain_text("1 request for more waits to be decided.")
    form = page.get_by_role("form", name=f"Request {name}")
    expect(form).to_contain_text("two more projects")
    expect(form).to_contain_text("CPU: 16 cores → 24 cores")
    form.get_by_label("Note for whoever asked").fill("until June")
    form.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("main")).to_contain_text("Nobody asks for more.")
    history = page.get_by_role("region", name="History")
    expect(history).to_contain_text("asked for and approved: until June")
    assert kube.read("teams", asking)["spec"]["quota"]["cpu"] == {"limit": "24"}
    decided = kube.read("quotarequests", name)["spec"]
    assert (decided["decision"], decided["note"]) == ("Approved", "until June")


def test_a_request_is_refused_and_one_that_changed_meanwhile_is_not_decided(
    page: Page, asking: str, portal: Portal, kube: Kube
) -> None:
    name = ask(portal, "64", "dreams")
    page.goto(f"/teams/{asking}/quota")
    form = page.get_by_role("form", name=f"Request {name}")
    kube.patch("quotarequests", name, {"spec": {"reason": "bigger dreams"}})
    form.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was decided")
    form = page.get_by_role("form", name=f"Request {name}")
    expect(form).to_contain_text("bigger dreams")
    form.get_by_role("button", name="Refuse").click()
    expect(page.get_by_role("main")).to_contain_text("Nobody asks for more.")
    assert kube.read("quotarequests", name)["spec"]["decision"] == "Refused"
