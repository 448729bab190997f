"""The page says what the result says, stays text whatever it is called, and needs nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import pytest
from html_samples import INJECTIONS, Page, measured, renamed
from report_samples import SAMPLES, failed, interrupted, overloaded, passed
from ruamel.yaml import YAML

from loadtool.errors import UsageError
from loadtool.measure.result import Probe, Result
from loadtool.report import digest
from loadtool.report.html import page as html_page
from loadtool.report.html.page import render
from loadtool.report.text import clean

PLOTLY = html_page._plotly


@pytest.fixture(autouse=True)
def _short_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five megabytes fewer to read for each page; the tests of the script and in the browser have them."""
    monkeypatch.setattr(html_page, "_plotly", lambda: "Plotly = null;")


def page(result: Result) -> Page:
    return Page(render(result))


def test_the_verdict_comes_first() -> None:
    found = page(overloaded())
    assert found.texts["title"] == "checkout-10x"
    said = " ".join(found.said.split())
    first = said.partition("Objectives, and what was measured")[0]
    assert "checkout-10x: fail · loadtool" in first
    assert "✗ fail" in first
    assert "1 of 5 SLOs was not met." in first
    assert (
        "again: Served 3 of 500 requests/s in time (48/s before the spike), left 99 % waiting too long,"
        " not back to normal in the 30 s watched: stayed-down" in first
    )
    assert "recovery < 10s: again: not recovered in the 30 s watched" in first
    assert "10,300 scheduled = 9,875 ok + 350 shed + 75 errors" in first
    assert "started2025-11-21 20:53:07 UTC" in first


def test_slos_with_values_thresholds_intervals_and_samples() -> None:
    assert page(failed()).tables["Objectives, and what was measured"] == [
        ["status", "objective", "measured", "threshold", "95% interval", "samples"],
        ["✓ pass", "p95 < 250ms during baseline", "31 ms", "< 250 ms", "29 – 33.4 ms", "1,200"],
        ["✗ fail", "error rate < 0.1%", "0.758%", "< 0.1%", "0.590 – 0.940%", "10,200"],
        ["✗ fail", "p99 < 1s during slow-store for checkout", "∞", "< 1 s", "980 ms – ∞", "420"],
        ["✓ pass", "shed p99 < 50ms", "3.90 ms", "< 50 ms", "3.10 – 4.40 ms", "350"],
        [
            "? inconclusive", "p99.9 < 2s during warmup | only 100 samples", "96 ms", "< 2 s", "96 ms – ∞",
            "100",
        ],
    ]  # fmt: skip


def test_a_threshold_has_the_operator_of_the_objective_and_not_that_of_a_name() -> None:
    r = passed()
    r.slos = [
        replace(
            r.slos[0], text="goodput retention >= 90% for 'a < b'", metric="goodput retention", threshold=0.9
        )
    ]
    assert page(r).tables["Objectives, and what was measured"][1][3] == "≥ 90%"


def test_phases_requests_errors_faults_and_probes() -> None:
    found = page(passed()).tables
    phases = found["Response times and counts by phase"]
    assert phases[0] == [
        "phase", "time", "offered", "ok", "shed", "errors", "p50", "p90", "p99", "p99.9", "max", "goodput",
    ]  # fmt: skip
    assert phases[3] == [
        "spike", "29.0 – 44.0 s", "500/s", "7,075", "350", "75", "61 ms", "122 ms", "∞", "∞", "488 ms",
        "465/s",
    ]  # fmt: skip
    assert [row[0] for row in phases[1:]] == ["warmup", "baseline", "spike", "recovery", "all"]
    assert [row[0] for row in found["Response times and counts by request"][1:]] == ["browse", "checkout"]
    assert found["Errors by kind, with one example each"][1:] == [
        ["timeout", "60", "0.583%", "no answer within 2s | checkout at 35.2 s"],
        ["reset", "15", "0.146%", "Connection reset by peer | browse at 36.9 s"],
    ]
    assert found["Faults as planned and as they were"][1:] == [
        ["slow-store", "latency 200ms ±50ms on store", "34.0 – 39.0 s", "34.01 – 39.02 s", "removed"]
    ]
    assert found["Probes outside and during faults"][1][:3] == ["store", "outside faults", "1.20 ms"]
    assert found["Probes outside and during faults"][2][:3] == ["store", "during slow-store", "203 ms"]


def test_gauges_have_a_table_and_a_chart() -> None:
    r = passed()
    r.profile["probes"] = [{"name": "queue", "get": "/metrics", "value": "queued", "every": "1s"}]
    r.probes += [Probe("queue", float(t), True, 2.0, "", False, float(t)) for t in range(5)]
    found = page(r)
    assert found.tables["What the service told of itself"][1] == [
        "queue", "2", "0 – 4", "4.0 s", "n/a", "5", "0",
    ]  # fmt: skip
    assert found.data["charts"]["gauges"]["traces"][0]["y"] == [0, 1, 2, 3, 4]


def test_overload_of_each_spike() -> None:
    found = page(overloaded()).tables
    assert found["What spike did to the service"][1] == [
        "goodput retention", "99.1%", "≥ 90%", "✓", "of 95/s, the stated capacity",
    ]  # fmt: skip
    assert found["What again did to the service"][1][1:4] == ["6%", "≥ 90%", "! off"]


def test_why_overload_was_not_judged() -> None:
    r = passed()
    r.no_overload = "the profile has no spike <phase>"
    found = page(r)
    assert "Not judged: the profile has no spike <phase>" in found.said
    r.no_overload = ""
    assert "overload" not in page(r).texts


def test_the_generator_and_the_profile_as_it_ran() -> None:
    r = passed()
    r.profile |= {"phases": [{"name": "spike", "rate": "500/s"}], "seed": 42, "note": "a: b # <c>", "zeta": 1}
    found = page(r)
    assert found.tables["How the load generator itself fared"][1:] == [list(row) for row in digest.health(r)]
    text = found.texts["profile"].partition(f"As it ran: {r.profile_file}")[2]
    assert YAML(typ="safe").load(text) == r.profile
    assert text.index("target") < text.index("phases") < text.index("zeta")


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_kind_of_result_makes_a_sound_page(sample: str) -> None:
    result = SAMPLES[sample]()
    found = page(result)
    assert clean(digest.headline(result))[1:] in found.said
    ids = [a["id"] for _, a in found.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in found.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set((attributes.get(name) or "").split()) <= set(ids)
        link = attributes.get("href") or ""
        assert link == "data:," or (link or "#").removeprefix("#") in [*ids, ""]
    tables = [t for t, _ in found.elements if t == "table"]
    assert len([t for t, _ in found.elements if t == "caption"]) == len(tables)
    assert all("scope" in a for t, a in found.elements if t == "th")
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert [t for t, _ in found.elements].count(landmark) == 1
    for key in found.data["charts"]:
        assert found.texts[f"{key}-text"].strip()


def test_an_interrupted_run_ends_where_it_was_cut() -> None:
    found = page(interrupted())
    assert found.data["end"] == 36.4
    assert [p["name"] for p in found.data["phases"]] == ["warmup", "baseline", "spike"]
    assert found.tables["Every slice of the run"][-1][0] == "36.0 – 36.4 s"


def test_every_slice_is_in_a_table() -> None:
    rows = page(measured()).tables["Every slice of the run"]
    assert len(rows) == 75
    assert rows[36] == [
        "35.0 – 36.0 s", "spike · slow-store", "500", "445", "40", "15", "425", "500", "115", "230 ms",
        "230 ms", "920 ms", "0.310 ms",
    ]  # fmt: skip
    assert rows[38][10:12] == ["230 ms", "∞"]


@pytest.mark.parametrize("name", INJECTIONS)
def test_a_hostile_name_stays_text(name: str) -> None:
    plain, hostile = measured(), renamed(name)
    plain.totals.attempts = hostile.totals.attempts
    source = render(hostile)
    found, usual = Page(source), Page(render(plain))
    shown = clean(name)
    assert found.texts["title"] == shown
    assert shown in [row[0] for row in found.tables["Response times and counts by request"]]
    assert found.tables["Errors by kind, with one example each"][1][3] == f"{shown} | {shown} at 1.0 s"
    # Nothing of it has become an element or an attribute.
    extra = {"output", "figcaption", "pre", "figure", "small", "p", "li", "ul"}
    assert {t for t, _ in found.elements} - extra <= {t for t, _ in usual.elements}
    assert len(found.scripts) == 3
    assert not [a for _, attributes in found.elements for a in attributes if a.startswith("on")]
    # Inside the script element the data is data.
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', source, re.DOTALL)
    assert block is not None
    assert not re.search("[<>&\u2028\u2029]", block[1])
    # Plotly reads texts as a kind of HTML: there is none.
    texts = [t["name"] for c in found.data["charts"].values() for t in c["traces"]]
    texts += found.data["around"]["text"]
    texts += [t["hovertemplate"] or "" for t in found.data["charts"]["probes"]["traces"]]
    for text in texts:
        assert not re.search("<(?!extra>|/extra>)", text)
    assert found.data["faults"][0]["name"] == shown


def test_nothing_on_the_page_comes_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_page, "_plotly", PLOTLY)
    source = render(measured())
    found = Page(source)
    for tag, attributes in found.elements:
        assert "src" not in attributes
        assert not re.search(r"https?:|//", attributes.get("href") or ""), tag
    style = re.search(r"<style>(.*?)</style>", source, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_policy_lets_just_the_two_scripts_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_page, "_plotly", PLOTLY)
    found = page(measured())
    policy = next(
        a["content"] or "" for t, a in found.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    allowed = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    assert allowed["default-src"] == "'none'"
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'"
        for s in found.scripts[1:]
    ]
    assert allowed["script-src"].split() == hashes
    assert "unsafe-inline" not in allowed["script-src"]


@pytest.mark.parametrize("field", ["hdr", "ok_hdr"])
def test_a_histogram_that_is_none_is_said_with_its_place(field: str) -> None:
    r = measured()
    setattr(r.series[3], field, "HISTnonsense")
    with pytest.raises(UsageError, match=rf"^result: series\[3\]\.{field}: not an HdrHistogram"):
        render(r)


def test_a_long_run_stays_a_page_that_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_page, "_plotly", PLOTLY)
    r = measured()
    r.series = [replace(r.series[i % 74], t=float(i)) for i in range(900)]
    r.elapsed_s = 900.0
    source = render(r)
    assert len(source) < 7_000_000
    heat = Page(source).data["charts"]["heat"]["traces"][0]
    assert len(heat["customdata"]) <= 60
    assert {len(row) for row in heat["customdata"]} == {900}
