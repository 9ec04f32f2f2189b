"""The pages of a team's quota: limits, history, requests that an admin decides, and changing it."""

from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from integration.portal.conftest import TOKEN, Kube, Portal
from integration.portal.test_accessibility import all_can_use

TEAM = "asking"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def asking(kube: Kube, portal: Portal) -> str:
    """A team of these tests' own."""
    with httpx2.Client(base_url=portal.url, headers=HEADERS, timeout=30) as api:
        quota = {"cpu": {"limit": "16"}, "memory": {"limit": "32Gi", "guaranteed": "8Gi"}}
        api.post("/v1/teams", json={"name": TEAM, "spec": {"quota": quota}}).raise_for_status()
    return TEAM


def ask(portal: Portal, cpu: str, reason: str) -> str:
    with httpx2.Client(base_url=portal.url, headers=HEADERS, timeout=30) as api:
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


def test_what_is_wrong_with_a_quota_stands_on_the_pages_of_the_team(
    page: Page, asking: str, kube: Kube
) -> None:
    words = "cpu: 20 reserved of 16, 4 over. What runs stays"
    found = {
        "type": "WithinQuota", "status": "False", "reason": "OverReserved", "message": words,
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    }  # fmt: skip
    page.goto(f"/teams/{asking}")
    expect(page.locator("#trouble")).to_be_empty()
    kube.patch("teams", asking, {"status": {"conditions": [found]}}, "/status")
    expect(page.locator("#trouble")).to_contain_text(words)  # the open page tells it too
    page.goto(f"/teams/{asking}/quota")
    note = page.locator("#trouble")
    expect(note).to_contain_text("More is reserved than the limits allow")
    expect(note).to_contain_text(words)
    kube.patch("teams", asking, {"status": {"conditions": []}}, "/status")


def form_of(page: Page, team: str) -> None:
    page.goto(f"/teams/{team}/quota")
    page.get_by_role("link", name="Change the quota").click()
    page.wait_for_url(f"**/teams/{team}/quota/edit")


def seen(page: Page) -> Locator:
    return page.get_by_role("status").filter(has_text="Nothing has been written")


@pytest.fixture
def holding(kube: Kube, portal: Portal) -> Iterator[str]:
    """A team whose quota a virtual cluster holds a part of."""
    name = "portal-holding"
    with httpx2.Client(base_url=portal.url, headers=HEADERS, timeout=30) as api:
        spec = {"quota": {"cpu": {"limit": "16"}, "memory": {"limit": "32Gi"}}}
        api.post("/v1/teams", json={"name": name, "spec": spec}).raise_for_status()
        wanted = {"team": name, "mode": "shared", "quota": {"cpu": "8", "memory": "16Gi"}}
        answer = api.post("/v1/virtual-clusters", json={"name": "portal-holder", "spec": wanted})
        assert answer.status_code == 202, answer.text
    yield name
    kube.forget("portal-holder")
    kube.remove("teams", name)


def test_forms_name_what_only_a_team_above_limits(page: Page, holding: str, kube: Kube) -> None:
    kube.patch("teams", holding, {"spec": {"quota": {"rayclusters": {"limit": "3"}}}})
    body = {
        "apiVersion": "atoll.dev/v1alpha1",
        "kind": "Team",
        "metadata": {"name": "portal-below"},
    }
    spec = {"parent": holding, "quota": {"cpu": {"limit": "12"}}}
    kube.create("/apis/atoll.dev/v1alpha1/teams", {**body, "spec": spec})
    page.goto("/teams/portal-below/quota")
    history = page.get_by_role("region", name="History")
    expect(history).to_contain_text(f"Parent: none → {holding}")
    page.goto("/teams/portal-below")
    page.get_by_role("link", name="New virtual cluster").click()
    create = page.get_by_role("group", name="Quota on the host")
    expect(create).to_contain_text(f"Needed. 3 can be had; team {holding} above has the limit.")
    # The team's own limit is 12, and the team above has 8 of its 16 left.
    expect(create).to_contain_text(
        f"Needed. 8 cores can be had; team {holding} above has the limit."
    )
    expect(create.get_by_label("Ray clusters")).to_be_editable()
    kube.remove("teams", "portal-below")


def test_a_quota_is_previewed_and_set_with_a_note(page: Page, holding: str, kube: Kube) -> None:
    form_of(page, holding)
    expect(page.get_by_label("CPU limit")).to_have_value("16")
    page.get_by_label("CPU limit").fill("32")
    page.get_by_label("CPU guaranteed").fill("4")
    page.get_by_label("Memory limit").fill("")
    page.get_by_role("button", name="Preview, change nothing").click()
    expect(seen(page)).to_contain_text("Preview: this would be accepted")
    cpu = seen(page).get_by_role("row", name="CPU")
    expect(cpu).to_contain_text("16 cores → 32 cores, 4 cores guaranteed")
    expect(cpu).to_contain_text("8 cores")
    expect(seen(page).get_by_role("row", name="Memory")).to_contain_text("32 GiB → not named")
    assert kube.read("teams", holding)["spec"]["quota"]["cpu"] == {"limit": "16"}
    page.get_by_label("Why").fill("two more projects")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(f"**/teams/{holding}/quota")
    quota = kube.read("teams", holding)["spec"]["quota"]
    assert quota == {"cpu": {"limit": "32", "guaranteed": "4"}}
    expect(page.get_by_role("region", name="History")).to_contain_text("two more projects")


def test_what_puts_the_team_over_is_shown_and_accepted_by_a_second_press(
    page: Page, holding: str, kube: Kube
) -> None:
    form_of(page, holding)
    page.get_by_label("CPU limit").fill("6")
    page.get_by_role("button", name="Save").click()
    expect(seen(page)).to_contain_text("Preview: this puts the team over its quota")
    expect(seen(page)).to_contain_text(
        "portal-holder of portal-holding (CPU 8 cores, memory 16 GiB"
    )
    expect(seen(page)).to_contain_text("would not be let in again")
    expect(seen(page).get_by_role("row", name="CPU")).to_contain_text("2 cores")
    assert kube.read("teams", holding)["spec"]["quota"]["cpu"] == {"limit": "16"}
    # Another value than the one that was shown is shown again.
    page.get_by_label("CPU limit").fill("5")
    page.get_by_role("button", name="Save all the same").click()
    expect(seen(page).get_by_role("row", name="CPU")).to_contain_text("3 cores")
    page.get_by_role("button", name="Save all the same").click()
    page.wait_for_url(f"**/teams/{holding}/quota")
    assert kube.read("teams", holding)["spec"]["quota"]["cpu"] == {"limit": "5"}


def test_a_wrong_quota_is_told_at_its_field_and_a_change_meanwhile_is_told(
    page: Page, holding: str, kube: Kube
) -> None:
    form_of(page, holding)
    page.get_by_label("CPU guaranteed").fill("17")
    page.get_by_label("Name of another resource").fill("example.com/gpux")
    page.get_by_label("Its limit").fill("2")
    page.get_by_role("button", name="Preview, change nothing").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Nothing was changed")
    expect(alert).to_contain_text("CPU guaranteed: 17 is more than the limit of this line")
    expect(alert).to_contain_text("no node of the host has 'example.com/gpux'")
    for label in ("CPU guaranteed", "Name of another resource"):
        expect(page.get_by_label(label)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("CPU guaranteed").fill("lots")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("CPU guaranteed")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("CPU guaranteed").fill("2")
    page.get_by_label("Name of another resource").fill("")
    page.get_by_label("Its limit").fill("")
    kube.patch("teams", holding, {"spec": {"quota": {"cpu": {"limit": "20"}}}})
    # The page that answered a wrong value is tied to what was there when it was made.
    page.get_by_role("button", name="Save").click()
    expect(alert).to_contain_text("It changed while you were typing")
    expect(page.locator("#differs")).to_contain_text("CPU limit: now 20, yours 16")


def test_everybody_can_read_the_preview_of_a_quota_also_on_a_phone(
    page: Page, holding: str
) -> None:
    page.set_viewport_size({"width": 375, "height": 720})
    form_of(page, holding)
    for amount, words in (("32", "this would be accepted"), ("6", "over its quota")):
        page.get_by_label("CPU limit").fill(amount)
        page.get_by_role("button", name="Preview, change nothing").click()
        expect(seen(page)).to_contain_text(words)
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        all_can_use(page)
