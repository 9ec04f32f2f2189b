"""Changing and deleting a virtual cluster from its pages."""

from playwright.sync_api import Page, expect

from builders.timeline import status_at
from integration.portal.conftest import Kube


def test_quota_and_workers_can_be_changed_while_a_worker_writes_status(
    page: Page, kube: Kube, science_ray: str
) -> None:
    page.goto(f"/virtual-clusters/{science_ray}")
    page.get_by_role("link", name="Change").click()
    expect(page.get_by_role("textbox", name="CPU", exact=True)).to_have_value("8")
    expect(page.get_by_text("16 cores of the team's 16 cores can be had.")).to_be_visible()
    page.get_by_role("textbox", name="CPU", exact=True).fill("10")
    page.get_by_label("Workers of main").fill("3")
    kube.status(science_ray, status_at("nodes"))  # a new revision, the same wish
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(f"**/virtual-clusters/{science_ray}")
    spec = kube.read("virtualclusters", science_ray)["spec"]
    assert spec["quota"] == {"cpu": "10", "memory": "16Gi"}
    assert spec["rayClusters"][0]["workers"] == 3
    assert spec["replicaSets"] == {"4c8g": 2}


def test_a_wrong_change_is_told_at_its_field(page: Page, kube: Kube, science_ray: str) -> None:
    page.goto(f"/virtual-clusters/{science_ray}/edit")
    page.get_by_role("textbox", name="Memory", exact=True).fill("64Gi")
    page.get_by_label("Workers of main").fill("-1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Workers of main")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Workers of main").fill("2")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("textbox", name="Memory", exact=True)).to_have_attribute(
        "aria-invalid", "true"
    )
    expect(page.get_by_role("alert")).to_contain_text("64Gi asked, 32Gi free")
    assert kube.read("virtualclusters", science_ray)["spec"]["quota"]["memory"] == "16Gi"


def test_a_change_by_somebody_else_is_told_and_can_be_overridden(
    page: Page, kube: Kube, science_ray: str
) -> None:
    page.goto(f"/virtual-clusters/{science_ray}/edit")
    page.get_by_role("textbox", name="CPU", exact=True).fill("6")
    kube.patch("virtualclusters", science_ray, {"spec": {"quota": {"cpu": "7"}}})
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("It changed while you were typing")
    expect(page.locator("#differs")).to_contain_text("CPU: now 7, yours 6")
    expect(page.get_by_role("textbox", name="CPU", exact=True)).to_have_value("6")
    assert kube.read("virtualclusters", science_ray)["spec"]["quota"]["cpu"] == "7"
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(f"**/virtual-clusters/{science_ray}")
    assert kube.read("virtualclusters", science_ray)["spec"]["quota"]["cpu"] == "6"


def test_deletion_names_what_goes_asks_and_then_shows_the_way(
    page: Page, kube: Kube, science_ray: str
) -> None:
    kube.status(science_ray, status_at() | {"namespace": f"vc-{science_ray}"})
    page.goto(f"/virtual-clusters/{science_ray}")
    page.get_by_role("link", name="Delete").click()
    main = page.get_by_role("main")
    expect(main).to_contain_text("This goes, and cannot be brought back")
    expect(main).to_contain_text(f"The host namespace vc-{science_ray}")
    expect(main).to_contain_text("main")
    expect(main).to_contain_text("CPU 8 cores, memory 16 GiB")
    page.get_by_role("link", name="Keep it").click()
    page.wait_for_url(f"**/virtual-clusters/{science_ray}")
    assert "deletionTimestamp" not in kube.read("virtualclusters", science_ray)["metadata"]

    page.get_by_role("link", name="Delete").click()
    kube.status(science_ray, {"failures": 1})  # a new revision in between does not matter
    page.get_by_role("button", name=f"Delete {science_ray}").click()
    page.wait_for_url(f"**/virtual-clusters/{science_ray}")
    assert "deletionTimestamp" in kube.read("virtualclusters", science_ray)["metadata"]
    expect(page.get_by_role("region", name="State", exact=True)).to_contain_text(
        "Deletion was asked for"
    )
    expect(page.get_by_role("link", name="Change")).to_have_count(0)

    # The worker finishes: the page of what is gone leads on to the team by itself.
    kube.patch("virtualclusters", science_ray, {"metadata": {"finalizers": None}})
    page.wait_for_url("**/teams/science")


def test_a_new_one_of_the_same_name_is_not_deleted_by_an_old_page(
    page: Page, kube: Kube, science_ray: str
) -> None:
    page.goto(f"/virtual-clusters/{science_ray}/delete")
    spec = kube.read("virtualclusters", science_ray)["spec"]
    kube.forget(science_ray)
    body = {"apiVersion": "atoll.dev/v1alpha1", "kind": "VirtualCluster", "spec": spec}
    kube.create(
        "/apis/atoll.dev/v1alpha1/virtualclusters", {**body, "metadata": {"name": science_ray}}
    )
    page.get_by_role("button", name=f"Delete {science_ray}").click()
    expect(page.get_by_role("alert")).to_contain_text("It was not deleted")
    assert kube.exists("virtualclusters", science_ray)
