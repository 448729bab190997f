"""The page in a real browser: charts are drawn, labels follow the mouse and the keys, texts stay texts."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from chromium import Chromium, program
from html_samples import EVERY_INJECTION, measured, renamed
from report_samples import SAMPLES

from loadtool.report.html.page import render
from loadtool.report.text import clean

PROGRAM = program()
pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="chromium is not on PATH"),
    pytest.mark.timeout(300),  # a browser on a machine that others use
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture
def full(browser: Chromium, pages: Path) -> Chromium:
    """A browser that shows a page with every chart but that of retries, unzoomed; opened once for many."""
    file = pages / "full.html"
    if browser.value("location.href") != file.as_uri():
        browser.open(written(pages, "full", render(measured())))
    browser.value("document.getElementById('reset').click()")
    browser.point(1, 1)
    return browser


def written(pages: Path, name: str, text: str) -> Path:
    file = pages / f"{name}.html"
    file.write_text(text, encoding="utf-8", errors="backslashreplace")
    return file


def area(browser: Chromium, chart: str) -> tuple[float, float, float, float]:
    """Where the plot of a chart is, once it is in the middle of the window: left, top, width, height."""
    browser.value(
        f"document.getElementById('plot-{chart}').scrollIntoView({{block: 'center', behavior: 'instant'}})"
    )
    left, top, width, height = browser.value(
        f"(() => {{ const b = document.querySelector('#plot-{chart} .nsewdrag').getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height]; })()"
    )
    return left, top, width, height


def label(browser: Chromium, chart: str, has: str) -> str:
    """What the label that pointing shows says, once it has this in it."""
    script = (
        f"[...document.querySelectorAll('#plot-{chart} .hoverlayer text')].map(t => t.textContent).join('|')"
    )
    browser.wait_for(f"{script}.includes({json.dumps(has)})")
    return str(browser.value(script))


def ranges(browser: Chromium) -> list[list[float]]:
    """What each chart over time shows, in s."""
    found: list[list[float]] = browser.value(
        "[...document.querySelectorAll('.plot')].filter(p => p.layout.shapes).map(p => p.layout.xaxis.range)"
    )
    return found


def test_every_chart_is_drawn_without_a_complaint_or_a_request(full: Chromium) -> None:
    drawn = full.value("[...document.querySelectorAll('.plot')].map(p => p.dataset.chart)")
    assert drawn == ["rates", "percentiles", "heat", "curve", "lag", "probes"]
    lines = full.value("document.querySelectorAll('#plot-percentiles .scatterlayer .js-line').length")
    assert lines >= 4
    assert full.value("document.querySelectorAll('#plot-heat .heatmaplayer image').length") == 2
    assert full.value("document.getElementById('trouble').hidden") is True
    assert full.problems == []
    assert full.requests == []


@pytest.mark.parametrize("sample", ["empty", "overloaded"])
def test_other_kinds_of_results_open_on_a_phone(browser: Chromium, pages: Path, sample: str) -> None:
    browser.open(written(pages, sample, render(SAMPLES[sample]())), width=390, height=800)
    assert browser.problems == []
    assert browser.requests == []
    assert browser.value("document.getElementById('trouble').hidden") is True
    assert browser.value("document.documentElement.scrollWidth") == 390


def test_pointing_shows_all_series_and_what_was_going_on(full: Chromium) -> None:
    left, top, width, height = area(full, "percentiles")
    full.point(left + width * 36.5 / 74.2, top + height / 2)
    assert label(full, "percentiles", "36.5 s").split("|") == [
        "36.5 s", "spike · slow-store", "p50: 230 ms", "p90: 230 ms", "p99: 920 ms", "max answered: 920 ms",
    ]  # fmt: skip
    # The chart above, which is in the window as well, shows the same instant.
    assert "offered: 500/s" in label(full, "rates", "36.5 s")


def test_a_slice_without_a_value_does_not_show_its_neighbours(browser: Chromium, pages: Path) -> None:
    r = measured()
    silent = r.series[36]
    silent.hdr, silent.errors, silent.ok, silent.p50, silent.p99 = "", {"timeout": 460}, 0, None, None
    browser.open(written(pages, "silent", render(r)))
    left, top, width, height = area(browser, "percentiles")
    browser.point(left + width * 36.5 / 74.2, top + height / 2)
    assert label(browser, "percentiles", "36.5 s").split("|") == [
        "36.5 s", "spike · slow-store", "p50: ∞", "p90: ∞", "p99: ∞",
    ]  # fmt: skip


def test_pointing_at_retries_shows_attempts_beside_arrivals(browser: Chromium, pages: Path) -> None:
    r = measured()
    for s in r.series[30:40]:
        s.attempts = s.scheduled * 2
    r.totals.attempts = sum(s.attempts for s in r.series)
    browser.open(written(pages, "retries", render(r)))
    left, top, width, height = area(browser, "retries")
    browser.point(left + width * 35.5 / 74.2, top + height / 2)
    assert label(browser, "retries", "35.5 s").split("|") == [
        "35.5 s", "spike · slow-store", "attempts: 1,000/s, 2x", "arrivals: 500/s",
    ]  # fmt: skip
    filled = "getComputedStyle(document.querySelector('#plot-retries .fills path')).fill"
    assert browser.value(filled) not in ("none", "rgb(0, 0, 0)")
    assert (browser.problems, browser.requests) == ([], [])


def test_pointing_at_a_cell_of_the_heat_map(full: Chromium) -> None:
    left, top, width, height = area(full, "heat")
    where = full.value(
        "(() => { const p = document.getElementById('plot-heat'), a = p._fullLayout.yaxis;"
        " return a.l2p(Math.log10(230)); })()"
    )
    full.point(left + width * 36.5 / 74.2, top + where)
    assert "444" in label(full, "heat", "36.0 – 37.0 s")
    assert height > 200


def test_zooming_one_chart_zooms_all_and_the_button_shows_everything_again(full: Chromium) -> None:
    assert ranges(full) == [[0, 74.2]] * 5
    left, top, width, height = area(full, "rates")
    y = top + height / 2
    mouse = {"button": "left", "clickCount": 1}
    full.call("Input.dispatchMouseEvent", type="mousePressed", x=left + width * 0.4, y=y, **mouse)
    for share in (0.45, 0.5, 0.55, 0.6):
        full.call(
            "Input.dispatchMouseEvent", type="mouseMoved", x=left + width * share, y=y, buttons=1, **mouse
        )
    full.call("Input.dispatchMouseEvent", type="mouseReleased", x=left + width * 0.6, y=y, **mouse)
    full.wait_for("!document.getElementById('reset').hidden")
    found = ranges(full)
    assert found == [found[0]] * 5
    ticks = "document.getElementById('plot-lag').layout.xaxis.ticktext"
    assert full.value(ticks) == ["30 s", "32 s", "34 s", "36 s", "38 s", "40 s", "42 s", "44 s"]
    assert found[0] == pytest.approx([74.2 * 0.4, 74.2 * 0.6], abs=0.5)
    full.value("document.getElementById('reset').click()")
    assert ranges(full) == [[0, 74.2]] * 5
    assert full.value(ticks) == [f"{t} s" for t in range(0, 75, 10)]


def test_the_axis_of_a_long_run_is_in_minutes(browser: Chromium, pages: Path) -> None:
    r = measured()
    r.elapsed_s = 5400.0
    browser.open(written(pages, "long", render(r)))
    found = browser.value("document.getElementById('plot-lag').layout.xaxis.ticktext")
    assert found == [
        "0 min",
        "10 min",
        "20 min",
        "30 min",
        "40 min",
        "50 min",
        "1h00m",
        "1h10m",
        "1h20m",
        "1h30m",
    ]


def test_keys_move_along_a_chart_and_read_it_out(full: Chromium) -> None:
    full.value("document.getElementById('plot-rates').focus()")
    assert full.value("document.activeElement.id") == "plot-rates"
    for key in ("End", "ArrowLeft", "ArrowLeft"):
        full.press(key)
    assert full.value("document.getElementById('said').textContent") == (
        "72.5 s: ok 50/s, shed 0/s, errors 0/s, offered 50/s"
    )
    assert "offered: 50/s" in label(full, "rates", "72.5 s")
    full.press("+")
    assert ranges(full)[0] == pytest.approx([74.2 / 4, 74.2 * 3 / 4])
    full.press("0")
    assert ranges(full)[0] == [0, 74.2]


def test_a_series_can_be_hidden_and_shown_with_its_button(full: Chromium) -> None:
    press = "document.querySelectorAll('#legend-percentiles button')[2].click()"
    buttons = "[...document.querySelectorAll('#legend-percentiles button')]"
    states = f"{buttons}.map(b => b.getAttribute('aria-pressed'))"
    shown = "document.getElementById('plot-percentiles')._fullData.filter(t => t.visible === true).length"
    before = full.value(shown)
    full.value(press)
    assert full.value(states) == ["true", "true", "false", "true"]
    assert full.value(shown) == before - 1
    full.value(press)
    assert full.value(states) == ["true"] * 4
    assert full.value(shown) == before


def test_the_theme_is_the_systems_until_the_button_says_otherwise(full: Chromium) -> None:
    paper = "document.getElementById('plot-rates').layout.paper_bgcolor"
    page = "getComputedStyle(document.body).backgroundColor"
    light = full.value(paper), full.value(page)
    full.size(1200, 900, dark=True)
    full.wait_for(f"{paper} !== {json.dumps(light[0])}")
    dark = full.value(paper), full.value(page)
    assert all(a != b for a, b in zip(light, dark, strict=True))
    full.value("document.getElementById('theme').click()")
    assert (full.value(paper), full.value(page)) == light
    full.size(1200, 900)
    assert (full.value(paper), full.value(page)) == light
    full.value("document.getElementById('theme').click()")
    assert (full.value(paper), full.value(page)) == dark
    full.value("document.getElementById('theme').click()")
    assert full.problems == []


def test_links_to_sections_wrap_where_there_is_room_and_else_show_that_they_scroll(full: Chromium) -> None:
    nav = "document.querySelector('nav')"
    links = full.value(f"{nav}.innerHTML")
    full.value(f"{nav}.innerHTML += {nav}.innerHTML")
    hidden = f"{nav}.scrollWidth - {nav}.clientWidth"
    for width, cut in ((1200, False), (500, True)):
        full.size(width, 900)
        full.wait_for(f"innerWidth === {width}")
        assert (full.value(hidden) > 0) is cut
        assert full.value(f"getComputedStyle({nav}).scrollbarWidth") == "thin"
    full.size(1200, 900)
    full.value(f"{nav}.innerHTML = {json.dumps(links)}")


def test_paper_is_light_and_has_every_chart_in_its_width(full: Chromium, pages: Path) -> None:
    full.size(1200, 900, dark=True)
    before = full.value("document.getElementById('plot-rates').layout.paper_bgcolor")
    full.paper(pages / "page.pdf")
    assert (pages / "page.pdf").read_bytes().startswith(b"%PDF")
    assert full.value("document.getElementById('plot-rates').layout.paper_bgcolor") == before
    full.value("dispatchEvent(new Event('beforeprint'))")
    drawn: list[dict[str, Any]] = full.value(
        "[...document.querySelectorAll('.plot')].map(p => p.layout)"
        ".map(l => ({width: l.width, paper: l.paper_bgcolor}))"
    )
    assert {p["width"] for p in drawn} == {680}
    assert {p["paper"] for p in drawn} == {"rgb(255, 255, 255)"}
    assert full.value("document.querySelector('#profile details').open") is True
    full.value("dispatchEvent(new Event('afterprint'))")
    assert full.value("document.querySelector('#profile details').open") is False
    full.size(1200, 900)
    assert full.problems == []


def test_a_chart_saves_as_a_picture(full: Chromium) -> None:
    full.value(
        "window.saved = null; HTMLAnchorElement.prototype.click = function () {"
        " window.saved = [this.download, this.href]; };"
        " document.querySelector('[data-save=percentiles]').click()"
    )
    full.wait_for("window.saved")
    name, href = full.value("window.saved")
    assert name == "loadtool-percentiles.png"
    if href.startswith("data:"):
        assert base64.b64decode(href.partition(",")[2]).startswith(b"\x89PNG")
    else:
        assert href.startswith("blob:")
    assert full.problems == []


def test_a_hostile_name_does_nothing_and_shows_as_it_is(browser: Chromium, pages: Path) -> None:
    name = EVERY_INJECTION
    browser.open(written(pages, "hostile", render(renamed(name))))
    assert browser.problems == []
    assert browser.requests == []
    assert browser.value("document.querySelectorAll('img, main a, main script').length") == 0
    shown = clean(name)
    assert browser.value("document.getElementById('title').textContent") == shown
    assert browser.value("document.querySelector('#legend-probes button').textContent") == shown
    left, top, width, height = area(browser, "probes")
    browser.point(left + width * 0.9, top + height / 2)
    assert "66.5 s" in label(browser, "probes", f"{shown}: 1.20 ms")
    texts = browser.value(
        "[...document.querySelectorAll('#plot-probes .annotation-text')].map(t => t.textContent)"
    )
    assert any(text.startswith(f"2 {shown}"[:6]) for text in texts)
    assert browser.problems == []


def test_the_policy_stops_a_script_that_got_in_all_the_same(browser: Chromium, pages: Path) -> None:
    source = render(measured()).replace("<footer", "<script>document.title = 'in'</script><footer", 1)
    browser.open(written(pages, "broken", source))
    assert browser.value("document.title") != "in"
    assert any("Content Security Policy" in problem for problem in browser.problems)
