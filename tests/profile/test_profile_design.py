"""The design's own sample of a profile, word for word."""

from __future__ import annotations

from pathlib import Path

from profile_samples import load

SAMPLE = Path(__file__).with_name("design_sample.yaml").read_text()
ENVIRONMENT = {"TOKEN": "t0ken"}


def test_the_sample_loads(tmp_path: Path) -> None:
    (tmp_path / "carts.csv").write_text("cart\nA-1\n")
    loaded = load(tmp_path, SAMPLE, environment=ENVIRONMENT)
    retries = loaded.profile.client.retries
    assert retries is not None
    assert retries.model_dump(mode="json", exclude_none=True) == {
        "policy": "full-jitter", "max": 3, "base": "100ms", "cap": "2s", "budget": "10%",
        "on": ["shed", "timeout", "unsent", "connect", "reset"], "retry_after": "obey",
    }  # fmt: skip
    assert loaded.profile.name == "checkout-10x"
    assert loaded.profile.target == "http://127.0.0.1:8080"
    assert [str(slo) for slo in loaded.slos] == [
        "p95 < 250ms during baseline",
        "error rate < 0.1% during baseline",
        "p99 < 1s during slow-store for checkout",
        "goodput retention >= 90%",
        "shed p99 < 50ms",
        "recovery < 10s",
    ]
    assert loaded.secrets.mask("Bearer t0ken") == "***"
