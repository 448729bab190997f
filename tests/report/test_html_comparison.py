"""The page of a comparison in a real browser: wide and narrow, dark and light, on paper, hostile names."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from chromium import LOADED, Chromium, program
from html_samples import EVERY_INJECTION

from loadtool.judge.compare import Comparer
from loadtool.judge.compare_gate import decide, parse_gate
from loadtool.measure.result import Result
from loadtool.report.html.comparison import render
from loadtool.report.text import clean

sys.path.insert(0, str(Path(__file__).parents[1] / "judge"))
from compare_samples import Second, run

PROGRAM = program()
pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="chromium is not on PATH"),
    pytest.mark.timeout(300),  # a browser on a machine that others use
]
HOSTILE = EVERY_INJECTION


def side(us: int, name: str = "checkout", phase: str = "baseline", target: str = "http://h") -> Result:
    """Twelve seconds at this response time."""
    result = run(baseline=[Second([us] * 50) for _ in range(12)])
    for named in (*result.cells, *result.histograms):
        named.phase = phase
    result.phases[0].name = phase
    result.profile |= {"name": name, "target": target}
    result.started = "2026-03-01T12:00:00+00:00"
    return result


def page(baseline: Result, candidate: Result, gates: Sequence[str] = ()) -> str:
    comparer = Comparer.of([baseline], [candidate])
    return render(comparer.compare(), decide([parse_gate(gate) for gate in gates], comparer))


GATED = ("p50 worse by 10%", "p50 worse by 50%", "recovery worse by 1s")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pages")
    (place / "worse.html").write_text(page(side(10_000), side(13_000), GATED))
    (place / "equal.html").write_text(page(side(10_000), side(10_000)))
    (place / "hostile.html").write_text(
        page(side(10_000, HOSTILE, HOSTILE, "http://a/" + HOSTILE), side(13_000, HOSTILE, HOSTILE, HOSTILE))
    )
    return place


@pytest.mark.parametrize("name", ["worse", "equal", "hostile"])
@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_it_opens_without_a_complaint_or_a_request_in_its_width(
    browser: Chromium, pages: Path, name: str, width: int, dark: bool
) -> None:
    browser.open(pages / f"{name}.html", width=width, dark=dark, ready=LOADED)
    assert browser.problems == []
    assert browser.requests == []
    assert browser.value("document.documentElement.scrollWidth") == width
    inside = browser.value(
        "[...document.querySelectorAll('main table tr > :nth-child(2)')]"
        ".map(c => c.getBoundingClientRect().right).every(x => x <= innerWidth)"
    )
    assert inside, "what was decided is to be seen without scrolling"
    lines = browser.value(
        "[...document.querySelectorAll('td:first-child')].map(c => {"
        " const r = document.createRange(); r.selectNodeContents(c); return r.getClientRects().length; })"
    )
    assert set(lines) <= {1}, "no word of a decision is broken"


def contrast(a: str, b: str) -> float:
    """Of two colours as browsers write them, by WCAG 2: 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_can_be_read(browser: Chromium, pages: Path, dark: bool) -> None:
    browser.open(pages / "worse.html", dark=dark, ready=LOADED)
    painted = browser.value(
        "[...document.querySelectorAll('h1, h2, p, th, td, small, dt, dd')].map(e => {"
        " let at = e, paper = 'rgba(0, 0, 0, 0)';"
        " for (; at && paper === 'rgba(0, 0, 0, 0)'; at = at.parentElement)"
        "   paper = getComputedStyle(at).backgroundColor;"
        " return [e.textContent.trim(), getComputedStyle(e).color, paper]; })"
    )
    assert len(painted) > 50
    assert [text for text, ink, paper in painted if contrast(ink, paper) < 4.5] == []


def test_it_says_what_is_worse_and_which_gates_fail(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "worse.html", ready=LOADED)
    assert browser.value("document.querySelector('.chip').innerText.toLowerCase()") == (
        "✗ 3 gates: 1 failed, 1 undecidable, 1 passed"
    )
    row = "[...document.querySelectorAll('main section:nth-of-type(3) tbody tr')][0]"
    assert browser.value(f"[...{row}.children].map(c => c.innerText)") == [
        "p50", "- worse", "10 ms", "13 ms", "+30.0%", "+30.0% … +30.0%", ">99.9%",
    ]  # fmt: skip
    gates = browser.value("[...document.querySelectorAll('#table-1 ~ * tbody tr')].map(r => r.innerText)")
    assert [tuple(text.split()[:3]) for text in gates] == [
        ("failed", "p50", "worse"), ("passed", "p50", "worse"), ("undecidable", "recovery", "worse"),
    ]  # fmt: skip
    assert gates[0].splitlines()[1].endswith("30% worse, certain to over 99.9%")
    heads = browser.value("[...document.querySelectorAll('h2')].map(h => h.innerText)")
    assert heads == ["Gates", "All phases but warm-ups", "During baseline"]


def test_an_equal_run_is_no_gate_and_no_alarm(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "equal.html", ready=LOADED)
    assert browser.value("document.querySelectorAll('.chip').length") == 0
    assert browser.value("document.querySelectorAll('tbody .tone-fail, tbody .tone-pass').length") == 0


def test_a_hostile_name_does_nothing_and_shows_as_it_is(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "hostile.html", ready=LOADED)
    assert browser.value("document.querySelectorAll('img, a, script, [onmouseover]').length") == 0
    assert browser.value("document.getElementById('title').textContent") == clean(HOSTILE)
    assert browser.value("document.getElementById('table-2').textContent").endswith(clean(HOSTILE)[1:])
    assert clean(HOSTILE) in browser.value("document.querySelector('.verdict').textContent")


def test_it_prints_light(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "worse.html", dark=True, ready=LOADED)
    browser.paper(pages / "page.pdf")
    assert (pages / "page.pdf").read_bytes().startswith(b"%PDF")
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert contrast(browser.value("getComputedStyle(document.body).color"), "rgb(255, 255, 255)") > 10
