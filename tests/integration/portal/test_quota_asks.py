"""Asking for more quota in the portal, and reading the answer."""

from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from integration.portal.conftest import GROUP, Kube
from integration.portal.test_accessibility import all_can_use

TEAM = "portal-wants"


@pytest.fixture
def wants(kube: Kube, api: httpx2.Client) -> Iterator[str]:
    """A team whose limits can be raised; it goes with its requests."""
    quota = {"cpu": {"limit": "16"}, "memory": {"limit": "32Gi"}, "example.com/x": {"limit": "0"}}
    api.post("/v1/teams", json={"name": TEAM, "spec": {"quota": quota}}).raise_for_status()
    yield TEAM
    for request in requests_of(api):
        kube.remove("quotarequests", request["name"])
    kube.remove("teams", TEAM)


def requests_of(api: httpx2.Client) -> list[dict[str, object]]:
    found: list[dict[str, object]] = api.get(f"/v1/quota-requests?team={TEAM}").json()["items"]
    return found


def seen(page: Page) -> Locator:
    return page.get_by_role("status").filter(has_text="Nothing has been written")


def test_more_is_previewed_asked_for_and_answered(
    page: Page, wants: str, api: httpx2.Client
) -> None:
    page.goto(f"/teams/{wants}")
    page.get_by_role("link", name="ask for more").click()
    page.wait_for_url(f"**/teams/{wants}/quota/ask")
    cpu = page.get_by_label("CPU wanted")
    expect(cpu).to_have_accessible_description("Now 16 cores, 0 cores reserved.")
    cpu.fill("24")
    page.get_by_label("Why").fill("two more projects")
    page.get_by_role("button", name="Preview, change nothing").click()
    expect(seen(page)).to_contain_text("CPU: 16 cores → 24 cores")
    expect(seen(page)).not_to_contain_text("Memory")
    expect(seen(page)).to_be_focused()
    assert requests_of(api) == []
    page.get_by_role("button", name="Ask", exact=True).click()
    page.wait_for_url(f"**/teams/{wants}/quota")
    (request,) = requests_of(api)
    form = page.get_by_role("form", name=f"Request {request['name']}")
    expect(form).to_contain_text("two more projects")
    form.get_by_label("Note for whoever asked").fill("not before June")
    form.get_by_role("button", name="Refuse").click()
    told = page.get_by_role("region", name="Earlier requests")
    expect(told.get_by_role("row", name=str(request["name"]))).to_contain_text("Refused")
    expect(told).to_contain_text("CPU 24 cores: two more projects")
    expect(told).to_contain_text("not before June (admin)")


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(
    page: Page, wants: str, api: httpx2.Client
) -> None:
    page.goto(f"/teams/{wants}/quota/ask")
    page.get_by_role("button", name="Ask", exact=True).click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Nothing was asked for")
    expect(alert).to_contain_text("Limits: names nothing; say which limits you want")
    page.get_by_label("CPU wanted").fill("16")
    page.get_by_label("Memory wanted").fill("lots")
    page.get_by_label("Why").fill("growth")
    page.get_by_label("Days it may wait").fill("900")
    page.get_by_role("button", name="Ask", exact=True).click()
    for label in ("Memory wanted", "Days it may wait"):
        expect(page.get_by_label(label)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Memory wanted").fill("64Gi")
    page.get_by_label("Days it may wait").fill("5")
    page.get_by_role("button", name="Preview, change nothing").click()
    expect(alert).to_contain_text("CPU wanted: 16 is no more than the team has already")
    alert.get_by_role("link", name="CPU wanted").click()
    expect(page.get_by_label("CPU wanted")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Why")).to_have_value("growth")
    assert requests_of(api) == []


def test_a_form_that_is_sent_twice_asks_once(page: Page, wants: str, api: httpx2.Client) -> None:
    page.goto(f"/teams/{wants}/quota/ask")
    form = {
        "page": page.locator("input[name=page]").input_value(),
        "wanted.cpu": "24", "reason": "growth", "days": "30", "do": "ask",
    }  # fmt: skip
    for _ in range(2):
        answer = api.post(f"/teams/{wants}/quota/ask", data=form)
        assert answer.status_code == 303, answer.text
    assert len(requests_of(api)) == 1
    api.post(f"/teams/{wants}/quota/ask", data={**form, "wanted.cpu": "32"})
    assert len(requests_of(api)) == 2  # the way back and another number: another request


def test_a_team_without_limits_is_sent_to_the_team_above(
    page: Page, wants: str, kube: Kube
) -> None:
    body = {"apiVersion": "atoll.dev/v1alpha1", "kind": "Team", "metadata": {"name": "portal-low"}}
    kube.create(f"{GROUP}/teams", {**body, "spec": {"parent": wants}})
    page.goto("/teams/portal-low/quota/ask")
    expect(page.get_by_role("main")).to_contain_text("there is nothing to raise")
    page.get_by_role("link", name=f"ask for {wants}").click()
    page.wait_for_url(f"**/teams/{wants}/quota/ask")
    kube.remove("teams", "portal-low")


def test_everybody_can_ask_also_on_a_phone(page: Page, wants: str) -> None:
    page.set_viewport_size({"width": 360, "height": 720})
    page.goto(f"/teams/{wants}/quota/ask")
    for amount, words in (("24", "this would be asked for"), ("lots", "Nothing was asked for")):
        page.get_by_label("CPU wanted").fill(amount)
        page.get_by_role("button", name="Preview, change nothing").click()
        expect(page.locator("#problems")).to_contain_text(words)
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        all_can_use(page)
