from __future__ import annotations

from dataclasses import fields

import pytest

from loadtool.errors import UsageError
from loadtool.target.queues import QUEUES
from loadtool.target.settings import (
    OPTIONS,
    QUEUE_POLICIES,
    Settings,
    parse_address,
    settings_from,
)
from loadtool.units import MILLISECOND, SECOND, format_address


def test_nothing_given_is_the_defaults() -> None:
    assert settings_from({}) == Settings()
    assert settings_from({"slots": None}) == Settings()


def test_every_setting_has_one_option() -> None:
    assert sorted(o.field for o in OPTIONS) == sorted(f.name for f in fields(Settings))
    for option in OPTIONS:
        assert option.flag == "--" + option.field.removesuffix("_ns").removesuffix("_bytes").replace("_", "-")


def test_every_queue_policy_has_a_queue() -> None:
    assert set(QUEUE_POLICIES) == set(QUEUES)


def test_capacity_of_the_defaults_is_what_their_description_says() -> None:
    s = Settings()
    mean_calls = 0.8 * 1 + 0.2 * 2
    held_s = (s.service_time_ns + mean_calls * s.store_time_ns) / SECOND
    assert s.slots / held_s == pytest.approx(2300, rel=0.01)
    assert s.slots / (held_s + mean_calls * 0.2) == pytest.approx(96, rel=0.01)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("slots", "4", 4),
        ("service_time_ns", "8ms", 8 * MILLISECOND),
        ("service_time_ns", "0", 0),
        ("service_jitter", "10%", 0.1),
        ("queue", "0", 0),
        ("queue", "unbounded", None),
        ("queue_timeout_ns", "500ms", 500 * MILLISECOND),
        ("queue_timeout_ns", "none", None),
        ("shed_status", "429", 429),
        ("retry_after_ns", "1s", SECOND),
        ("store", "127.0.0.1:5432", "127.0.0.1:5432"),
        ("store", "[::1]:5432", "[::1]:5432"),
        ("store_connections", "slots", None),
        ("max_body_bytes", "64KB", 64_000),
        ("client_leaves", "finish", "finish"),
        ("rate_limit", "100/s", 100.0),
        ("rate_limit", "none", None),
        ("breaker", "50%", 0.5),
        ("concurrency", "adaptive", "adaptive"),
    ],
)
def test_texts(field: str, text: str, value: object) -> None:
    assert getattr(settings_from({field: text}), field) == value


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("slots", "0", "--slots: got 0, want a whole number from 1 to 100000"),
        ("slots", "many", "--slots: got many, want a whole number from 1 to 100000"),
        ("port", "65536", "--port: got 65536, want a whole number from 0 to 65535"),
        ("queue", "-1", "--queue: got -1, want a whole number from 0 to 10000000, or unbounded"),
        ("service_time_ns", "8", "--service-time: got 8, want a duration with its unit: write 8s or 8ms"),
        (
            "service_jitter",
            "200%",
            "--service-jitter: got 200%, want a share such as 10% or 0.1, from 0 to 1",
        ),
        ("shed_status", "200", "--shed-status: got 200, want a whole number from 400 to 599"),
        ("queue_policy", "random", f"--queue-policy: got random, want {' or '.join(QUEUE_POLICIES)}"),
        ("store", "5432", "--store: got 5432, want an address such as 127.0.0.1:5432"),
        ("store", "::1:5432", "--store: got ::1:5432, want an address such as 127.0.0.1:5432"),
        ("store", "db:0", "--store: got db:0, want an address such as 127.0.0.1:5432"),
        ("store", "db:99999", "--store: got db:99999, want an address such as 127.0.0.1:5432"),
        ("rate_limit", "0", "--rate-limit: got 0, want a rate above 0 such as 50/s, or none"),
        ("breaker", "0", "--breaker: got 0, want a share above 0 such as 50%, or none"),
        ("host", "", "--host: got '', want a host name or address"),
        (
            "store_timeout_ns",
            "0",
            "--store-timeout: got 0, want a duration above 0 such as 250ms, 5s or 1m30s",
        ),
    ],
)
def test_mistakes(field: str, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings_from({field: text})
    assert str(caught.value) == message


@pytest.mark.parametrize("address", ["127.0.0.1:80", "[::1]:80", "db.internal:5432"])
def test_addresses_come_back_as_they_were(address: str) -> None:
    assert format_address(*parse_address(address)) == address
