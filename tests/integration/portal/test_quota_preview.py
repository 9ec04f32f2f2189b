"""The preview of a virtual cluster's quota: what a change would do, before anything is written."""

from playwright.sync_api import Locator, Page, expect

from builders.timeline import status_at
from integration.portal.conftest import Kube
from integration.portal.test_accessibility import all_can_use

PREVIEW = "Preview, change nothing"


def cpu(page: Page) -> Locator:
    return page.get_by_role("textbox", name="CPU", exact=True)


def seen(page: Page) -> Locator:
    return page.get_by_role("status").filter(has_text="Nothing has been written")


def test_it_says_what_is_over_and_writes_nothing(page: Page, kube: Kube, science_ray: str) -> None:
    kube.status(science_ray, status_at() | {"used": {"cpu": "7", "memory": "3Gi"}})
    page.goto(f"/virtual-clusters/{science_ray}")
    page.get_by_role("link", name="Preview another quota").click()
    cpu(page).fill("6")
    page.get_by_role("button", name=PREVIEW).click()
    expect(seen(page)).to_contain_text("Preview: this puts the virtual cluster over its quota")
    expect(seen(page)).to_be_focused()
    row = seen(page).get_by_role("row", name="CPU")
    expect(row).to_contain_text("8 cores → 6 cores")
    expect(row).to_contain_text("7 cores")
    expect(row).to_contain_text("1 core")
    expect(seen(page).get_by_role("row", name="Memory")).to_contain_text("nothing")
    expect(cpu(page)).to_have_value("6")
    assert kube.read("virtualclusters", science_ray)["spec"]["quota"]["cpu"] == "8"
    page.get_by_role("button", name="Save all the same").click()
    page.wait_for_url(f"**/virtual-clusters/{science_ray}")
    assert kube.read("virtualclusters", science_ray)["spec"]["quota"]["cpu"] == "6"


def test_a_quota_below_what_is_used_is_shown_and_accepted_by_a_second_press(
    page: Page, kube: Kube, science_ray: str
) -> None:
    kube.status(science_ray, status_at() | {"used": {"cpu": "7", "memory": "3Gi"}})
    page.goto(f"/virtual-clusters/{science_ray}/edit")
    cpu(page).fill("6")
    page.get_by_role("button", name="Save").click()
    expect(seen(page)).to_contain_text("Preview: this puts the virtual cluster over its quota")
    expect(seen(page)).to_contain_text("Save again to accept exactly this.")
    expect(seen(page)).to_be_focused()
    expect(seen(page).get_by_role("row", name="CPU")).to_contain_text("1 core")
    assert kube.read("virtualclusters", science_ray)["spec"]["quota"]["cpu"] == "8"
    # Another value than the one that was shown is shown again.
    cpu(page).fill("5")
    page.get_by_role("button", name="Save all the same").click()
    expect(seen(page).get_by_role("row", name="CPU")).to_contain_text("2 cores")
    assert kube.read("virtualclusters", science_ray)["spec"]["quota"]["cpu"] == "8"
    page.get_by_role("button", name="Save all the same").click()
    page.wait_for_url(f"**/virtual-clusters/{science_ray}")
    assert kube.read("virtualclusters", science_ray)["spec"]["quota"]["cpu"] == "5"
    # Over its quota already: another change of it asks for nothing.
    page.goto(f"/virtual-clusters/{science_ray}/edit")
    page.get_by_label("Workers of main").fill("1")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(f"**/virtual-clusters/{science_ray}")
    assert kube.read("virtualclusters", science_ray)["spec"]["rayClusters"][0]["workers"] == 1


def test_it_says_why_it_would_be_refused_and_which_ray_cluster_finds_no_room(
    page: Page, science_ray: str
) -> None:
    page.goto(f"/virtual-clusters/{science_ray}/edit")
    cpu(page).fill("2")
    page.get_by_role("button", name=PREVIEW).click()
    expect(seen(page)).to_contain_text("Preview: this would be refused")
    expect(seen(page)).to_contain_text(
        "Ray cluster main would find no room (CPU 2.5 cores, memory 6 GiB"
    )
    seen(page).get_by_role("link", name="Ray clusters").click()
    expect(page.locator("#ray:target")).to_contain_text(
        "together they ask for 2500m of cpu", ignore_case=True
    )
    # Smaller Ray clusters in the same form make room for it: the whole form is looked at.
    page.get_by_label("Workers of main").fill("1")
    page.get_by_role("button", name=PREVIEW).click()
    expect(seen(page)).to_contain_text("Preview: this would be accepted")
    expect(seen(page)).not_to_contain_text("would find no room")
    cpu(page).fill("17")
    page.get_by_role("button", name=PREVIEW).click()
    expect(cpu(page)).to_have_attribute("aria-invalid", "true")
    expect(seen(page)).to_contain_text("CPU: 17 asked, 16 free (limit: 16)")
    cpu(page).fill("many")
    page.get_by_role("button", name=PREVIEW).click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
    expect(cpu(page)).to_have_attribute("aria-invalid", "true")


def test_a_change_by_somebody_else_is_told_in_a_preview_too(
    page: Page, kube: Kube, science_ray: str
) -> None:
    page.goto(f"/virtual-clusters/{science_ray}/edit")
    kube.patch("virtualclusters", science_ray, {"spec": {"quota": {"cpu": "7"}}})
    page.get_by_role("button", name=PREVIEW).click()
    expect(page.get_by_role("alert")).to_contain_text("It changed while you were typing")


def test_everybody_can_read_it_also_on_a_phone(page: Page, kube: Kube, science_ray: str) -> None:
    kube.status(science_ray, status_at() | {"used": {"cpu": "7", "memory": "17Gi"}})
    for amount, verdict in (("6", "over its quota"), ("2", "refused")):
        page.set_viewport_size({"width": 375, "height": 720})
        page.goto(f"/virtual-clusters/{science_ray}/edit")
        cpu(page).fill(amount)
        page.get_by_role("button", name=PREVIEW).click()
        expect(seen(page)).to_contain_text(verdict)
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        all_can_use(page)
