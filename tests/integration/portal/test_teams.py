"""The pages of teams and the form that creates a virtual cluster."""

from playwright.sync_api import Page, expect

from integration.portal.conftest import Kube


def _open_form(page: Page) -> None:
    page.goto("/teams/science")
    page.get_by_role("link", name="New virtual cluster").click()
    expect(page.get_by_label("Name (needed)")).to_be_focused()


def test_the_list_shows_quota_members_and_clusters(page: Page, science_ray: str) -> None:
    page.goto("/teams")
    card = page.get_by_role("region", name="Science")
    expect(card).to_contain_text("science, 1 member, 1 virtual cluster")
    expect(card).to_contain_text("8 of 16 cores reserved")
    expect(card.get_by_role("meter", name="CPU")).to_have_attribute("aria-valuenow", "50")
    card.get_by_role("link", name=science_ray).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(science_ray)


def test_an_idle_team_is_told_what_to_do(page: Page) -> None:
    page.goto("/teams/idle")
    main = page.get_by_role("main")
    expect(main).to_contain_text("A virtual cluster is a Kubernetes of the team's own")
    expect(main).to_contain_text("atoll vc create idle-ray --team idle")
    expect(main).to_contain_text("No quota is set")
    expect(page.get_by_label("Name (needed)")).to_be_visible()


def test_wrong_input_is_told_at_its_field_and_kept(page: Page) -> None:
    _open_form(page)
    page.get_by_label("Name (needed)").fill("Bad_Name")
    page.get_by_role("textbox", name="CPU", exact=True).fill("lots")
    page.get_by_label("Nodes 4c8g").fill("9")
    page.get_by_role("button", name="Create", exact=True).click()

    alert = page.get_by_role("alert")
    expect(alert).to_be_focused()
    expect(alert).to_contain_text("was not created")
    cpu = page.get_by_role("textbox", name="CPU", exact=True)
    expect(cpu).to_have_value("lots")
    expect(cpu).to_have_attribute("aria-invalid", "true")
    assert "is not a quantity" in _described(page, "quota.cpu")
    alert.get_by_role("link", name="CPU").click()
    expect(cpu).to_be_focused()

    cpu.fill("4")
    page.get_by_role("textbox", name="Memory", exact=True).fill("8Gi")
    page.get_by_role("button", name="Create", exact=True).click()
    assert "is not a DNS label" in _described(page, "name")
    page.get_by_label("Name (needed)").fill("too-many-nodes")
    page.get_by_role("button", name="Create", exact=True).click()
    assert "9 nodes of template '4c8g' asked, the host has 3" in _described(page, "nodes.4c8g")


def _described(page: Page, field: str) -> str:
    """What a screen reader says after the name of the field, which was found to be wrong."""
    expect(page.locator(f"[id='{field}']")).to_have_attribute("aria-invalid", "true")
    page.wait_for_load_state()
    return str(
        page.evaluate(
            """id => (document.getElementById(id).getAttribute('aria-describedby') || '').split(' ')
                 .map(i => document.getElementById(i)?.textContent || '').join(' ')""",
            field,
        )
    )


def test_more_than_the_quota_leaves_is_refused_with_the_numbers(
    page: Page, kube: Kube, science_ray: str
) -> None:
    _open_form(page)
    page.get_by_label("Name (needed)").fill("too-big")
    page.get_by_role("textbox", name="CPU", exact=True).fill("9")
    page.get_by_role("textbox", name="Memory", exact=True).fill("8Gi")
    page.get_by_label("Nodes 4c8g").fill("1")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("textbox", name="CPU", exact=True)).to_have_attribute(
        "aria-invalid", "true"
    )
    said = _described(page, "quota.cpu")
    assert "9 asked, 8 free" in said
    assert "limit: 16" in said
    assert not kube.exists("virtualclusters", "too-big")


def test_preview_writes_nothing_and_create_leads_to_the_page(
    page: Page, kube: Kube, cleanup: list[str]
) -> None:
    cleanup.append("by-form")
    _open_form(page)
    expect(page.get_by_text("3 of 3 are free.")).to_be_visible()
    page.get_by_label("Name (needed)").fill("by-form")
    page.get_by_role("textbox", name="CPU", exact=True).fill("4")
    page.get_by_role("textbox", name="Memory", exact=True).fill("24Gi")
    page.get_by_label("Nodes 4c8g").fill("1")
    page.get_by_label("Workers").fill("2")
    page.get_by_role("button", name="Preview").click()
    preview = page.get_by_role("status").filter(has_text="Preview")
    expect(preview).to_contain_text("Nothing has been written")
    expect(preview).to_contain_text("24 of 32 GiB reserved afterwards")
    expect(preview).to_contain_text("Only 8 GiB left")
    assert not kube.exists("virtualclusters", "by-form")

    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url("**/virtual-clusters/by-form")
    expect(page.get_by_role("region", name="State", exact=True)).to_contain_text(
        "Accepted; a worker takes it next"
    )
    made = kube.read("virtualclusters", "by-form")["spec"]
    assert made["team"] == "science"
    assert made["quota"] == {"cpu": "4", "memory": "24Gi"}
    assert made["replicaSets"] == {"4c8g": 1}
    assert [(r["name"], r["workers"]) for r in made["rayClusters"]] == [("main", 2)]


def test_the_form_can_be_filled_by_keyboard_alone(
    page: Page, kube: Kube, cleanup: list[str]
) -> None:
    cleanup.append("keys")
    page.goto("/teams/science")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    for _ in range(4):
        if page.evaluate("document.activeElement.textContent.trim()") == "New virtual cluster":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name (needed)")).to_be_focused()
    page.keyboard.type("keys")
    for wanted, text in (("nodes.4c8g", "1"), ("quota.cpu", "2"), ("quota.memory", "8Gi")):
        for _ in range(6):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == wanted:
                break
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.wait_for_url("**/virtual-clusters/keys")
    assert kube.read("virtualclusters", "keys")["spec"]["quota"] == {"cpu": "2", "memory": "8Gi"}
