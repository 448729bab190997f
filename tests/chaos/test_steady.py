"""The steady state's checks as probes."""

from __future__ import annotations

from typing import Any

import pytest

from loadtool.chaos.probe import HttpProbe, Question, TcpProbe
from loadtool.chaos.steady import describe_check, hosts_of, page_url, probes_of
from loadtool.profile.model import Check

TARGET = "https://shop.example/api/"


def check(**fields: Any) -> Check:
    return Check.model_validate({"name": "c", **fields})


@pytest.mark.parametrize(
    ("fields", "probe", "words"),
    [
        (
            {"get": "/health?full=1"},
            HttpProbe("c", "https://shop.example/api/health?full=1", target=True),
            "GET /health?full=1: status 2xx",
        ),
        (
            {"get": "http://10.0.0.5:9090/-/healthy", "status": [200, 204], "within": "500ms"},
            HttpProbe("c", "http://10.0.0.5:9090/-/healthy", (200, 204), 500_000_000),
            "GET http://10.0.0.5:9090/-/healthy: status 200 or 204, within 500ms",
        ),
        ({"tcp": "127.0.0.1:5432"}, TcpProbe("c", "127.0.0.1", 5432), "connect to 127.0.0.1:5432"),
        (
            {"tcp": "[::1]:5432", "within": "1s"},
            TcpProbe("c", "::1", 5432, 1_000_000_000),
            "connect to [::1]:5432: within 1s",
        ),
    ],
)
def test_checks(fields: dict[str, Any], probe: Question, words: str) -> None:
    assert probes_of([check(**fields)], TARGET) == [probe]
    assert describe_check(check(**fields)) == words


def test_a_path_of_a_unix_domain_socket() -> None:
    assert page_url("unix:/run/app.sock", "/health") == "http://localhost/health"


def test_only_what_goes_elsewhere_than_to_the_target_is_another_host() -> None:
    checks = [
        check(get="/health"), check(tcp="db.internal:5432"), check(get="https://u:p@status.example/x?y=z"),
        check(get="HTTP://127.0.0.1:81"),
    ]  # fmt: skip
    assert list(hosts_of(checks)) == [("db.internal", 5432), ("status.example", 443), ("127.0.0.1", 81)]
