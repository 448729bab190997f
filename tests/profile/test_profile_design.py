"""The design's own sample of a profile, word for word."""

from __future__ import annotations

from pathlib import Path

from profile_samples import load, mistakes

SAMPLE = Path(__file__).with_name("design_sample.yaml").read_text()
ENVIRONMENT = {"TOKEN": "t0ken"}
NOT_BUILT = {
    36: "client.retries: not built yet",
}


def test_the_whole_sample_says_what_is_not_built_yet(tmp_path: Path) -> None:
    (tmp_path / "carts.csv").write_text("cart\nA-1\n")
    assert mistakes(tmp_path, SAMPLE, environment=ENVIRONMENT) == [
        f"shop.yaml:{line}: {said}" for line, said in NOT_BUILT.items()
    ]


def test_the_rest_of_the_sample_loads(tmp_path: Path) -> None:
    (tmp_path / "carts.csv").write_text("cart\nA-1\n")
    lines = [line for number, line in enumerate(SAMPLE.splitlines(), 1) if number not in NOT_BUILT]
    loaded = load(tmp_path, "\n".join(lines), environment=ENVIRONMENT)
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
