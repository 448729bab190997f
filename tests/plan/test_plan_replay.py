"""Recorded requests as arrivals: gaps, copies and counts, exactly, and the same for any number of workers."""

from __future__ import annotations

import json
import random
from collections import Counter
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtool.errors import ProfileError
from loadtool.plan import replay as replays
from loadtool.plan.build import build_job, endpoint_of
from loadtool.plan.job import Job
from loadtool.plan.mix import Mix
from loadtool.plan.overview import Overview
from loadtool.plan.peak import peak_rate, peak_within
from loadtool.plan.replay import arrivals, copies, copies_in_all, fraction, pack, samples
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline
from loadtool.plan.wire import job_from_json, job_to_json
from loadtool.profile.load import Loaded, load_profile
from loadtool.profile.recording import Recording
from loadtool.profile.replay_file import read_recording

S = 1_000_000_000
NOON = 1_795_262_400


def log_of(path: Path, rows: list[tuple[int, str]]) -> Path:
    """A JSON log of (µs, path)."""
    path.write_text("".join(f'{{"time": {NOON * 1_000_000 + us}, "path": "{p}"}}\n' for us, p in rows))
    return path


def recording(tmp_path: Path, rows: list[tuple[int, str]]) -> Recording:
    return read_recording(log_of(tmp_path / "a.jsonl", rows), format="json")


def load(tmp_path: Path, replay: str, more: str = "") -> tuple[Job, Loaded]:
    file = tmp_path / "p.yaml"
    file.write_text(f"target: http://127.0.0.1:8080\nseed: 7\nreplay: {replay}\n{more}")
    loaded = load_profile(file, environment={})
    return build_job(loaded, endpoint=endpoint_of(loaded.profile.target)), loaded


def sent(job: Job, worker: int = 0, workers: int = 1) -> list[tuple[int, int, str]]:
    """Number, due time, and the request as it goes out, by way of the wire that a worker reads."""
    job = job_from_json(job_to_json(job))
    mix = Mix(job)
    rows = []
    for batch in Schedule(job).batches(worker, workers):
        for number, due, request, ordinal in zip(
            batch.arrival, batch.due, batch.request, batch.ordinal, strict=True
        ):
            message = mix.message(request, number, ordinal)
            rows.append((number, due, f"{message.method} {message.target}"))
    return rows


def generated(tmp_path: Path, lines: int = 3000) -> list[tuple[int, str]]:
    """A log with gaps of all sizes and requests that share an instant: what it holds, and its file."""
    draw = random.Random(5)
    us, rows = 0, []
    for i in range(lines):
        us += draw.choice([0, 0, 3, 1_000, 40_000]) if i else 0
        rows.append((us, f"/p/{i}?q={draw.randint(1, 50)}"))
    log_of(tmp_path / "a.jsonl", rows)
    return rows


@pytest.mark.parametrize(
    ("lines", "scale", "phases", "said"),
    [
        (100, 0.005, "", "got 0.005, want at least 0.01: of 100 recorded, none is sent"),
        (3, 0.25, "", "got 0.25, want at least 0.3334: of 3 recorded, none is sent"),
        (
            100,
            0.25,
            "phases: [{name: a, for: 3s}]\n",
            "got 0.25, want at least 0.3334: of 3 recorded, none is",
        ),
        (100, 0.01, "", ""),
        (3, 0.3334, "", ""),
    ],
)
def test_a_replay_without_arrivals_is_refused(
    tmp_path: Path, lines: int, scale: float, phases: str, said: str
) -> None:
    log_of(tmp_path / "a.jsonl", [(i * 1_000_000, "/") for i in range(lines)])
    replay = f"{{file: a.jsonl, format: json, scale: {scale}}}"
    if said:
        with pytest.raises(ProfileError, match=rf"p\.yaml:3: replay\.scale: {said}"):
            load(tmp_path, replay, phases)
    else:
        assert len(sent(load(tmp_path, replay, phases)[0])) == 1


def test_gaps_and_counts_come_back_exactly(tmp_path: Path) -> None:
    rows = generated(tmp_path)
    job, _ = load(tmp_path, "{file: a.jsonl, format: json}")
    assert sent(job) == [(i, us * 1000, f"GET {path}") for i, (us, path) in enumerate(rows)]
    assert Schedule(job).count() == len(rows)


@pytest.mark.parametrize("workers", [2, 5])
@pytest.mark.parametrize("scale", [1, 0.3, 2.5])
def test_workers_share_them_out(tmp_path: Path, workers: int, scale: float) -> None:
    generated(tmp_path, 1200)
    job, _ = load(tmp_path, f"{{file: a.jsonl, format: json, scale: {scale}}}")
    shares = [sent(job, worker, workers) for worker in range(workers)]
    for worker, share in enumerate(shares):
        assert all(number % workers == worker for number, *_ in share)
    assert sorted(row for share in shares for row in share) == sent(job)


@pytest.mark.parametrize(("speed", "num", "den"), [(2, 2, 1), (0.1, 1, 10), (3, 3, 1), (0.75, 3, 4)])
def test_speed_scales_every_due_time(tmp_path: Path, speed: float, num: int, den: int) -> None:
    rows = generated(tmp_path, 800)
    job, _ = load(tmp_path, f"{{file: a.jsonl, format: json, speed: {speed}}}")
    assert [due for _, due, _ in sent(job)] == [us * 1000 * den // num for us, _ in rows]


def test_copies_are_spread_to_the_next_request(tmp_path: Path) -> None:
    rows = [(0, "/a"), (1_000_000, "/b"), (1_000_000, "/c"), (1_400_000, "/d")]
    log_of(tmp_path / "a.jsonl", rows)
    job, _ = load(tmp_path, "{file: a.jsonl, format: json, scale: 4}")
    ms = 1_000_000
    expected = [(0, "/a"), (250, "/a"), (500, "/a"), (750, "/a")]
    # Two of one instant share the way to the next; the last has the rest of its second.
    expected += [(t, p) for t in (1000, 1100, 1200, 1300) for p in ("/b", "/c")]
    expected += [(1400, "/d"), (1550, "/d"), (1700, "/d"), (1850, "/d")]
    assert [(due, path) for _, due, path in sent(job)] == [(t * ms, f"GET {p}") for t, p in expected]


@given(
    st.lists(st.tuples(st.integers(0, 5_000_000), st.sampled_from("abc")), min_size=1, max_size=60),
    st.sampled_from([0.1, 0.25, 1 / 3, 0.999, 1, 1.5, 2.25, 7]),
    st.sampled_from([0.5, 1, 3]),
    st.integers(1, 6),
    st.integers(0, 5),
)
@settings(max_examples=60)
def test_copies_add_up_and_never_leave_the_run(
    rows: list[tuple[int, str]], scale: float, speed: float, seconds: int, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replays, "PACKED", 7)
        it = _recording(sorted(rows))
        spec = pack(it, speed, scale, seed, seconds * S, S)
    num, den = fraction(scale)
    assert sum(copies(spec)) == copies_in_all(spec) == floor(spec.size * Fraction(num, den))
    assert set(copies(spec)) <= {num // den, num // den + 1}
    made = list(arrivals(spec))
    dues = [due for due, *_ in made]
    assert len(made) == copies_in_all(spec)
    assert dues == sorted(dues)
    assert all(0 <= due < seconds * S for due in dues)
    assert sum(spec.counts) == spec.size
    if scale == int(scale):  # each as often as it was recorded, times the scale
        found = Counter((request, ordinal) for _, request, ordinal in made)
        assert all(n % int(scale) == 0 for n in found.values())


def _recording(rows: list[tuple[int, str]]) -> Recording:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as directory:
        return recording(Path(directory), [(us, f"/{p}") for us, p in rows])


def test_a_share_is_drawn_from_every_stretch(tmp_path: Path) -> None:
    # Ten pages in turn: every tenth request would always be the same one.
    it = recording(tmp_path, [(i * 1000, f"/{'abcdefghij'[i % 10]}") for i in range(5000)])
    spec = pack(it, 1, 0.1, 3, 10 * S, S)
    chosen = [i for i, n in enumerate(copies(spec)) if n]
    assert [i // 10 for i in chosen] == list(range(500)), "one of each ten"
    pages = Counter(i % 10 for i in chosen)
    assert sum((n - 50) ** 2 / 50 for n in pages.values()) < 27.9  # chi-square, 9 degrees of freedom, 0.1 %
    assert chosen == [i for i, n in enumerate(copies(spec)) if n]
    assert chosen != [i for i, n in enumerate(copies(pack(it, 1, 0.1, 4, 10 * S, S))) if n]


def test_phases_name_parts_and_have_the_mean_of_what_is_in_them(tmp_path: Path) -> None:
    rows = [(i * 100_000, "/a") for i in range(20)] + [(2_000_000 + i * 10_000, "/b") for i in range(300)]
    log_of(tmp_path / "a.jsonl", rows)
    phases = "phases: [{name: baseline, for: 2s}, {name: spike, for: 2s}, {name: rest, for: 500ms}]\n"
    job, loaded = load(tmp_path, "{file: a.jsonl, format: json, scale: 2}", phases)
    assert [p.rate for p in job.phases] == pytest.approx([20, 200, 200])
    overview = Overview.of(job, loaded)
    assert [p.arrivals for p in overview.phases] == [40, 400, 100]
    # Half of the last second is cut off.
    assert (overview.arrivals, overview.exact) == (540, True)
    assert [(r.name, r.arrivals) for r in overview.requests] == [("GET /b", 500), ("GET /a", 40)]
    assert any("50 recorded requests are not sent" in text for text in overview.warnings)
    assert (overview.peak_rate, overview.peak_at_ns) == (200, 2 * S)
    line = Timeline.of(job)
    assert [line.offered_by(s * S // 2) for s in (0, 1, 4, 6, 8, 9)] == pytest.approx(
        [0, 10, 40, 240, 440, 540]
    )
    assert [line.offered_at(s * S // 2) for s in (-1, 0, 4, 8, 9)] == [0, 20, 200, 200, 0]
    assert peak_rate(line) == (200, 2 * S)
    assert peak_within(line, S) == (200, 3 * S)


def test_above_the_number_that_is_counted_figures_are_expectations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated(tmp_path, 2000)
    job, loaded = load(tmp_path, "{file: a.jsonl, format: json, scale: 3}")
    exact = Overview.of(job, loaded)
    monkeypatch.setattr("loadtool.plan.overview.COUNTED", 100)
    about = Overview.of(job, loaded)
    assert not about.exact
    assert about.arrivals == exact.arrivals == 6000
    assert [p.arrivals for p in about.phases] == [p.arrivals for p in exact.phases]
    assert about.requests == exact.requests


def test_the_profiles_headers_win_over_recorded_ones(tmp_path: Path) -> None:
    row = {"time": NOON, "path": "/a", "method": "PUT", "body": {"x": 1},
           "headers": {"authorization": "old", "X-Old": "1", "Accept": "text/html"}}  # fmt: skip
    plain = {"time": NOON, "path": "/a", "method": "POST", "body": "text", "headers": {"Content-Type": "x/y"}}
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(plain)}\n")
    job, _ = load(
        tmp_path, "{file: a.jsonl, format: json}", "headers: {Authorization: new, X-N: '{{ arrival }}'}\n"
    )
    mix = Mix(job)
    ordinals = samples(job.replay) if job.replay is not None else {}
    made = [mix.message(i, 5, ordinals[i]) for i in range(2)]
    put = next(m for m in made if m.method == "PUT")
    assert put.headers == (
        ("Authorization", "new"), ("X-N", "5"), ("X-Old", "1"), ("Accept", "text/html"),
        ("Content-Type", "application/json"),
    )  # fmt: skip
    assert put.body == b'{"x": 1}'
    post = next(m for m in made if m.method == "POST")
    assert (post.headers[-1], post.body) == (("Content-Type", "x/y"), b"text")
    assert [mix.is_static(i) for i in range(2)] == [False, False]


DOUBTS: list[tuple[str, str, list[str]]] = [
    ("{file: a.log}", "", [
        "replay: 2 of 6 lines are left out: POST has no recorded body (the first is line 2); give it one in "
        "`bodies`",
        "replay: was answered with errors when it was recorded (1 × 404): if it is again, they count; "
        "replay: {expect: {status: […]}} says what is ok",
    ]),
    ("{file: a.log, bodies: {POST: x}, expect: {status: [200, 404]}}", "", []),
    ("{file: a.log, bodies: {POST: x}, expect: {status: [200, 404]}}",
     "phases: [{name: a, for: 2s}]\n", ["phases: the phases end after 2s, the replay after 4s: 2 recorded "
                                        "requests are not sent; lengthen the last phase"]),
    ("{file: a.log, speed: 2, bodies: {POST: x}, expect: {status: [200, 404]}}",
     "phases: [{name: a, for: 5s}]\n", ["phases: the phases go on for 3s after the replay's end, with no "
                                        "arrivals; shorten the last one"]),
]  # fmt: skip


@pytest.mark.parametrize(("replay", "more", "said"), DOUBTS)
def test_doubts(tmp_path: Path, replay: str, more: str, said: list[str]) -> None:
    rows = [(0, "GET /", 200), (0, "POST /", 201), (1, "GET /", 404), (1, "POST /", 201), (3, "GET /", 200)]
    rows.append((3, "GET /", 200))
    (tmp_path / "a.log").write_text(
        "".join(f'h - - [21/Nov/2026:12:00:0{s} +0000] "{r} HTTP/1.1" {c} 1\n' for s, r, c in rows)
    )
    job, loaded = load(tmp_path, replay, more + "client: {timeout: 1s}\n")
    found = [text.partition("p.yaml:")[2].partition(" ")[2] for text in Overview.of(job, loaded).warnings]
    assert found == said


def test_a_thousand_blocks_are_unpacked_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "PACKED", 2)
    generated(tmp_path, 2000)
    job, _ = load(tmp_path, "{file: a.jsonl, format: json}")
    unpacked = 0
    plain = replays.columns_of

    def counted(block: Any) -> Any:
        nonlocal unpacked
        unpacked += 1
        return plain(block)

    monkeypatch.setattr(replays, "columns_of", counted)
    next(Schedule(job).batches())
    assert unpacked <= 130, "no more than the first batch needs"
