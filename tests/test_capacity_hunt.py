"""Between which rates a capacity is looked for, and what of a profile each step has."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtool.capacity import HIGHEST, Options, base_of, hunt_of, strip
from loadtool.profile.load import Loaded, load_profile

BASELINE = "{name: normal, role: baseline, rate: 60/s, for: 3s}"
SPIKE = "{name: surge, role: spike, rate: 600/s, for: 3s}"
QUIET = "{name: quiet, role: baseline, rate: 0/s, for: 3s}"


def profile(directory: Path, *phases: str, more: str = "slos: [p95 < 250ms]") -> Loaded:
    file = directory / "shop.yaml"
    file.write_text(
        f"target: http://127.0.0.1:1\nrequests: [{{get: /}}]\nphases: [{', '.join(phases)}]\n{more}\n"
    )
    return load_profile(file, environment={})


@pytest.mark.parametrize(
    ("phases", "options", "start", "most"),
    [
        ((BASELINE, SPIKE), Options(), 60, HIGHEST),
        ((SPIKE, BASELINE), Options(), 60, HIGHEST),  # the baseline's, wherever it stands
        ((SPIKE,), Options(), 600, HIGHEST),  # else the first phase's
        ((BASELINE, SPIKE), Options(most=500.0), 60, 500),
        ((BASELINE, SPIKE), Options(most=40.0), 40, 40),
        ((BASELINE, SPIKE), Options(start=90.0, most=90.0), 90, 90),
        ((BASELINE, SPIKE), Options(start=250_000.0), 250_000, 250_000),
        ((QUIET, SPIKE), Options(start=5.0), 5, HIGHEST),
    ],
)
def test_where_it_begins_and_ends(
    tmp_path: Path, phases: tuple[str, ...], options: Options, start: float, most: float
) -> None:
    hunt = hunt_of(profile(tmp_path, *phases), options)
    assert (hunt.start, hunt.most, hunt.precision) == (start, most, 0.02)


def test_steps_are_like_the_first_baseline(tmp_path: Path) -> None:
    assert base_of(profile(tmp_path, SPIKE, QUIET, BASELINE)) == 1
    assert base_of(profile(tmp_path, SPIKE)) == 0


PROXIES = """
slos: [p95 < 250ms during normal, shed rate < 5%, p99 < 1s during slow]
proxies:
  front: {upstream: target}
  store: {upstream: "127.0.0.1:2", listen: "127.0.0.1:3"}
faults: [{name: slow, at: 1s, for: 1s, proxy: store, toxic: latency, latency: 1s}]
"""


def test_a_step_has_no_faults_and_no_proxy_that_only_they_need(tmp_path: Path) -> None:
    stripped, left_out = strip(profile(tmp_path, BASELINE, SPIKE, more=PROXIES))
    assert (stripped.profile.faults, list(stripped.profile.proxies)) == ((), ["store"])
    assert [slo.text for slo in stripped.slos] == list(stripped.profile.slos) == ["p95 < 250ms"]
    assert [left.text for left in left_out] == ["shed rate < 5%", "p99 < 1s during slow"]
