"""What reports say of a spike: the sentence first, then the table, marked beside its colour."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from overload_samples import spike_figures
from report_samples import overloaded, passed

from loadtool.judge.overload_figures import SEVERITY
from loadtool.measure.result import Result
from loadtool.measure.result_json import dump, load
from loadtool.measure.spike import Overload
from loadtool.report import junit, markdown, overload, terminal

GREEN, RED = "\x1b[1;32m", "\x1b[1;31m"


def one(**more: object) -> Result:
    r = passed()
    r.overload = Overload([spike_figures("shed", **more)], "shed")
    return r


def test_the_sentence_comes_right_after_the_verdict() -> None:
    assert terminal.render(one(), width=120).splitlines()[1:5] == [
        "✓ PASS  checkout-10x: all 4 SLOs were met.",
        "  Served 94 of the 95 requests/s it can serve, turned 81 % away in under 4 ms, back to normal at "
        "once: shed",
        "━" * 120,
        "10,300 scheduled = 9,875 ok + 350 shed + 75 errors, in 74.2 s",
    ]


def test_several_spikes_have_their_names_before_them() -> None:
    lines = terminal.render(overloaded(), width=200).splitlines()
    assert [line.split(":")[0].strip() for line in lines[2:4]] == ["spike", "again"]
    assert lines[3].endswith("not back to normal in the 30 s watched: stayed-down")


def test_the_table() -> None:
    text = terminal.render(one())
    assert text.index("\nErrors ─") < text.index("\nOverload ─") < text.index("\nFaults ─")
    body = text.split("\nOverload ")[1].split("\n\n")[0].splitlines()[1:]
    assert body == [
        "                       measured default",
        " ✓ goodput retention      99.1% ≥ 90%   of 95/s, the stated capacity",
        " ✓ end retention          98.8% ≥ 90%   its last third",
        "   shed ratio               81%",
        " ✓ shed p99             3.90 ms ≤ 50 ms",
        " ✓ honest rejection       99.8% ≥ 95%   81% shed, 0.133% too late, 0.0667%",
        "                                        failed",
        " ✓ recovery                 0 s ≤ 30 s  watched for 30 s",
        " ✓ hysteresis            0.200% ≤ 2%",
        " ✓ latency growth         1.04x < 2x",
        "   retry amplification       1x         in the spike",
        " ✓ … after it                1x ≤ 1.10x in the last third of its recovery",
        "   time to first shed    184 ms         room for about 75 requests until then",
    ]


@pytest.mark.parametrize(
    ("change", "label", "mark", "value", "remark"),
    [
        ({"goodput_retention": 0.9}, "goodput retention", "✓", "90%", "of 95/s, the stated capacity"),
        ({"goodput_retention": 0.8999}, "goodput retention", "!", "90.0%", "of 95/s, the stated capacity"),
        ({"reference": "baseline"}, "goodput retention", "✓", "99.1%", "of 95/s, the baseline's goodput"),
        ({"honest_rejection": 0.95}, "honest rejection", "✓", "95%", None),
        ({"honest_rejection": 0.949}, "honest rejection", "!", "94.9%", None),
        ({"honest_rejection": 1.0, "shed": 0, "late": 0, "hard": 0}, "honest rejection", "✓", "100%", ""),
        (
            {"throttled": 750, "late": 0, "hard": 0},
            "honest rejection", "✓", "99.8%", "81% shed, 10% held back",
        ),
        ({"strict_rejection": 0.75}, "… with Retry-After", "", "75%", "a valid one"),
        (
            {"retry_after_truth": 0.25, "promised": 1},
            "Retry-After truth", "", "25%", "of 1 first retry after it got in",
        ),
        ({"shed_p99_ms": 50.0}, "shed p99", "✓", "50 ms", ""),
        ({"shed_p99_ms": 50.1}, "shed p99", "!", "50.1 ms", ""),
        ({"shed_p99_bound_ms": None}, "shed p99", "", "3.90 ms", ""),
        ({"shed_p99_ms": None}, "shed p99", "", "n/a", "no sheds"),
        ({"shed_ratio_attempts": 0.9}, "shed ratio", "", "81%", "90% of attempts"),
        ({"recovery_s": 30.0}, "recovery", "✓", "30 s", "watched for 30 s"),
        ({"recovery_s": 31.0}, "recovery", "!", "31 s", "watched for 30 s"),
        (
            {
                "recovery_s": None,
                "recovered": None,
                "unknown": {"recovery_s": "no recovery phase follows it"},
            },
            "recovery",
            "",
            "n/a",
            "no recovery phase follows it",
        ),
        ({"hysteresis": 0.02}, "hysteresis", "✓", "2%", ""),
        ({"hysteresis": 0.021}, "hysteresis", "!", "2.10%", ""),
        ({"hysteresis": -0.01}, "hysteresis", "✓", "-1%", ""),
        ({"latency_growth": 1.99}, "latency growth", "✓", "1.99x", ""),
        ({"latency_growth": 2.0}, "latency growth", "!", "2x", "still growing"),
        ({"retry_amplification_after": 1.1}, "… after it", "✓", "1.10x", None),
        ({"retry_amplification_after": 1.11}, "… after it", "!", "1.11x", None),
        ({"retry_amplification": 9.0}, "retry amplification", "", "9x", "in the spike"),
        ({"implied_buffer": 1.2}, "time to first shed", "", "184 ms", "room for about 1 request until then"),
    ],
)  # fmt: skip
def test_figures_against_their_defaults(
    change: dict[str, object], label: str, mark: str, value: str, remark: str | None
) -> None:
    (row,) = [row for row in overload.rows(spike_figures("shed", **change)) if row.label == label]
    assert (row.mark, row.value) == (mark, value)
    assert remark is None or row.remark == remark


def test_colour_says_what_the_marks_say() -> None:
    text = terminal.render(one(recovered=False, recovery_s=None), color=True)
    (recovery,) = [line for line in text.splitlines() if " recovery " in line and "≤ 30 s" in line]
    assert f"{RED}!" in recovery
    (honest,) = [line for line in text.splitlines() if "honest" in line]
    assert f"{GREEN}✓" in honest
    assert f"{GREEN}shed" in text.splitlines()[3]


def test_why_there_is_no_judgement() -> None:
    r = passed()
    r.no_overload = "no phase has the role spike"
    assert " not judged: no phase has the role spike" in terminal.render(r).splitlines()
    assert "<sub>overload not judged: no phase has the role spike</sub>" in markdown.render(r)
    assert "Overload" not in terminal.render(passed())
    assert "verload" not in markdown.render(passed())


def test_markdown() -> None:
    text = markdown.render(overloaded())
    assert text.split("\n\n")[2:4] == [
        "spike: Served 94 of the 95 requests/s it can serve, turned 81 % away in under 4 ms, back to normal "
        "at once: **shed**",
        "again: Served 3 of 500 requests/s in time (48/s before the spike), left 99 % waiting too long, not "
        "back to normal in the 30 s watched: **stayed-down**",
    ]
    assert "### Overload: again\n\n|  | figure | measured | default |  |\n" in text
    assert "| ⚠️ | recovery | **not seen** | ≤ 30 s | not recovered in the 30 s watched |" in text
    assert "<sub>slow-store began while recovery was watched, and what came of that counts</sub>" in text


def test_junit_names_the_verdict() -> None:
    properties = {
        p.get("name"): p.get("value") for p in ET.fromstring(junit.render(overloaded())).iter("property")
    }
    assert properties["overload"] == "stayed-down"


def test_infinity_of_a_recovery_needs_no_footnote_about_quantiles() -> None:
    r = overloaded()
    for f in (*r.phases, *r.requests):
        f.latency_ms = r.phases[0].latency_ms
    assert "∞: more arrivals failed" not in terminal.render(r)


def test_every_verdict_has_a_colour() -> None:
    assert overload.LIKE.keys() == set(SEVERITY)


def test_the_file_keeps_every_figure() -> None:
    r = overloaded()
    assert load(json.loads(json.dumps(dump(r)))) == r
    assert r.overload is not None
    first = dump(r)["overload"]["spikes"][0]
    assert {
        "verdict", "sentence", "reference", "goodput_retention", "end_retention", "shed_ratio",
        "honest_rejection", "recovery_s", "watched_s", "hysteresis", "retry_amplification", "latency_growth",
        "time_to_first_shed_s",
    } <= first.keys()  # fmt: skip


def test_verdicts_that_no_loadtool_wrote_are_text() -> None:
    r = passed()
    r.overload = Overload([spike_figures("\x1b[2Jshed")], "shed")
    assert "\x1b" not in terminal.render(r)
    r.verdict, r.overload = "\x1b[2Jpass", None
    assert "\x1b" not in terminal.render(r)


def test_why_there_is_no_baseline_is_said_once() -> None:
    why = "only 54.9% of the arrivals in baseline were good, want 95% or more"
    lacking = ("goodput_retention", "end_retention", "recovery_s", "hysteresis", "latency_growth")
    f = spike_figures("no-baseline", **dict.fromkeys(lacking), recovered=None)
    f.unknown = {**dict.fromkeys(lacking, why), "latency_growth": "no ok answer in its first third"}
    remarks = {row.label: row.remark for row in overload.rows(f)}
    assert remarks["goodput retention"] == why
    assert remarks["end retention"] == remarks["recovery"] == remarks["hysteresis"] == "as above"
    assert remarks["latency growth"] == "no ok answer in its first third"
