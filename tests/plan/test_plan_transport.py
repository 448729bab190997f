"""The transport of a job: from the profile to the wire, and what is doubtful about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loadtool.plan.build import build_job, endpoint_of
from loadtool.plan.endpoint import proxy_of
from loadtool.plan.job import Job, ProxySpec
from loadtool.plan.overview import Overview
from loadtool.plan.wire import job_from_json, job_to_json
from loadtool.profile.load import load_profile

PROFILE = """\
target: https://shop.test
requests: [{get: /}]
phases: [{name: baseline, rate: RATE, for: 1s}]
arrivals: constant
"""

Planned = Callable[..., tuple[Job, Overview]]


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    def planned(more: str = "", rate: str = "20/s") -> tuple[Job, Overview]:
        (tmp_path / "p.yaml").write_text(PROFILE.replace("RATE", rate) + more)
        loaded = load_profile(tmp_path / "p.yaml", environment={})
        job = build_job(loaded, endpoint=endpoint_of(loaded.profile.target))
        return job, Overview.of(job, loaded)

    return planned


def test_by_default_there_is_no_more_to_it(planned: Planned) -> None:
    job, overview = planned()
    assert (job.transport, job.client.http2, job.client.proxy) == ("http1", False, None)
    assert (overview.transport, overview.http2) == ("http1", False)
    assert job.peer == ("shop.test", 443)


def test_it_reaches_the_workers(planned: Planned) -> None:
    more = "transport: httpx\nclient: {http2: true, proxy: 'http://me:p%40ss@[::1]:3128'}\n"
    job, overview = planned(more)
    assert job.transport == "httpx"
    assert job.client.http2
    assert job.client.proxy == ProxySpec("::1", 3128, "me", "p@ss")
    assert job.peer == ("::1", 3128)
    assert job_from_json(job_to_json(job)) == job
    assert (overview.transport, overview.http2) == ("httpx", True)
    assert "p@ss" not in repr(job.client)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.test", ProxySpec("proxy.test", 80)),
        ("http://proxy.test:3128/", ProxySpec("proxy.test", 3128)),
        ("http://token@proxy.test", ProxySpec("proxy.test", 80, "token")),
        ("http://bücher.test:1", ProxySpec("xn--bcher-kva.test", 1)),
    ],
)
def test_the_proxy_of_a_url(url: str, proxy: ProxySpec) -> None:
    assert proxy_of(url) == proxy


@pytest.mark.parametrize(("rate", "workers"), [("1001/s", 2), ("3000/s", 3), ("3001/s", 4)])
def test_a_peak_beyond_what_the_transport_can_send(planned: Planned, rate: str, workers: int) -> None:
    _, overview = planned("transport: httpx\nclient: {timeout: 100ms}\n", rate)
    (warning,) = overview.warnings
    figure = f"{float(rate.removesuffix('/s')):,.6g}/s"
    assert warning.endswith(
        ":5: transport: httpx sends at most about 1,000/s per worker, each on a core of its own, and "
        f"{figure} are planned: past it arrivals leave late, and the run is invalid; want at least {workers} "
        "workers (--workers), or transport: http1 if it will do"
    )


@pytest.mark.parametrize(("more", "rate"), [("transport: httpx\n", "1000/s"), ("", "9000/s")])
def test_a_peak_that_it_can_send(planned: Planned, more: str, rate: str) -> None:
    _, overview = planned(f"{more}client: {{timeout: 100ms}}\n", rate)
    assert overview.warnings == ()
