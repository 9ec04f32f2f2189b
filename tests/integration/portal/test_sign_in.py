"""Signing in and out, and who may change things from where."""

import httpx2
import pytest
from playwright.sync_api import Page, expect

from integration.portal.conftest import SANDBOX, TOKEN, Portal


def test_a_stranger_is_sent_to_sign_in_and_comes_back_to_the_page(visitor: Page) -> None:
    visitor.goto("/virtual-clusters")
    expect(visitor).to_have_url("/login?next=/virtual-clusters")

    visitor.get_by_label("Token").fill("wrong")
    visitor.get_by_label("Token").press("Enter")
    expect(visitor.get_by_role("alert")).to_contain_text("not a token we know")
    expect(visitor.get_by_label("Token")).to_have_attribute("aria-invalid", "true")

    visitor.get_by_label("Token").fill(TOKEN)
    visitor.get_by_label("Token").press("Enter")
    expect(visitor).to_have_url("/virtual-clusters")


def test_the_cookie_is_out_of_reach_of_scripts_and_signing_out_ends_it(visitor: Page) -> None:
    page = visitor
    page.goto("/login")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/teams")
    assert page.evaluate("document.cookie") == ""
    [cookie] = [c for c in page.context.cookies() if c["name"] == "atoll_session"]
    assert cookie["httpOnly"]
    assert TOKEN not in cookie["value"]

    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url("/login")
    page.goto("/teams")
    expect(page).to_have_url("/login?next=/teams")


@pytest.mark.parametrize("origin", ["https://evil.test", "null", None])
def test_a_form_of_another_site_changes_nothing(
    page: Page, portal: Portal, science_ray: str, origin: str | None
) -> None:
    cookies = {c["name"]: c["value"] for c in page.context.cookies()}
    headers = {"Origin": origin} if origin else {}
    with httpx2.Client(base_url=portal.url, cookies=cookies, headers=headers) as client:
        answer = client.post(f"/virtual-clusters/{science_ray}/delete", data={"seen": "x"})
        assert answer.status_code == 403
        assert "another site" in answer.text
        assert client.get(f"/virtual-clusters/{science_ray}/delete").status_code == 200


@pytest.mark.parametrize("onward", ["https://evil.test", "//evil.test", "/\\evil.test", "/login"])
def test_signing_in_never_leads_to_another_site(portal: Portal, onward: str) -> None:
    with httpx2.Client(base_url=portal.url, headers={"Origin": portal.url}) as client:
        answer = client.post("/login", data={"token": TOKEN, "next": onward})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_every_page_says_that_this_is_a_sandbox_and_carries_a_strict_policy(page: Page) -> None:
    for path in ("/teams", "/teams/science", "/virtual-clusters", "/teams/nobody"):
        answer = page.goto(path)
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        expect(page.get_by_role("note", name="Sandbox")).to_contain_text(SANDBOX)


def test_colours_follow_the_choice(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    page.goto("/virtual-clusters")
    light = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    page.get_by_role("button", name="Dark").click()
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url("/virtual-clusters")
    page.wait_for_load_state()
    dark = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    assert light != dark
    page.get_by_role("button", name="System").click()
    expect(page.get_by_role("button", name="System")).to_have_attribute("aria-pressed", "true")
    page.wait_for_load_state()
    assert page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") == light


def test_what_is_not_there_is_said_with_a_way_on(page: Page) -> None:
    answer = page.goto("/virtual-clusters/nothing")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    expect(page.get_by_role("main")).to_contain_text("There is no virtual cluster 'nothing'")
    page.get_by_role("link", name="All virtual clusters").click()
    expect(page).to_have_url("/virtual-clusters")
