"""--scale: every rate times so much, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from profile_samples import SMALL

from loadtool import cli
from loadtool.errors import ProfileError
from loadtool.plan.build import build_job, endpoint_of
from loadtool.plan.schedule import Schedule
from loadtool.profile.load import Loaded, load_profile

LOG = '127.0.0.1 - - [10/Oct/2024:13:55:36 +0000] "GET /a HTTP/1.1" 200 5 "-" "-"\n' * 10


def scaled(file: Path, text: str, scale: float, **environment: str) -> Loaded:
    file.write_text(text)
    return load_profile(file, scale=scale, environment=environment)


@pytest.mark.parametrize(
    ("rate", "factor", "per_s"),
    [("10/s", 2, 20), ("10/s", 0.5, 5), ("60/m", 3, 3), ("7", 1, 7), ('"${RATE}"', 2, 30), ("0", 5, 0)],
)
def test_rates_are_multiplied(tmp_path: Path, rate: str, factor: float, per_s: float) -> None:
    text = SMALL.replace("10/s", rate) + "capacity: 80/s\n"
    loaded = scaled(tmp_path / "p.yaml", text, factor, RATE="15/s")
    assert [phase.rate for phase in loaded.profile.phases] == [per_s, 100 * factor]
    assert loaded.profile.capacity == 80
    # What the result says of the profile is what was run.
    again = loaded.normalised()["phases"]
    (tmp_path / "q.yaml").write_text(f"{SMALL.partition('phases:')[0]}phases: {again}\n")
    assert load_profile(tmp_path / "q.yaml", environment={}).profile.phases == loaded.profile.phases


def test_a_line_stays_where_it_is(tmp_path: Path) -> None:
    assert scaled(tmp_path / "p.yaml", SMALL, 2).line_of("phases", 1, "rate") == 6


@pytest.mark.parametrize(
    "replay", ["access.log", "{file: access.log, scale: 1.5}", "{file: access.log, scale: ~}"]
)
def test_a_replay_sends_so_many_more(tmp_path: Path, replay: str) -> None:
    (tmp_path / "access.log").write_text(LOG)
    text = f"target: http://127.0.0.1:1\nreplay: {replay}\n"
    counts = [
        Schedule(
            build_job(scaled(tmp_path / "p.yaml", text, n), endpoint=endpoint_of("http://127.0.0.1:1"))
        ).count()
        for n in (1, 4)
    ]
    assert counts[1] == 4 * counts[0] > 0


def test_what_is_wrong_is_told_as_without(tmp_path: Path) -> None:
    with pytest.raises(ProfileError) as e:
        scaled(tmp_path / "p.yaml", SMALL.replace("10/s", "fast"), 2)
    assert str(e.value).endswith("p.yaml:5: phases[0].rate: got fast, want a rate such as 50/s")


def test_the_plan_shows_the_scaled_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.yaml").write_text(f"{SMALL}arrivals: constant\n")
    assert cli.main(["plan", "-p", str(tmp_path / "p.yaml"), "--scale", "2"]) == 0
    assert "2,200 arrivals in 20s, at most 200/s" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["0", "-1", "fast", "1001", "nan"])
def test_a_scale_that_is_none(tmp_path: Path, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.yaml").write_text(SMALL)
    assert cli.main(["plan", "-p", str(tmp_path / "p.yaml"), f"--scale={value}"]) == 2
    assert f"--scale: got {value}, want a number from 0.001 to 1000, such as 2" in capsys.readouterr().err
