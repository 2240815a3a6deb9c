"""The report as its readers meet it: in a real, headless Chromium."""

import re
from itertools import pairwise

import pytest

from tests.enrich.report.browser import chromium, contrast, press, requested, show
from tests.enrich.report.run_tree import build, write_report

OPEN_ALL = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
SHOWN = """return [document.activeElement.id, document.querySelector('#panels img').src,
    document.querySelector('#panels path.reference').getAttribute('d'),
    document.querySelector('#panels path.prediction').getAttribute('d'),
    document.getElementById('slice').getAttribute('aria-valuetext'), document.querySelector('#panels img').alt]"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    return write_report(build(tmp_path_factory.mktemp("run"), patients=4, size=48, slices=8))


@pytest.fixture
def keys():
    return pytest.importorskip("selenium.webdriver").Keys


def column(browser, table, number):
    """Return what a column of a table holds, from top to bottom."""
    cells = f"[...document.querySelectorAll('#{table} tbody tr')].map((row) => row.cells[{number}].innerText)"
    return browser.execute_script(f"return {cells}")


def first_number(text):
    found = re.search(r"\d+\.\d+", text)
    return float(found[0]) if found else None


def test_nothing_is_asked_for_and_nothing_goes_wrong(browser, page):
    requested(browser)
    browser.get_log("browser")
    show(browser, page)
    browser.execute_script(OPEN_ALL)
    assert {address.partition(":")[0] for address in requested(browser)} <= {"file", "data"}
    assert browser.get_log("browser") == []


def test_the_keyboard_reaches_the_slider_and_moves_it(browser, page, keys):
    show(browser, page)
    for _ in range(200):
        press(browser, keys.TAB)
        if browser.execute_script("return document.activeElement.id") == "slice":
            break
    before = browser.execute_script(SHOWN)
    assert before[0] == "slice"
    press(browser, keys.ARROW_RIGHT)
    after = browser.execute_script(SHOWN)
    for old, new in zip(before[1:], after[1:], strict=True):
        assert old != new
    assert re.fullmatch(r"slice \d+ of 8", after[4])
    assert after[4] in after[5]
    press(browser, keys.ARROW_LEFT)
    assert browser.execute_script(SHOWN) == before
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(outline) == "solid"


def test_scan_method_and_overlays_are_chosen(browser, page):
    show(browser, page)
    choose = "const it = document.getElementById('%s'); it.selectedIndex = %d; it.dispatchEvent(new Event('change'))"
    count = "return document.querySelectorAll('#panels img').length"
    assert browser.execute_script(count) == 3  # StarGAN, the first translator, with its two channels
    scores = "return document.getElementById('case-scores').textContent"
    assert browser.execute_script(scores).startswith("StarGAN: DICE ")
    browser.execute_script(choose % ("method", 0))
    assert browser.execute_script(count) == 1
    first = browser.execute_script(SHOWN)
    browser.execute_script(choose % ("scan", 1))
    second = browser.execute_script(SHOWN)
    assert browser.execute_script(scores).startswith("Single: DICE ")  # the method stays
    assert first[1] != second[1]
    browser.find_element("id", "show-prediction").click()
    assert browser.execute_script(SHOWN)[2:4] == [second[2], ""]
    browser.find_element("id", "show-reference").click()
    assert browser.execute_script(SHOWN)[2:4] == ["", ""]


def test_every_scan_and_method_can_be_shown(browser, page):
    show(browser, page)
    browser.get_log("browser")
    broken = browser.execute_script("""
        const [scan, method, slice] = ["scan", "method", "slice"].map((id) => document.getElementById(id));
        const broken = [];
        for (scan.selectedIndex = 0; ; scan.selectedIndex++) {
            scan.dispatchEvent(new Event("change"));
            for (method.selectedIndex = 0; ; method.selectedIndex++) {
                method.dispatchEvent(new Event("change"));
                for (slice.value = 0; ; slice.value++) {
                    slice.dispatchEvent(new Event("input"));
                    for (const image of document.querySelectorAll("#panels img"))
                        if (!image.src.startsWith("data:image/webp") || !image.alt) broken.push(image.alt);
                    if (slice.value === slice.max) break;
                }
                if (method.selectedIndex === method.length - 1) break;
            }
            if (scan.selectedIndex === scan.length - 1) break;
        }
        return broken;""")
    assert broken == []
    assert browser.get_log("browser") == []


def test_a_table_sorts_by_click_and_by_enter(browser, page, keys):
    show(browser, page)
    table = "table-segmentation"
    button = browser.find_elements("css selector", f"#{table} button.sort")[2]
    sort = f"return [...document.querySelectorAll('#{table} th[scope=col]')].map((each) => each.ariaSort)"
    before = column(browser, table, 0)
    assert set(browser.execute_script(sort)) == {"none"}
    button.click()
    values = [first_number(text) for text in column(browser, table, 2)]
    assert values == sorted(values)
    assert browser.execute_script(sort)[:4] == ["none", "none", "ascending", "none"]
    browser.execute_script("arguments[0].focus()", button)
    press(browser, keys.ENTER)
    values = [first_number(text) for text in column(browser, table, 2)]
    assert values == sorted(values, reverse=True)
    assert browser.execute_script(sort)[2] == "descending"
    for _ in range(2):
        browser.find_elements("css selector", f"#{table} button.sort")[3].click()
        values = [first_number(text) for text in column(browser, table, 3)]
        assert values[-1] is None  # what is absent stays last both ways
        assert None not in values[:-1]
    browser.find_elements("css selector", f"#{table} button.sort")[0].click()
    names = column(browser, table, 0)
    assert sorted(names) == sorted(before)
    assert names == sorted(names, key=str.casefold)
    published = browser.execute_script(f"return document.querySelector('#{table} tr.published').innerText")
    assert "Published (Chen et al. 2021, Table 2)" in published


def test_every_picture_has_words(browser, page):
    show(browser, page)
    browser.execute_script(OPEN_ALL)
    pictures = browser.execute_script("return [...document.images].map((image) => [image.alt, image.naturalWidth])")
    assert len(pictures) > 10
    assert all(alt and width for alt, width in pictures)
    drawings = browser.execute_script(
        "return [...document.querySelectorAll('svg')].filter((svg) => svg.ariaHidden !== 'true')"
        ".map((svg) => [svg.getAttribute('role'), svg.ariaLabel])"
    )
    assert len(drawings) > 10
    assert all(role == "img" and label for role, label in drawings)


def test_headings_are_in_order_and_everything_has_a_name(browser, page):
    show(browser, page)
    levels = browser.execute_script("return [...document.querySelectorAll('h1,h2,h3,h4')].map((h) => +h.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    assert browser.execute_script("return document.documentElement.lang") == "en"
    nameless = browser.execute_script(
        "return [...document.querySelectorAll('input, select')].filter((each) => !each.labels.length).length"
    )
    assert nameless == 0


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_only_tables_scroll_sideways(browser, page, width):
    show(browser, page, width)
    browser.execute_script(OPEN_ALL)
    scroll, inner = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert scroll <= inner == width
    inside = "return [...document.querySelectorAll('table')].every((each) => each.closest('.scroll'))"
    assert browser.execute_script(inside)


def test_dark_mode_is_dark_and_both_can_be_read(browser, page):
    grounds = []
    for dark in (False, True):
        show(browser, page, dark=dark)
        ground, *inks = browser.execute_script(
            "return [getComputedStyle(document.body).backgroundColor, ...['body', 'a[href]', '.note', '.good', '.bad',"
            " '.sort', 'svg.plot text'].map((it) => { const style = getComputedStyle(document.querySelector(it));"
            " return it === 'svg.plot text' ? style.fill : style.color; })]"
        )
        assert [ink for ink in inks if contrast(ink, ground) < 4.5] == []
        grounds.append(ground)
    assert contrast(*grounds) > 10


def test_the_first_stop_skips_to_the_content(browser, page, keys):
    show(browser, page)
    press(browser, keys.TAB)
    box = browser.execute_script("return document.activeElement.getBoundingClientRect().toJSON()")
    assert browser.execute_script("return document.activeElement.className") == "skip"
    assert box["left"] >= 0
    press(browser, keys.ENTER)
    assert browser.execute_script("return document.activeElement.id") == "main"
