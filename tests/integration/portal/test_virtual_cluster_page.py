"""The page of a virtual cluster: live, right after a reload, honest when something is away."""

import re

from playwright.sync_api import Page, expect

from atoll.contract.ray import RayClusterRead, RayJobRead
from builders.timeline import ALL, ago, place, status_at, where
from integration.portal.conftest import TOKEN, Gateway, Kube, Portal


def test_the_timeline_moves_without_a_reload_and_is_right_after_one(
    page: Page, kube: Kube, science_ray: str
) -> None:
    page.goto(f"/virtual-clusters/{science_ray}")
    state = page.get_by_role("region", name="State", exact=True)
    expect(state).to_contain_text("Accepted; a worker takes it next")
    expect(page.locator("#live")).to_have_text("Live")
    page.evaluate("window.stillTheSamePage = true")

    kube.status(science_ray, status_at("operator"))
    expect(state).to_contain_text(re.compile(rf"Installing KubeRay, {where('operator')}, \d+ s"))
    expect(state).to_contain_text("0 of 1 ready")
    expect(page.locator("[data-step=operator]")).to_have_attribute("aria-current", "step")
    expect(page.locator("[data-step=redis]")).to_contain_text("Done:")
    expect(page.locator("[data-step=redis]")).to_contain_text("2 s")
    expect(page.locator("[data-step=probe]")).to_contain_text("Waiting")
    before = state.inner_text()
    expect(state).not_to_have_text(before)  # the seconds go on by themselves

    kube.status(science_ray, status_at("queue"))
    expect(state).to_contain_text(f"Setting up the team's queue, {where('queue')}")
    expect(page.get_by_role("status").last).to_contain_text("Setting up the team's queue")
    assert page.evaluate("window.stillTheSamePage")

    page.reload()
    expect(state).to_contain_text(f"Setting up the team's queue, {where('queue')}")
    kube.status(science_ray, status_at())
    expect(state).to_contain_text("Ready to use for")
    expect(page.locator("#way")).to_contain_text(f"{ALL} of {ALL} steps done")


def test_without_javascript_the_page_says_the_same(
    page: Page, kube: Kube, science_ray: str, portal: Portal
) -> None:
    kube.status(science_ray, status_at("operator"))
    cookies = page.context.cookies()
    browser = page.context.browser
    assert browser
    context = browser.new_context(base_url=portal.url, java_script_enabled=False)
    context.add_cookies(cookies)  # type: ignore[arg-type]  # what one context gives, another takes
    plain = context.new_page()
    plain.goto(f"/virtual-clusters/{science_ray}")
    expect(plain.get_by_role("region", name="State", exact=True)).to_contain_text(
        f"Installing KubeRay, {where('operator')}"
    )
    expect(plain.locator("#live")).to_be_hidden()
    expect(plain.get_by_role("button", name="Copy kubeconfig")).to_be_hidden()
    plain.get_by_role("link", name="Delete").click()
    expect(plain.get_by_role("button", name=f"Delete {science_ray}")).to_be_visible()
    context.close()


def test_conditions_and_failures_are_told_in_words(
    page: Page, kube: Kube, science_ray: str
) -> None:
    kube.status(
        science_ray, status_at("operator", failed="kuberay-operator 1.6.2: the repository says 404")
    )
    page.goto(f"/virtual-clusters/{science_ray}")
    state = page.get_by_role("region", name="State", exact=True)
    expect(state).to_contain_text(f"Failed: installing KubeRay, {where('operator')}")
    expect(state).to_contain_text("the repository says 404")
    row = page.locator("[data-condition=OperatorReady]")
    expect(row).to_contain_text("KubeRay is running")
    expect(row).to_contain_text("No")
    expect(row).to_contain_text("A chart cannot be found")
    waits = page.locator("[data-condition=QueueReady]")
    expect(waits).to_contain_text("The Kubernetes API of the virtual cluster answers")
    page.get_by_text(f"{place('operator')} more statements that hold").click()
    expect(page.locator("[data-condition=RedisReady]")).to_contain_text("Yes")


def test_open_details_and_focus_survive_an_update(page: Page, kube: Kube, science_ray: str) -> None:
    kube.status(science_ray, status_at("operator"))
    page.goto(f"/virtual-clusters/{science_ray}")
    expect(page.locator("#live")).to_have_text("Live")
    page.get_by_text(f"{place('operator')} more statements that hold").click()
    page.get_by_role("link", name="Delete").focus()
    kube.status(science_ray, status_at("scheduler"))
    expect(page.get_by_role("region", name="State", exact=True)).to_contain_text(where("scheduler"))
    expect(page.locator("#conditions-held")).to_have_attribute("open", "")
    expect(page.get_by_role("link", name="Delete")).to_be_focused()


def test_a_page_that_nobody_sees_holds_no_stream_and_catches_up(
    page: Page, kube: Kube, science_ray: str
) -> None:
    kube.status(science_ray, status_at("control-plane"))
    page.goto(f"/virtual-clusters/{science_ray}")
    expect(page.locator("#live")).to_have_text("Live")
    show = """hidden => {
      Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }"""
    page.evaluate(show, True)
    kube.status(science_ray, status_at("access"))
    page.wait_for_timeout(1500)
    state = page.get_by_role("region", name="State", exact=True)
    expect(state).to_contain_text(where("control-plane"))
    page.evaluate(show, False)
    expect(state).to_contain_text(where("access"))


def test_a_lost_stream_says_so_and_comes_back(
    page: Page, kube: Kube, science_ray: str, portal: Portal
) -> None:
    kube.status(science_ray, status_at("control-plane"))
    page.goto(f"/virtual-clusters/{science_ray}")
    expect(page.locator("#live")).to_have_text("Live")
    portal.stop()
    expect(page.locator("#live")).to_contain_text("reconnecting")
    kube.status(science_ray, status_at("access"))
    portal.start()
    expect(page.locator("#live")).to_have_text("Live", timeout=20_000)
    expect(page.get_by_role("region", name="State", exact=True)).to_contain_text(
        f"Opening access, {where('access')}"
    )


def test_quota_bars_warn_and_hatch(page: Page, kube: Kube, science_ray: str) -> None:
    used = {"cpu": "6500m", "memory": "17Gi"}
    kube.status(science_ray, status_at() | {"used": used, "nodes": ["host-0", "host-1"]})
    page.goto(f"/virtual-clusters/{science_ray}")
    cpu = page.get_by_role("meter", name="CPU")
    expect(cpu).to_have_attribute(
        "aria-valuetext", "6.5 of 8 cores used, 81 %, Only 1.5 cores left"
    )
    expect(cpu).to_contain_text("6.5 of 8 cores used")
    memory = page.get_by_role("meter", name="Memory")
    expect(memory).to_contain_text("106 %")
    expect(memory.locator("pattern")).to_have_count(1)
    expect(page.locator("#quota")).to_contain_text("1 GiB over the limit")
    expect(page.get_by_role("list", name="Nodes it owns")).to_contain_text("host-1")


def test_times_are_local_with_utc_on_hover(page: Page, kube: Kube, science_ray: str) -> None:
    page.goto(f"/virtual-clusters/{science_ray}")
    made = page.locator("#facts time").first
    assert re.fullmatch(r"\d\d:\d\d:\d\d", made.inner_text())
    assert re.search(r"\d\d:\d\d:\d\d UTC$", made.get_attribute("title") or "")
    utc = (made.get_attribute("title") or "").split(", ")[1].removesuffix(" UTC")
    assert made.inner_text()[:2] != utc[:2]  # the browser is in Berlin
    assert made.inner_text()[3:] == utc[3:]


def test_kubeconfig_can_be_copied_and_downloaded(page: Page, science_ray: str) -> None:
    page.goto(f"/virtual-clusters/{science_ray}")
    page.get_by_role("button", name="Copy kubeconfig").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download kubeconfig").click()
    text = download.value.path().read_text()
    assert copied == text
    assert f"http://atoll.test/v1/virtual-clusters/{science_ray}/kubernetes" in text
    assert TOKEN not in text
    assert "token:" not in text
    page.get_by_text("Same by CLI").click()
    expect(page.get_by_role("main")).to_contain_text(
        f"atoll job submit --vc {science_ray} --cluster main"
    )


def test_ray_is_shown_and_its_absence_is_told(
    page: Page, kube: Kube, science_ray: str, gateway: Gateway
) -> None:
    kube.status(science_ray, status_at())
    gateway.answers.clear()
    page.goto(f"/virtual-clusters/{science_ray}")
    expect(page.locator("#ray-clusters")).to_contain_text("cannot be reached right now")

    root = f"/v1/virtual-clusters/{science_ray}"
    cluster = RayClusterRead(
        name="main", namespace="ray", state="ready", workers=2, ready_workers=1,
        fault_tolerant=True, from_spec=True, proxy=f"{root}/ray-clusters/main/proxy/",
    )  # fmt: skip
    job = RayJobRead(
        name="words",
        cluster="main",
        status="RUNNING",
        entrypoint="python words.py",
        started_at=ago(9),
    )
    gateway.answers[f"{root}/ray-clusters"] = (200, f'{{"items": [{cluster.model_dump_json()}]}}')
    gateway.answers[f"{root}/ray-jobs"] = (200, f'{{"items": [{job.model_dump_json()}]}}')
    gateway.answers[f"{root}/ray-jobs/words"] = (200, job.model_dump_json())
    gateway.answers[f"{root}/ray-jobs/words/logs"] = (200, "counted <b>12</b> words\n")
    # No reload: the page asks again by itself.
    expect(page.locator("#ray-clusters")).to_contain_text("1 of 2")
    expect(page.locator("#address-main")).to_have_text(f"{root}/ray-clusters/main/proxy/")
    page.set_viewport_size({"width": 375, "height": 720})
    for label in ("Workers ready", "Ray", "Address for Ray's tools"):
        cell = page.locator(f'#ray-clusters td[data-label="{label}"]')
        expect(cell).to_be_visible()
        shown = cell.evaluate("e => getComputedStyle(e, '::before').content")
        assert shown == f'"{label}: "', "a phone shows no head of the table"
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.set_viewport_size({"width": 1280, "height": 720})
    wide = page.locator('#ray-clusters td[data-label="Ray"]')
    assert wide.evaluate("e => getComputedStyle(e, '::before').content") == "none"
    page.get_by_role("link", name="words").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("words")
    expect(page.locator("#log")).to_contain_text("counted <b>12</b> words")
    assert "atoll_session" in gateway.asked[-1][1].get(
        "cookie", gateway.asked[-1][1].get("Cookie", "")
    )

    done = job.model_copy(update={"status": "SUCCEEDED", "ended_at": ago(0)})
    gateway.answers[f"{root}/ray-jobs/words"] = (200, done.model_dump_json())
    expect(page.locator("#status")).to_have_text("Succeeded")


def test_yaml_is_the_object_of_the_api(page: Page, science_ray: str) -> None:
    page.goto(f"/virtual-clusters/{science_ray}")
    page.get_by_role("link", name="View as YAML").click()
    expect(page.locator("#yaml")).to_contain_text("replicaSets:\n    4c8g: 2")
