"""Every page, in both colour schemes and on a phone: structure, names, contrast, size, focus."""

import pytest
from playwright.sync_api import Page, expect

from builders.timeline import status_at
from integration.portal.conftest import Kube

PATHS = (
    "/login",
    "/teams",
    "/teams/science",
    "/teams/idle",
    "/teams/science/quota",
    "/teams/science/quota/edit",
    "/teams/science/quota/ask",
    "/teams/science/quota/history/1",
    "/virtual-clusters",
    "/virtual-clusters/science-ray",
    "/virtual-clusters/science-ray/edit",
    "/virtual-clusters/science-ray/delete",
    "/virtual-clusters/science-ray/yaml",
    "/virtual-clusters/nothing",
)

STRUCTURE = """() => {
  const wrong = [];
  const say = (what, e) => wrong.push(what + ': ' + (e ? e.outerHTML.slice(0, 140) : ''));
  const all = (q) => [...document.querySelectorAll(q)];
  if (document.documentElement.lang !== 'en') say('lang');
  if (!document.title || document.title.startsWith(' ')) say('title');
  if (all('h1').length !== 1) say('one h1');
  for (const tag of ['main', 'header', 'footer']) if (all(`body > ${tag}`).length !== 1) say(tag);
  let level = 0;
  for (const h of all('h1,h2,h3,h4')) {
    const now = Number(h.tagName[1]);
    if (now > level + 1) say('heading level is skipped', h);
    level = now;
  }
  const ids = all('[id]').map((e) => e.id);
  for (const id of ids.filter((i, n) => ids.indexOf(i) !== n)) say('id twice ' + id);
  for (const attribute of ['aria-labelledby', 'aria-describedby', 'for'])
    for (const e of all(`[${attribute}]`))
      for (const id of e.getAttribute(attribute).split(' '))
        if (!document.getElementById(id)) say(`${attribute} leads nowhere`, e);
  const named = (e) => e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim() ||
    e.getAttribute('aria-labelledby');
  for (const e of all('a, button, input:not([type=hidden]), select, summary, [role=meter], nav'))
    if (!named(e)) say('no name', e);
  for (const e of all('table')) {
    if (!e.caption?.textContent.trim()) say('table without caption', e);
    for (const th of e.querySelectorAll('th')) if (!th.scope) say('th without scope', th);
  }
  for (const e of all('img')) if (!e.hasAttribute('alt')) say('img without alt', e);
  for (const e of all('svg.icon')) if (e.getAttribute('aria-hidden') !== 'true') say('icon', e);
  for (const e of all('fieldset')) if (e.firstElementChild?.tagName !== 'LEGEND') say('legend', e);
  for (const e of all('[style], [onclick], body script, style')) say('inline script or style', e);
  for (const e of all('*'))
    for (const name of ['src', 'href', 'action'])
      if (/^(https?:)?\\/\\//.test(e.getAttribute?.(name) || '')) say('another host', e);
  for (const e of all('[tabindex]')) if (e.tabIndex > 0) say('positive tabindex', e);
  return wrong;
}"""

# Computed colours, so that every rule and both schemes are judged as a person sees them.
CONTRAST = """() => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const ink = canvas.getContext('2d', { willReadFrequently: true });
  const parse = (c) => {
    ink.clearRect(0, 0, 1, 1); ink.fillStyle = c; ink.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = ink.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => under.map((u, i) => i < 3 ? top[i] * top[3] + u * (1 - top[3]) : 1);
  const luminance = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const v = c[i] / 255;
    return sum + weight * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  }, 0);
  const ground = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement)
      layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const wrong = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest('.hidden-text, .skip, svg, .meter')) continue;
    const style = getComputedStyle(e);
    const under = ground(e);
    const [a, b] = [luminance(over(parse(style.color), under)), luminance(under)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) wrong.push(`${ratio.toFixed(2)} ${e.outerHTML.slice(0, 120)}`);
  }
  return wrong;
}"""

# WCAG 2.2, 2.5.8: targets of 24 by 24 CSS pixels; links inside sentences are exempt.
TARGETS = """() => [...document.querySelectorAll(
    'button, .button, input:not([type=hidden]), select, summary')]
  .filter((e) => e.checkVisibility() && !e.closest('.skip'))
  .map((e) => [e.closest('label.choice') || e, e])
  .filter(([target]) => {
    const box = target.getBoundingClientRect();
    return box.width < 24 || box.height < 24;
  }).map(([, e]) => e.outerHTML.slice(0, 120))"""

FOCUS = """() => {
  const style = getComputedStyle(document.activeElement);
  const box = document.activeElement.getBoundingClientRect();
  return {
    name: document.activeElement.outerHTML.slice(0, 100),
    outline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight,
    body: document.activeElement === document.body,
  };
}"""


@pytest.fixture
def busy(science_ray: str, kube: Kube) -> str:
    kube.status(science_ray, status_at("operator") | {"used": {"cpu": "7", "memory": "17Gi"}})
    return science_ray


def _open(page: Page, path: str) -> None:
    if path == "/login":
        page.get_by_role("button", name="Sign out").click()
    page.goto(path)
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")


def all_can_use(page: Page) -> None:
    """Its structure, the sizes of what is pressed, and the contrast in both schemes."""
    page.wait_for_load_state()  # a click waits for the new document only, not for its styles
    assert page.evaluate(STRUCTURE) == []
    assert page.evaluate(TARGETS) == []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # both are allowed words
        assert page.evaluate(CONTRAST) == [], scheme


@pytest.mark.parametrize("path", PATHS)
def test_structure_and_contrast(page: Page, busy: str, path: str) -> None:
    _open(page, path)
    all_can_use(page)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_cut_off_on_a_phone(page: Page, busy: str, path: str) -> None:
    page.set_viewport_size({"width": 360, "height": 720})
    _open(page, path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("path", ["/teams/science", "/virtual-clusters/science-ray"])
def test_every_stop_of_the_tab_key_is_seen(page: Page, busy: str, path: str) -> None:
    page.goto(path)
    stops = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUS)
        if found["body"]:
            break
        assert found["outline"], found
        assert found["seen"], found
        stops.add(found["name"])
    assert len(stops) >= 10


def test_motion_stops_when_the_person_asks_for_it(page: Page, busy: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"/virtual-clusters/{busy}")
    moving = page.evaluate(
        "document.getAnimations().filter((a) => a.playState === 'running').length"
    )
    assert moving == 0


def test_a_failed_form_keeps_its_structure(page: Page, busy: str) -> None:
    page.goto("/teams/science")
    page.get_by_role("link", name="New virtual cluster").click()
    page.get_by_label("Name (needed)").fill("Bad_Name")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    all_can_use(page)


def test_the_checks_themselves_see_faults(page: Page) -> None:
    page.evaluate(
        """() => document.querySelector('main').insertAdjacentHTML('beforeend',
          '<h1>again</h1><h4>skipped</h4><input id="x"><table><th>no caption</th></table>' +
          '<p class="muted small faint">faint</p><button class="tiny">x</button>')"""
    )
    page.evaluate(
        """() => {
          document.querySelector('.faint').style.color = 'rgb(200, 200, 200)';
          const tiny = document.querySelector('.tiny').style;
          tiny.font = '6px serif'; tiny.padding = '0'; tiny.width = '10px';
        }"""
    )
    structure = " ".join(page.evaluate(STRUCTURE))
    for fault in (
        "one h1",
        "heading level",
        "no name",
        "table without caption",
        "th without scope",
    ):
        assert fault in structure
    assert any("faint" in found for found in page.evaluate(CONTRAST))
    assert any("tiny" in found for found in page.evaluate(TARGETS))
