"""The page in a real browser: filters, order, cards, evidence, phone width; and broken pages that must fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import chromium
import pytest
from report_samples import GENERATED, MARKUP_TITLE, samples

from l2o_theory.report import write_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        chromium.executable() is None, reason="no chromium on this machine; install the package chromium"
    ),
]

STABLE, ALWAYS, SLOPE = "step_size/contraction/stable", "step_size/contraction/always", "step_size/logarithm/slope"
ROWS = "[...document.querySelectorAll('#claims tbody tr')].filter(row => row.getClientRects().length)"
SHOWN = f"{ROWS}.map(row => row.dataset.id)"
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
OPEN_ALL = "document.querySelectorAll('details').forEach(item => item.open = true)"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Page]:
    program = chromium.executable()
    assert program is not None
    with chromium.Page(program, tmp_path_factory.mktemp("profile")) as opened:
        opened.resize(1280)
        yield opened


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a folder")
    verdicts, claims = samples()
    (folder / "evidence").mkdir()
    (folder / "evidence" / "stable.json").write_text(json.dumps(verdicts[0].to_json()))
    links = {STABLE: ["evidence/stable.json"]}
    return write_report(verdicts, claims, folder / "report.html", evidence_links=links, generated=GENERATED)


def altered(report: Path, change: Callable[[str], str]) -> str:
    """The address of a broken variant of the page."""
    text = report.read_text(encoding="utf-8")
    assert change(text) != text
    variant = report.with_name("variant.html")
    variant.write_text(change(text), encoding="utf-8")
    return variant.as_uri()


def without_policy(text: str) -> str:
    """The page as it would be if nothing but escaping stood between a title and the browser."""
    return text.replace("http-equiv", "data-off", 1)


def filters_by_text(page: chromium.Page, address: str) -> None:
    page.open(address)
    assert len(page.value(SHOWN)) == 9
    page.type("#q", "SLOPE log")
    assert page.value(SHOWN) == [SLOPE, "step_size/theorem4/box"]
    assert page.value("document.querySelector('#count').textContent") == "2 of 9 claims shown"


def filters_by_verdict(page: chromium.Page, address: str) -> None:
    page.open(address)
    page.click(".chip[data-verdict=FALSIFIED]")
    assert page.value(SHOWN) == [ALWAYS, SLOPE]
    page.click(".chip[data-verdict=PROVED]")
    assert page.value(SHOWN) == [STABLE, ALWAYS, SLOPE]
    page.click(".chip[data-verdict=FALSIFIED]")
    assert page.value(SHOWN) == [STABLE]


def markup_stays_text(page: chromium.Page, address: str) -> None:
    page.open(address)
    assert page.value("window.injected") is None
    assert page.value("document.querySelectorAll('script').length") == 1
    titles = page.value("[...document.querySelectorAll('tbody .c-title a')].map(link => link.textContent)")
    assert MARKUP_TITLE in titles


def fits_the_phone(page: chromium.Page, address: str) -> None:
    page.resize(390)
    try:
        page.open(address)
        for _ in range(2):
            scroll, width = page.value(WIDTHS)
            assert (scroll, width) == (390, 390)
            page.value(OPEN_ALL)
            page.settle()
    finally:
        page.resize(1280)


def is_silent(page: chromium.Page, address: str) -> None:
    """No request but the page itself, no message, no error, also while it is used."""
    page.open(address)
    page.type("#q", "loss")
    page.click("[data-sort=margin]")
    page.value(OPEN_ALL)
    page.settle()
    assert page.complaints == []
    assert page.requests == [address]


CHECKS = [filters_by_text, filters_by_verdict, markup_stays_text, fits_the_phone, is_silent]


@pytest.mark.parametrize("check", CHECKS)
def test_the_page_passes(page: chromium.Page, report: Path, check: Callable[[chromium.Page, str], None]) -> None:
    check(page, report.as_uri())


@pytest.mark.parametrize(
    ("check", "fault"),
    [
        (filters_by_text, lambda text: text.replace("words.every(", "words.some(")),  # one character off: the policy
        (filters_by_text, lambda text: without_policy(text).replace("words.every(", "words.some(")),
        (filters_by_text, lambda text: without_policy(text).replace("row.hidden =", "row.hiden =")),
        (
            filters_by_verdict,
            lambda text: without_policy(text).replace("verdicts.includes(data", "!verdicts.includes(data"),
        ),
        (markup_stays_text, lambda text: text.replace("&lt;", "<").replace("&gt;", ">")),
        (markup_stays_text, lambda text: without_policy(text).replace("&lt;", "<").replace("&gt;", ">")),
        (fits_the_phone, lambda text: text.replace("<main>", "<main><p style='width: 30rem'>wide</p>")),
        (fits_the_phone, lambda text: text.replace(".box { overflow-x: auto;", ".box { overflow-x: visible;")),
        (is_silent, lambda text: without_policy(text).replace("<main>", "<main><img src='http://127.0.0.1:9/x.png'>")),
        (is_silent, lambda text: text.replace("<main>", "<main><img src='http://127.0.0.1:9/x.png'>")),
        (is_silent, lambda text: without_policy(text).replace("  read();", "  read(); nowhere();")),
    ],
)
def test_a_broken_page_is_caught(page: chromium.Page, report: Path, check, fault) -> None:
    address = altered(report, fault)
    with pytest.raises(AssertionError):
        check(page, address)


def test_area_kind_and_surprise_filters(page: chromium.Page, report: Path) -> None:
    page.open(report.as_uri())
    choose = "((id, value) => {{ const field = document.getElementById(id); field.value = value; "
    choose += "field.dispatchEvent(new Event('input', {{bubbles: true}})); }})({!r}, {!r})"
    page.value(choose.format("area", "step_size/contraction"))
    assert page.value(SHOWN) == [STABLE, ALWAYS]
    page.value(choose.format("kind", "rate"))
    assert page.value(SHOWN) == [ALWAYS]
    page.click("#surprising")
    assert page.value(SHOWN) == []
    assert page.value("document.querySelector('#empty').innerText").startswith("No claim matches.")
    page.click("#clear-empty")
    assert len(page.value(SHOWN)) == 9
    page.click("#surprising")
    assert page.value(SHOWN) == [SLOPE, "step_size/theorem3/unique"]


def test_the_address_keeps_the_view(page: chromium.Page, report: Path) -> None:
    page.open(report.as_uri())
    page.type("#q", "step")
    page.click(".chip[data-verdict=FALSIFIED]")
    page.click("[data-sort=margin]")
    before = page.value(SHOWN)
    address = page.value("location.href")
    assert unquote(address.partition("#")[2]) == "q=step&verdict=FALSIFIED&sort=margin"
    page.open(address)
    assert page.value(SHOWN) == before
    assert page.value("document.querySelector('#q').value") == "step"


def test_columns_sort_up_down_and_back(page: chromium.Page, report: Path) -> None:
    page.open(report.as_uri())
    original = page.value(SHOWN)
    margins = f"{ROWS}.map(row => row.querySelector('.c-margin').dataset.key)"
    page.click("[data-sort=margin]")
    up = [float(text) for text in page.value(margins) if text]
    assert up == sorted(up)
    assert len(up) == 5
    assert page.value("document.querySelector('th.c-margin').ariaSort") == "ascending"
    page.click("[data-sort=margin]")
    down = [float(text) for text in page.value(margins) if text]
    assert down == up[::-1]
    page.click("[data-sort=margin]")
    assert page.value(SHOWN) == original
    page.click("[data-sort=verdict]")
    statuses = page.value(f"{ROWS}.map(row => row.dataset.verdict)")
    assert statuses[0] == "PROVED"
    assert statuses[-1] == "OUT_OF_SCOPE"


def test_rows_without_a_number_come_last_in_both_directions(page: chromium.Page, report: Path) -> None:
    page.open(report.as_uri())
    for _ in range(2):
        page.click("[data-sort=margin]")
        assert page.value(f"{ROWS}.slice(-4).map(row => row.querySelector('.c-margin').innerText)") == ["–"] * 4


def test_a_row_opens_its_card_and_back_returns(page: chromium.Page, report: Path) -> None:
    page.open(report.as_uri())
    page.type("#q", "shrinks")
    page.click(f"tr[data-id='{ALWAYS}'] a")
    card = f"document.getElementById('{ALWAYS}')"
    assert page.value(f"{card}.open")
    top = page.value(f"{card}.getBoundingClientRect().top")
    assert 0 <= top < 450  # the card's head is in the upper half of the view
    text = page.value(f"{card}.innerText")
    assert "Counterexample".lower() in text.lower()
    assert "violated" in text
    page.click(f"details[id='{ALWAYS}'] a[href='#{STABLE}']")  # to the claim that corrects it, which the filter hides
    assert page.value(f"document.getElementById('{STABLE}').open")
    assert page.value(f"document.getElementById('{STABLE}').getClientRects().length") == 1
    page.value(
        "new Promise(done => { addEventListener('popstate', done, {once: true}); history.back(); }).then(() => 1)"
    )
    assert page.value("new URLSearchParams(location.hash.slice(1)).get('claim')") == ALWAYS
    assert page.value("document.querySelector('#q').value") == "shrinks"


def test_a_plain_link_to_a_claim_opens_its_card(page: chromium.Page, report: Path) -> None:
    page.open(f"{report.as_uri()}#{STABLE}")
    assert page.value(f"document.getElementById('{STABLE}').open")


def test_the_keyboard_is_enough(page: chromium.Page, report: Path) -> None:
    page.open(report.as_uri())
    page.value("document.querySelector('.chip[data-verdict=CERTIFIED]').focus()")
    page.press(" ")
    assert page.value(SHOWN) == ["step_size/theorem4/box"]
    page.value("document.querySelector('tbody tr:not([hidden]) a').focus()")
    page.press("Enter")
    assert page.value("document.getElementById('step_size/theorem4/box').open")
    assert page.value("document.activeElement.tagName") == "SUMMARY"


def test_an_evidence_link_leads_to_its_file(page: chromium.Page, report: Path) -> None:
    page.open(f"{report.as_uri()}#{STABLE}")
    page.click(f"details[id='{STABLE}'] a.evidence", leaves=True)
    assert page.value("location.pathname").endswith("/evidence/stable.json")
    stored = json.loads(page.value("document.body.innerText"))
    assert stored["claim"] == STABLE
    assert stored["status"] == "PROVED"


CONTRAST = """(() => {
  const channel = value => value / 255 <= .03928 ? value / 255 / 12.92 : ((value / 255 + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const parse = text => text.match(/[0-9.]+/g).map(Number);
  const ground = item => { for (; item; item = item.parentElement) {
    const color = parse(getComputedStyle(item).backgroundColor); if (color.length < 4 || color[3]) return color; } };
  const bad = [];
  for (const item of document.querySelectorAll('body *')) {
    const words = [...item.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!words || !item.getClientRects().length || item.closest('svg, script, .hidden')) continue;
    const pair = [light(parse(getComputedStyle(item).color)), light(ground(item))].sort((a, b) => a - b);
    const ratio = (pair[1] + .05) / (pair[0] + .05);
    if (ratio < 4.5) bad.push([item.className, item.textContent.slice(0, 30), ratio]);
  }
  return bad;
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_has_enough_contrast(page: chromium.Page, report: Path, dark: bool) -> None:
    # 4.5 is the ratio that WCAG 2 asks of normal text.
    page.resize(1280, dark=dark)
    try:
        page.open(report.as_uri())
        page.value(OPEN_ALL)
        page.click(".chip[data-verdict=PROVED]")
        page.click(".chip[data-verdict=PROVED]")
        assert page.value(CONTRAST) == []
        page.value("document.documentElement.style.setProperty('--muted', 'rgb(128, 128, 128)')")
        assert len(page.value(CONTRAST)) > 10
    finally:
        page.resize(1280)


def test_every_control_has_a_name(page: chromium.Page, report: Path) -> None:
    page.open(report.as_uri())
    unnamed = "[...document.querySelectorAll('input, select, button, a, summary, [role=region]')].filter(item => "
    unnamed += "!(item.labels?.length || item.ariaLabel || item.textContent.trim())).length"
    assert page.value(unnamed) == 0
    page.value("document.querySelector('#q').closest('label').replaceWith(document.querySelector('#q'))")
    assert page.value(unnamed) == 1


def test_printing_opens_every_card(page: chromium.Page, report: Path) -> None:
    page.open(report.as_uri())
    page.value("dispatchEvent(new Event('beforeprint')) && 1")
    assert page.value("[...document.querySelectorAll('details')].every(item => item.open)")
    page.value("dispatchEvent(new Event('afterprint')) && 1")
    assert page.value("[...document.querySelectorAll('details')].some(item => item.open)") is False
