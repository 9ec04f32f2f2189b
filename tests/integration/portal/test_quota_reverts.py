"""Going back to an earlier quota of a team in the portal."""

from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from builders.chromium import Chromium
from integration.portal.conftest import GROUP, Kube, Portal
from integration.portal.test_accessibility import all_can_use

TEAM = "portal-then"


@pytest.fixture
def then(kube: Kube, api: httpx2.Client) -> Iterator[str]:
    """A team that had 4 cores at number 1, has 16 at number 2, and holds 8 of them."""
    spec = {"quota": {"cpu": {"limit": "4"}}}
    api.post("/v1/teams", json={"name": TEAM, "spec": spec}).raise_for_status()
    api.put(
        f"/v1/teams/{TEAM}/quota",
        json={"quota": {"cpu": {"limit": "16"}}},
        headers={"If-Match": "*"},
    ).raise_for_status()
    hold(api, "portal-then-a", "8")
    yield TEAM
    for name in ("portal-then-a", "portal-then-b"):
        kube.forget(name)
    kube.remove("teams", TEAM)


def hold(api: httpx2.Client, name: str, cpu: str) -> None:
    """Another virtual cluster of the team."""
    spec = {"team": TEAM, "mode": "shared", "quota": {"cpu": cpu, "memory": "1Gi"}}
    answer = api.post("/v1/virtual-clusters", json={"name": name, "spec": spec})
    assert answer.status_code == 202, answer.text


def limit_of(kube: Kube) -> dict[str, str]:
    found: dict[str, str] = kube.read("teams", TEAM)["spec"]["quota"]["cpu"]
    return found


def seen(page: Page) -> Locator:
    return page.get_by_role("status").filter(has_text="Nothing has been written")


def test_going_back_over_what_is_held_is_shown_and_what_got_worse_is_shown_again(
    page: Page, then: str, api: httpx2.Client, kube: Kube
) -> None:
    page.goto(f"/teams/{then}/quota")
    history = page.get_by_role("region", name="History")
    expect(history.get_by_role("row").nth(1)).to_contain_text("as now")
    history.get_by_role("link", name="To number 1").click()
    page.wait_for_url(f"**/teams/{then}/quota/history/1")
    expect(seen(page)).to_contain_text("Preview: this puts the team over its quota")
    expect(seen(page)).not_to_be_focused()
    cpu = seen(page).get_by_role("row", name="CPU")
    expect(cpu).to_contain_text("16 cores → 4 cores")
    expect(cpu).to_contain_text("4 cores")
    expect(seen(page)).to_contain_text("portal-then-a of portal-then")
    hold(api, "portal-then-b", "2")
    page.get_by_label("Why").fill("the other half goes to speech")
    page.get_by_role("button", name="Go back all the same").click()
    expect(cpu).to_contain_text("6 cores")
    expect(seen(page)).to_be_focused()
    expect(cpu).to_contain_text("10 cores")
    assert limit_of(kube) == {"limit": "16"}
    expect(page.get_by_label("Why")).to_have_value("the other half goes to speech")
    page.get_by_role("button", name="Go back all the same").click()
    page.wait_for_url(f"**/teams/{then}/quota")
    assert limit_of(kube) == {"limit": "4"}
    newest = page.get_by_role("region", name="History").get_by_role("row").nth(1)
    expect(newest).to_contain_text("gone back to an earlier state: the other half goes to speech")


def test_without_script_a_change_meanwhile_is_told_and_shown_anew(
    browser: Chromium, portal: Portal, page: Page, then: str, kube: Kube
) -> None:
    context = browser.new_context(base_url=portal.url, java_script_enabled=False)
    context.add_cookies(page.context.cookies())  # type: ignore[arg-type]  # what it gave it takes
    plain = context.new_page()
    plain.goto(f"/teams/{then}/quota/history/1")
    kube.patch("teams", then, {"spec": {"quota": {"cpu": {"limit": "20"}}}})
    plain.get_by_role("button", name="Go back all the same").click()
    expect(plain.get_by_role("alert")).to_contain_text("It changed while you were looking")
    expect(seen(plain).get_by_role("row", name="CPU")).to_contain_text("20 cores → 4 cores")
    expect(plain.locator("#problems")).to_have_count(1)
    assert limit_of(kube) == {"limit": "20"}
    plain.get_by_role("button", name="Go back all the same").click()
    plain.wait_for_url(f"**/teams/{then}/quota")
    assert limit_of(kube) == {"limit": "4"}
    browser.end(context)


def test_what_may_not_be_any_more_is_told_and_has_no_button(
    page: Page, then: str, kube: Kube
) -> None:
    name = "portal-then-low"
    body = {"apiVersion": "atoll.dev/v1alpha1", "kind": "Team", "metadata": {"name": name}}
    spec = {"parent": then, "quota": {"cpu": {"limit": "12"}}}
    kube.create(f"{GROUP}/teams", {**body, "spec": spec})
    page.goto(f"/teams/{name}/quota")  # looks, and so writes number 1 down
    kube.patch("teams", name, {"spec": {"quota": {"cpu": {"limit": "2"}}}})
    kube.patch("teams", then, {"spec": {"quota": {"cpu": {"limit": "10"}}}})
    page.goto(f"/teams/{name}/quota/history/1")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("It cannot be as it was then")
    expect(alert).to_contain_text("CPU limit of that time")
    expect(page.get_by_role("button", name="Go back")).to_have_count(0)
    all_can_use(page)
    kube.remove("teams", name)


def test_the_present_state_and_numbers_that_there_are_not(
    page: Page, then: str, kube: Kube
) -> None:
    page.goto(f"/teams/{then}/quota/history/2")
    expect(page.get_by_role("main")).to_contain_text("there is nothing to go back to")
    for number in ("77", "x"):
        answer = page.goto(f"/teams/{then}/quota/history/{number}")
        assert answer
        assert answer.status == 404
        expect(page.get_by_role("main")).to_contain_text("number")


def test_everybody_can_go_back_also_on_a_phone(page: Page, then: str) -> None:
    page.set_viewport_size({"width": 360, "height": 720})
    page.goto(f"/teams/{then}/quota/history/1")
    expect(seen(page)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    all_can_use(page)
